#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/classification.h"
#include "models/networks/built_in_networks.h"

namespace tardigrad::models::testing {

/// 28×28 images whose class is a bright row; `count` training and 613 test images (no multiple of a batch).
inline data::Dataset bright_rows(std::size_t count) {
  const auto fill = [](std::size_t size) {
    data::Images images{.shape = {1, 28, 28}, .pixels = {}, .labels = {}};
    for (std::size_t i = 0; i < size; ++i) {
      images.labels.push_back(static_cast<std::uint8_t>(i % 10));
      for (std::size_t pixel = 0; pixel < 28 * 28; ++pixel) {
        const std::size_t noise = (i * 131 + pixel * 17) % 23;
        images.pixels.push_back(static_cast<std::uint8_t>(pixel / 56 == i % 10 + 2 ? 200 + noise : noise));
      }
    }
    return images;
  };
  return {.name = "rows",
          .train = fill(count),
          .test = fill(613),
          .classes = 10,
          .normalisation = {.mean = {0.25F}, .deviation = {0.5F}}};
}

using SharedDataset = std::shared_ptr<const data::Dataset>;

inline SharedDataset share_bright_rows(std::size_t count) {
  return std::make_shared<const data::Dataset>(bright_rows(count));
}

inline Classification make(const ClassificationOptions& options, const SharedDataset& dataset,
                           const std::string& architecture = "mlp") {
  return Classification(dataset, make_architecture(architecture, dataset->train.shape, dataset->classes),
                        options);
}

inline Classification make(const ClassificationOptions& options, std::size_t count = 100) {
  return make(options, share_bright_rows(count));
}

/// The gradient of one job at the first model, and its loss, on any backend.
inline std::pair<std::vector<float>, float> gradient_of(Classification& classification,
                                                        GradientEngine& engine, const StreamRef& stream,
                                                        int worker, std::uint64_t job) {
  std::vector<float> values(classification.dimension());
  classification.initialise(values, 3);
  Buffer<float> model(stream, values.size());
  Buffer<float> gradient(stream, values.size());
  const PinnedBuffer<float> loss(stream.device(), 1);
  stream.copy(model.ref(), host_view(values.data(), values.size()));
  engine.enqueue_minibatch(worker, job);
  engine.enqueue_gradient(worker, model.ref(), gradient.ref(), loss.data());
  stream.copy(host_view(values.data(), values.size()), gradient.ref());
  stream.synchronize();
  return {values, *loss.data()};
}

/// Expects that a job's gradient is the same by two engines, whatever they did before, and not that of
/// another job or worker.
inline void expect_one_job_on_every_engine(Classification& classification, const StreamRef& first,
                                           const StreamRef& second) {
  const auto one = classification.make_engine(first);
  const auto other = classification.make_engine(second);
  const auto expected = gradient_of(classification, *one, first, 1, 7);
  gradient_of(classification, *other, second, 2, 0);  // leaves another minibatch behind
  EXPECT_EQ(gradient_of(classification, *other, second, 1, 7), expected);
  EXPECT_NE(gradient_of(classification, *other, second, 1, 8).first, expected.first);
  EXPECT_NE(gradient_of(classification, *other, second, 0, 7).first, expected.first);
}

inline std::pair<double, double> evaluate(Classification& classification) {
  std::vector<float> model(classification.dimension());
  classification.initialise(model, 3);
  const Evaluation evaluation = classification.evaluate(model);
  return {evaluation.loss, evaluation.accuracy.value()};
}

}  // namespace tardigrad::models::testing
