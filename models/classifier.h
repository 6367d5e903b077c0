#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "kernels/dropout_mask.h"
#include "models/architecture.h"

namespace tardigrad::models {

/// Says what computes the layers on a CPU.
enum class CpuEngine {
  plain,   ///< The loops of layers/plain: always there, the reference of the tests.
  onednn,  ///< oneDNN for convolutions and large linear layers, own loops where those are faster.
};

/// Tells whether this build has oneDNN.
bool onednn_available();

/// Returns the fastest engine of this build.
CpuEngine best_cpu_engine();

/// Is a network with everything that one stream needs to compute with it: activations, reordered weights,
/// scratch. The calling thread does all the work.
///
/// Any thread may call an object, one at a time; different objects are independent. The same arguments give
/// the same bits, on every thread and whatever else runs.
///
/// `parameters` and `gradient` have the architecture's layout. `images` are normalised, [count, channels,
/// height, width]; `labels` [count] lie in [0, classes). Non-finite numbers give a NaN loss, no error.
class Classifier {
 public:
  Classifier() = default;
  Classifier(const Classifier&) = delete;
  Classifier& operator=(const Classifier&) = delete;
  virtual ~Classifier() = default;

  virtual int batch_size() const = 0;

  /// Says what the following gradients draw the masks of dropout for. Nothing, as at the beginning, drops
  /// nothing, which evaluate() and logits() never do.
  virtual void use_masks(const std::optional<MaskKey>& key) = 0;

  /// Overwrites `gradient` with that of the mean cross-entropy over batch_size() examples. Returns the mean.
  float gradient(const float* parameters, const float* images, const std::int32_t* labels, float* gradient) {
    return gradient_of(parameters, images, labels, batch_size(), gradient);
  }

  /// Computes the same over `count` examples, 1 ≤ count ≤ batch_size(). It costs as much for any count.
  virtual float gradient_of(const float* parameters, const float* images, const std::int32_t* labels,
                            int count, float* gradient) = 0;

  /// Returns the sum of the cross-entropies, in nats, of `count` examples, 1 ≤ count ≤ batch_size(). Where
  /// `hits` [count] is not null, it also writes whether the largest logit of each is that of its label: 1, or
  /// 0. It costs as much for any count.
  virtual double evaluate(const float* parameters, const float* images, const std::int32_t* labels, int count,
                          std::uint8_t* hits) = 0;

  /// Writes the outputs of the last layer, [count, classes], 1 ≤ count ≤ batch_size().
  virtual void logits(const float* parameters, const float* images, int count, float* logits) = 0;
};

/// Makes a classifier. Throws std::invalid_argument for a batch size below 1 or an engine that this build has
/// not.
std::unique_ptr<Classifier> make_classifier(const Architecture& architecture, int batch_size,
                                            CpuEngine engine = best_cpu_engine());

}  // namespace tardigrad::models
