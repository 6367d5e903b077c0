#pragma once

#include <optional>

#include "models/aligned_vector.h"
#include "models/classifier.h"
#include "models/layers/sequence.h"

namespace tardigrad::models {

/// Makes a layer that its plain functions compute.
std::unique_ptr<Layer> make_plain_layer(const LayerSpec& layer, int batch_size);

/// Makes the layers of an architecture as each engine computes them, from NCHW images to logits.
Layers make_plain_layers(const Architecture& architecture, int batch_size);
Layers make_onednn_layers(const Architecture& architecture, int batch_size);

/// Is a classifier that runs its layers one after another.
class Network final : public Classifier {
 public:
  /// Takes layers that end in logits [batch_size, classes].
  Network(const Architecture& architecture, int batch_size, Layers layers);

  int batch_size() const override { return batch_size_; }
  void use_masks(const std::optional<MaskKey>& key) override { masks_ = key; }
  float gradient_of(const float* parameters, const float* images, const std::int32_t* labels, int count,
                    float* gradient) override;
  double evaluate(const float* parameters, const float* images, const std::int32_t* labels, int count,
                  std::uint8_t* hits) override;
  void logits(const float* parameters, const float* images, int count, float* logits) override;

 private:
  /// Returns `images` if they are a whole batch, else the first `count` of them with zeros behind.
  const float* whole_batch(const float* images, int count);

  int batch_size_;
  int classes_;
  Sequence layers_;
  std::optional<MaskKey> masks_;
  std::size_t image_size_;
  AlignedVector<float> padded_images_;
};

}  // namespace tardigrad::models
