#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "kernels/bf16.h"
#include "kernels/memory_format.h"
#include "kernels/pool_shape.h"
#include "kernels/repack_tensors.h"
#include "models/architecture.h"
#include "models/precision.h"

/// Says what a network on a GPU consists of, and where everything lies in its memory. It is worked out from
/// shapes alone, so memory can be estimated without a GPU.
namespace tardigrad::models::cuda {

/// Says how the images and activations of convolutions lie in memory.
enum class Activations {
  channel_major,         ///< NCHW; convolution weights are used where they lie in the flat vector.
  channels_last,         ///< NHWC; convolution weights are repacked.
  channels_last_padded,  ///< NHWC, with the images' channels filled up to 16 bytes for tensor cores.
};

const char* name_of(Activations activations);

/// Is the format of an element of activations and working weights.
enum class Element { f32, bf16 };

inline Element element_of(Precision precision) {
  return precision == Precision::bf16 ? Element::bf16 : Element::f32;
}

/// Calls visit.operator()<Number>() with the type of an element.
template <typename Visitor>
void visit_element(Element element, const Visitor& visit) {
  if (element == Element::bf16) {
    visit.template operator()<Bf16>();
  } else {
    visit.template operator()<float>();
  }
}

inline std::size_t size_of(Element element) { return element == Element::bf16 ? 2 : 4; }

/// Says where a layer reads a parameter tensor and writes its gradient: in the flat fp32 vectors, or in the
/// network's working copies, which have the network's Element.
struct Parameter {
  std::size_t flat = 0;                        ///< Of its first element, in floats.
  std::optional<std::size_t> packed;           ///< The value: offset in the working parameters, in elements.
  std::optional<std::size_t> packed_gradient;  ///< The gradient: offset in the working gradients.
};

/// Is convolution, bias, ReLU and 2×2 max-pool. Offsets are into the network's memory, in bytes.
struct ConvolutionStage {
  models::Convolution convolution;
  int input_channels = 0;  ///< With padding.
  MemoryFormat format = MemoryFormat::channel_major;
  PoolShape pool;
  Parameter weight, bias;
  std::size_t input = 0;
  std::size_t convolved = 0;  ///< Its gradient takes its place.
  std::size_t winners = 0;
  std::size_t pooled = 0;  ///< Its gradient takes its place.
  bool reads_images = false;
};

/// Is a linear layer, with ReLU behind all but the last.
struct LinearStage {
  Linear linear;
  bool relu = false;
  Parameter weight, bias;
  std::size_t input = 0;  ///< [batch, inputs]
  std::size_t input_gradient =
      0;                   ///< The place of `input`, unless a ReLU's derivative is still read from that.
  std::size_t output = 0;  ///< [batch, outputs]
  std::size_t output_gradient = 0;
  bool reads_images = false;  ///< Then no gradient with respect to the input is wanted.
};

struct Blueprint {
  int batch = 0;
  Precision precision = Precision::fp32;
  Element element = Element::f32;
  Activations activations = Activations::channel_major;

  std::vector<ConvolutionStage> convolutions;
  std::vector<LinearStage> linears;  ///< At least one; the last gives the logits.

  MemoryFormat image_format = MemoryFormat::channel_major;
  int image_channels = 0;                         ///< With padding.
  std::vector<RepackedTensors> packed;            ///< Parameters before a step; one launch each.
  std::vector<RepackedTensors> packed_gradients;  ///< Gradients after it.

  std::size_t images = 0;             ///< Offset in bytes, like the following.
  std::size_t labels = 0;             ///< [batch] of int32
  std::size_t partial_sums = 0;       ///< Scratch of BiasReluMaxPoolBackward.
  std::size_t working = 0;            ///< Working parameters.
  std::size_t working_gradients = 0;  ///< Working gradients.
  std::size_t losses = 0;             ///< [batch] floats
  std::size_t bytes = 0;              ///< Of everything, without the libraries' workspace.
};

/// Lays a network out. Throws std::invalid_argument for layers, or an order of them, that there are no
/// kernels for yet: a 3×3 convolution with bias, stride 1 and padding 1 must be followed by ReLU and 2×2
/// max-pool, every linear layer but the last by ReLU.
Blueprint make_blueprint(const Architecture& architecture, int batch, Precision precision,
                         Activations activations);

/// Returns the ways worth trying, in the order in which a deterministic run tries them.
std::vector<Activations> activation_choices(const Architecture& architecture, Precision precision);

/// Says what a network is computed in.
struct WayToCompute {
  Precision precision = Precision::fp32;
  Activations activations = Activations::channel_major;
};

/// Returns the ways worth trying for a precision, which itself comes first. Where times decide, a more exact
/// one may be no slower; where the choice is `deterministic`, there is none.
std::vector<WayToCompute> ways_to_compute(const Architecture& architecture, Precision precision,
                                          bool deterministic);

/// Returns the bytes of the largest of them.
std::size_t largest_bytes(const Architecture& architecture, int batch, Precision precision,
                          bool deterministic);

}  // namespace tardigrad::models::cuda
