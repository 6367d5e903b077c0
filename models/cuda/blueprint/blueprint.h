#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "kernels/add_parts.h"
#include "kernels/bf16.h"
#include "kernels/conv_relu_pool.h"
#include "kernels/image_batch.h"
#include "kernels/memory_format.h"
#include "kernels/norm.h"
#include "kernels/pool_shape.h"
#include "kernels/repack_tensors.h"
#include "kernels/window_pool.h"
#include "models/architecture.h"
#include "models/precision.h"

/// Says what a network on a GPU consists of, and where everything lies in its memory. It is worked out from
/// shapes alone, so memory can be estimated without a GPU.
namespace tardigrad::models::cuda {

/// Says how the images and activations of convolutions lie in memory.
enum class ActivationFormat {
  channel_major,         ///< NCHW; convolution weights are used where they lie in the flat vector.
  channels_last,         ///< NHWC; convolution weights are repacked.
  channels_last_padded,  ///< NHWC, with the images' channels filled up to 16 bytes for tensor cores.
};

const char* name_of(ActivationFormat format);

/// Says when the gradients of parameters are computed on the way back.
enum class ParameterGradients {
  /// Each before the gradient goes on to the layer below, which then may take an activation's place.
  in_turn,
  /// Those of weights on a stream of their own, beside the gradient's way down: a small batch leaves room for
  /// both on a GPU. Every gradient has a place of its own. Algorithms that repeat their bits give the same.
  beside,
};

const char* name_of(ParameterGradients when);

/// Says what computes the first layers of a network that begins with a convolution, ReLU and 2×2 max-pool.
enum class FirstLayers {
  /// A convolution of cuDNN's, and a kernel of ours behind it.
  apart,
  /// One kernel of ours each way (conv_relu_pool.h). What the convolution gives is never in memory; in many
  /// networks that is the largest activation.
  fused,
};

const char* name_of(FirstLayers how);

/// Says what a network is computed in.
struct WayToCompute {
  Precision precision = Precision::fp32;
  ActivationFormat format = ActivationFormat::channel_major;
  ParameterGradients parameter_gradients = ParameterGradients::in_turn;
  FirstLayers first_layers = FirstLayers::apart;

  bool operator==(const WayToCompute&) const = default;
};

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

/// Is how the fastest kernels of cuDNN and cuBLASLt want memory aligned, in bytes.
inline constexpr std::size_t library_alignment = 16;

constexpr std::size_t round_up(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Says where a layer reads a parameter tensor and writes its gradient: in the flat fp32 vectors, or in the
/// network's working copies, which have the network's Element.
struct Parameter {
  std::size_t flat = 0;                        ///< Of its first element, in floats.
  std::optional<std::size_t> packed;           ///< The value: offset in the working parameters, in elements.
  std::optional<std::size_t> packed_gradient;  ///< The gradient: offset in the working gradients.
};

/// Says where what one stage gives to another lies, and the gradient with respect to it. Offsets are into the
/// network's memory, in bytes. Features are images of one pixel.
struct Activation {
  ImageBatch shape;  ///< Images of the data set with their padding.
  std::size_t value = 0;
  /// Is the place of the value, unless that is still read on the way back, two branches read the activation,
  /// it is what a branch gives, whose gradient is that of the sum, or all gradients have their own places.
  std::size_t gradient = 0;
  bool wants_gradient = true;  ///< False for the images, and for what no parameter has a part in.
};

/// Is an index into Blueprint::activations.
using ActivationId = std::size_t;

// The stages. Each reads the activation `input` and writes `output`; on the way back it reads the gradient
// with respect to `output`, which it leaves as it is, and writes that with respect to `input`.

/// Is a convolution without its bias.
struct ConvolutionStage {
  models::Convolution convolution;
  std::size_t number = 0;  ///< Of this one among the convolutions.
  int input_channels = 0;  ///< With padding.
  MemoryFormat format = MemoryFormat::channel_major;
  Parameter weight;
  bool wants_input_gradient = true;
  ActivationId input = 0, output = 0;
};

/// Is a convolution of the images with its bias, ReLU and 2×2 max-pool.
struct ConvReluPoolStage {
  ConvPoolShape shape;
  std::size_t weight = 0, bias = 0;  ///< In the flat parameters, like all those below.
  std::size_t winners = 0;           ///< In the network's memory, like all else below.
  std::size_t partial_sums = 0;      ///< Of the gradients of parameters.
  ActivationId input = 0, output = 0;
};

/// Is bias, ReLU and 2×2 max-pool behind a convolution.
struct BiasReluMaxPoolStage {
  PoolShape shape;
  std::size_t bias = 0;
  std::size_t winners = 0;
  std::size_t partial_sums = 0;
  ActivationId input = 0, output = 0;
};

/// Is the bias of any other convolution. Its output takes the place of its input; without a ReLU both are
/// one.
struct BiasStage {
  std::size_t bias = 0;
  bool relu = false;
  std::size_t partial_sums = 0;
  ActivationId input = 0, output = 0;
};

/// Is a linear layer. With a ReLU, whose output has the place of the sums, those have a gradient of their
/// own; without one both are one.
struct LinearStage {
  Linear linear;
  std::size_t number = 0;  ///< Of this one among the linear layers.
  bool relu = false;
  Parameter weight, bias;
  bool wants_input_gradient = true;
  ActivationId input = 0, sums = 0, output = 0;
};

struct ReluStage {
  ActivationId input = 0, output = 0;
};

struct GeluStage {
  ActivationId input = 0, output = 0;
};

struct DropoutStage {
  double probability = 0;
  std::size_t number = 0;  ///< Of this one among the dropout layers.
  ActivationId input = 0, output = 0;
};

/// Is a GroupNorm or a LayerNorm.
struct NormStage {
  NormShape shape;
  float epsilon = 0;
  bool relu = false;
  std::size_t weight = 0, bias = 0;
  std::size_t statistics = 0;
  std::size_t partial_sums = 0;
  ActivationId input = 0, output = 0;
};

struct MaxPoolStage {
  WindowShape shape;
  std::size_t winners = 0;
  ActivationId input = 0, output = 0;
};

/// Is an average of windows, or of all pixels.
struct AvgPoolStage {
  WindowShape shape;
  ActivationId input = 0, output = 0;
};

/// Puts images channel-major where features are made of them.
struct ReorderStage {
  ActivationId input = 0, output = 0;
};

/// Lets two branches read an activation. Their gradients, each in a place of its own, are added.
struct ForkStage {
  ActivationId input = 0;
  ActivationId first = 0, second = 0;  ///< Both have the value of the input.
};

/// Adds what two branches give. With a ReLU, whose output has the place of the sum, that has a gradient of
/// its own; without one both are one.
struct JoinStage {
  bool relu = false;
  ActivationId first = 0, second = 0;  ///< Both have the gradient of the sum.
  ActivationId sum = 0, output = 0;
};

/// Is a stage that kernels of ours compute, without a library.
using KernelStage =
    std::variant<ConvReluPoolStage, BiasReluMaxPoolStage, BiasStage, ReluStage, GeluStage, DropoutStage,
                 NormStage, MaxPoolStage, AvgPoolStage, ReorderStage, ForkStage, JoinStage>;

using Stage = std::variant<ConvolutionStage, LinearStage, KernelStage>;

struct Blueprint {
  int batch = 0;
  WayToCompute way;
  Element element = Element::f32;

  std::vector<Stage> stages;  ///< In the order of the way forward.
  std::vector<Activation> activations;
  ActivationId images = 0;
  ActivationId logits = 0;
  std::size_t dropouts = 0;  ///< Stages of that kind.

  std::vector<RepackedTensors> packed;            ///< Parameters before a step; one launch each.
  std::vector<RepackedTensors> packed_gradients;  ///< Gradients after it.
  /// The gradients that stages leave in parts, in floats of the network's memory and of the flat gradient;
  /// one launch each adds them at the end of the way back.
  std::vector<AddedParts> partial_sums;

  std::size_t labels = 0;             ///< Offset in bytes, like the following: [batch] of int32
  std::size_t mask_starts = 0;        ///< [dropouts] of std::uint64_t: where their masks start
  std::size_t working = 0;            ///< Working parameters.
  std::size_t working_gradients = 0;  ///< Working gradients.
  std::size_t losses = 0;             ///< [batch] floats
  std::size_t bytes = 0;              ///< Of everything, without the libraries' workspace.

  const Activation& operator[](ActivationId id) const { return activations[id]; }
  /// Returns the stages that are convolutions, or linear layers.
  template <typename Kind>
  std::vector<Kind> all() const {
    std::vector<Kind> found;
    for (const Stage& stage : stages) {
      if (const auto* one = std::get_if<Kind>(&stage)) found.push_back(*one);
    }
    return found;
  }
};

/// Is memory that a blueprint lays out, which outlives it.
struct LaidOutMemory {
  const Blueprint& blueprint;
  std::byte* begin = nullptr;

  void* at(std::size_t offset) const { return begin + offset; }
  void* value(ActivationId id) const { return at(blueprint[id].value); }
  void* gradient_of(ActivationId id) const { return at(blueprint[id].gradient); }
  /// Returns where the minibatch goes: [batch, …] in the shape and the elements of the blueprint.
  void* images() const { return value(blueprint.images); }
  std::int32_t* labels() const { return static_cast<std::int32_t*>(at(blueprint.labels)); }
  /// Returns where the starts of the masks of a gradient go (dropout_mask.h), [blueprint.dropouts].
  std::uint64_t* mask_starts() const { return static_cast<std::uint64_t*>(at(blueprint.mask_starts)); }
};

/// Tells whether any layer is a convolution, those of residual blocks among them.
bool has_convolutions(const Architecture& architecture);

/// Tells whether all that reads the images are convolutions of one group, which padding does not matter to.
bool may_pad_images(const Architecture& architecture);

/// Tells whether the network begins with layers that FirstLayers::fused is for.
bool may_fuse_first_layers(const Architecture& architecture);

/// Tells whether the network can be computed that way.
bool is_way_of(const Architecture& architecture, const WayToCompute& way);

/// Lays a network out. Throws std::invalid_argument where an activation of a batch has 2^32 elements or more,
/// std::logic_error for a way that it cannot be computed.
Blueprint make_blueprint(const Architecture& architecture, int batch, const WayToCompute& way);

/// Returns the ways worth trying, in the order in which a deterministic run tries them.
std::vector<ActivationFormat> activation_formats(const Architecture& architecture, Precision precision);

/// Returns the ways worth trying for a precision, which itself comes first, on one stream and with all
/// convolutions by cuDNN. Where times decide, a more exact one may be no slower; where the choice is
/// `deterministic`, there is none.
std::vector<WayToCompute> ways_to_compute(const Architecture& architecture, Precision precision,
                                          bool deterministic);

/// Returns these ways, and where times decide those with fused first layers, too.
std::vector<WayToCompute> ways_on_one_stream(const Architecture& architecture, Precision precision,
                                             bool deterministic);

/// Lays a network out by the way with ParameterGradients::beside if that is worth trying: if there is a
/// gradient with respect to an input to be computed beside that of a weight, and memory is so small that the
/// kernels of one stream may leave room on a GPU.
std::optional<Blueprint> blueprint_beside(const Architecture& architecture, int batch, WayToCompute way);

/// Returns the bytes of the largest of all these.
std::size_t largest_bytes(const Architecture& architecture, int batch, Precision precision,
                          bool deterministic);

}  // namespace tardigrad::models::cuda
