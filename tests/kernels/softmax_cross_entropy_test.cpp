#include "kernels/softmax_cross_entropy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>

#include "tests/kernels/backend.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

template <typename Number>
struct LogitsAndLabels {
  std::size_t batch, classes;
  std::vector<Number> logits;
  std::vector<std::int32_t> labels;
};

template <typename Number>
LogitsAndLabels<Number> random_input(std::size_t batch, std::size_t classes, float size = 5) {
  std::mt19937 random(static_cast<unsigned>(batch * 1000 + classes));
  std::normal_distribution<float> normal(0, size);
  LogitsAndLabels<Number> in{batch, classes, std::vector<Number>(batch * classes),
                             std::vector<std::int32_t>(batch)};
  std::generate(in.logits.begin(), in.logits.end(), [&] { return nearest<Number>(normal(random)); });
  std::generate(in.labels.begin(), in.labels.end(),
                [&] { return static_cast<std::int32_t>(random() % classes); });
  return in;
}

struct Expected {
  double loss = 0;
  std::vector<double> losses, gradient;
  std::vector<std::uint8_t> hits;
};

/// The definitions, in double, of logits that are finite or −infinity.
template <typename Number>
Expected expected(const LogitsAndLabels<Number>& in) {
  Expected result;
  for (std::size_t n = 0; n < in.batch; ++n) {
    std::vector<double> logits;
    for (std::size_t k = 0; k < in.classes; ++k) {
      logits.push_back(static_cast<double>(widen(in.logits[n * in.classes + k])));
    }
    const auto label = static_cast<std::size_t>(in.labels[n]);
    const auto largest = std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const double logit : logits) sum += std::exp(logit - *largest);
    result.losses.push_back(std::log(sum) + *largest - logits[label]);
    result.hits.push_back(static_cast<std::size_t>(largest - logits.begin()) == label ? 1 : 0);
    for (std::size_t k = 0; k < in.classes; ++k) {
      const double softmax = std::exp(logits[k] - *largest) / sum;
      result.gradient.push_back((softmax - (k == label ? 1 : 0)) / static_cast<double>(in.batch));
    }
    result.loss += result.losses.back() / static_cast<double>(in.batch);
  }
  return result;
}

template <typename Number>
struct LossesAndGradient {
  float loss;
  std::vector<float> losses;
  std::vector<Number> gradient;
  std::vector<std::uint8_t> hits;
};

template <typename Number>
LossesAndGradient<Number> computed(Backend backend, const LogitsAndLabels<Number>& in) {
  const Guarded<Number> logits(backend, in.logits);
  const Guarded<std::int32_t> labels(backend, in.labels);
  const Guarded<Number> gradient(backend, std::vector<Number>(in.logits.size(), nearest<Number>(-77)));
  const Guarded<float> loss(backend, {-77});
  const Guarded<float> losses(backend, std::vector<float>(in.batch, -77));
  const Guarded<std::uint8_t> hits(backend, std::vector<std::uint8_t>(in.batch, 77));
  execute(backend, SoftmaxCrossEntropy<Number>{in.batch, in.classes, logits.data(), labels.data(),
                                               gradient.data(), loss.data(), losses.data(), hits.data()});
  EXPECT_TRUE(same_bits(logits.values(), in.logits));
  EXPECT_TRUE(same_bits(labels.values(), in.labels));
  return {loss.values()[0], losses.values(), gradient.values(), hits.values()};
}

class SoftmaxCrossEntropyContract : public OnBackend {
 protected:
  template <typename Check>
  static void for_each_type(const Check& check) {
    check(float{});
    check(Bf16{});
  }
};

TEST_P(SoftmaxCrossEntropyContract, FollowsFloat64OnRandomLogits) {
  for_each_type([]<typename Number>(Number) {
    for (const std::size_t classes : {1, 2, 10, 31, 32, 33, 100, 1000}) {
      for (const std::size_t batch : {1, 7, 32, 256, 257}) {
        SCOPED_TRACE(::testing::Message() << batch << " × " << classes);
        const LogitsAndLabels<Number> in = random_input<Number>(batch, classes);
        const Expected want = expected(in);
        const LossesAndGradient<Number> got = computed(GetParam(), in);
        EXPECT_EQ(got.hits, want.hits);
        // An exponential of up to 30 below the largest is off by 2^-24 · 30 of itself from its rounded
        // argument and by two units in the last place from the function; so is the sum, and its logarithm
        // by as much, absolutely. The shifted logit of the label is rounded, too.
        constexpr double tolerance = 80 * 0x1p-24;
        EXPECT_NEAR(static_cast<double>(got.loss), want.loss, 2 * tolerance);
        for (std::size_t n = 0; n < batch; ++n) {
          ASSERT_NEAR(static_cast<double>(got.losses[n]), want.losses[n], tolerance) << "example " << n;
        }
        const double rounding = std::is_same_v<Number, Bf16> ? 0x1p-8 : 0;  // of the gradient itself
        for (std::size_t i = 0; i < in.logits.size(); ++i) {
          const double bound =
              2 * tolerance / static_cast<double>(batch) + rounding * std::abs(want.gradient[i]);
          ASSERT_NEAR(static_cast<double>(widen(got.gradient[i])), want.gradient[i], bound) << "logit " << i;
        }
      }
    }
  });
}

TEST_P(SoftmaxCrossEntropyContract, SumsTheLossesInOneOrder) {
  for (const std::size_t batch : {1, 31, 33, 100, 256, 1000}) {
    const LossesAndGradient<float> got = computed(GetParam(), random_input<float>(batch, 10));
    std::array<double, 32> lanes{};
    for (std::size_t n = 0; n < batch; ++n) lanes[n % 32] += static_cast<double>(got.losses[n]);
    for (std::size_t half = 16; half > 0; half /= 2) {
      for (std::size_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
    }
    EXPECT_EQ(got.loss, static_cast<float>(lanes[0] / static_cast<double>(batch))) << batch << " examples";
  }
}

TEST_P(SoftmaxCrossEntropyContract, DoesNotOverflow) {
  const LogitsAndLabels<float> in{
      3, 3, {3e38F, -3e38F, 0, -3e38F, -3e38F, -3e38F, -infinity, 500, 499}, {0, 1, 1}};
  const LossesAndGradient<float> got = computed(GetParam(), in);
  EXPECT_EQ(got.losses[0], 0);
  EXPECT_FLOAT_EQ(got.losses[1], std::log(3.0F));
  EXPECT_FLOAT_EQ(got.losses[2], std::log1p(std::exp(-1.0F)));
  EXPECT_EQ(got.gradient[6], 0);
  EXPECT_EQ(got.gradient[0], 0);
  EXPECT_THAT(got.hits, ::testing::ElementsAre(1, 0, 1));
}

TEST_P(SoftmaxCrossEntropyContract, MakesOnlyTheRowOfANanOrAnInfinityNan) {
  for_each_type([]<typename Number>(Number) {
    for (const float special : {nan, infinity}) {
      for (const std::size_t place : {0, 1, 39}) {
        SCOPED_TRACE(::testing::Message() << special << " at " << place);
        LogitsAndLabels<Number> in = random_input<Number>(3, 40);
        in.logits[40 + place] = nearest<Number>(special);
        in.labels[1] = 0;
        const LossesAndGradient<Number> got = computed(GetParam(), in);
        EXPECT_TRUE(std::isnan(got.losses[1]));
        EXPECT_TRUE(std::isnan(got.loss));
        EXPECT_FALSE(std::isnan(got.losses[0]) || std::isnan(got.losses[2]));
        for (std::size_t i = 0; i < in.logits.size(); ++i) {
          EXPECT_EQ(std::isnan(widen(got.gradient[i])), i / 40 == 1) << "logit " << i;
        }
        // As std::max_element has it, a NaN is the largest in the first place only.
        const auto less = [](Number a, Number b) { return widen(a) < widen(b); };
        const auto* row = &in.logits[40];
        EXPECT_EQ(got.hits[1], std::max_element(row, row + 40, less) == row ? 1 : 0);
      }
    }
  });
}

TEST_P(SoftmaxCrossEntropyContract, HitsWithTheFirstOfEqualLogits) {
  for (const std::int32_t label : {3, 35, 67}) {
    LogitsAndLabels<float> in{1, 70, std::vector<float>(70, -1), {label}};
    in.logits[35] = in.logits[67] = 2;
    EXPECT_EQ(computed(GetParam(), in).hits[0], label == 35 ? 1 : 0) << "label " << label;
  }
  const LogitsAndLabels<float> equal{2, 3, {0, 0, 0, 0, 0, 0}, {0, 1}};
  EXPECT_THAT(computed(GetParam(), equal).hits, ::testing::ElementsAre(1, 0));
}

TEST_P(SoftmaxCrossEntropyContract, WritesTheGradientOverTheLogits) {
  for_each_type([]<typename Number>(Number) {
    for (const std::size_t batch : {40, 300}) {
      const LogitsAndLabels<Number> in = random_input<Number>(batch, 70);
      const LossesAndGradient<Number> want = computed(GetParam(), in);
      const Guarded<Number> logits(GetParam(), in.logits);
      const Guarded<std::int32_t> labels(GetParam(), in.labels);
      SoftmaxCrossEntropy<Number> layer;
      layer.batch = batch;
      layer.classes = 70;
      layer.logits = layer.gradient = logits.data();
      layer.labels = labels.data();
      execute(GetParam(), layer);
      EXPECT_TRUE(same_bits(logits.values(), want.gradient));
    }
  });
}

/// Those of one block each, and those of two kernels.
TEST_P(SoftmaxCrossEntropyContract, ComputesSeveralMinibatchesAsOneAfterAnother) {
  for (const std::size_t batch : {4, 300}) {
    constexpr std::size_t minibatches = 3;
    const LogitsAndLabels<float> all = random_input<float>(minibatches * batch, 10);
    const Guarded<float> logits(GetParam(), all.logits);
    const Guarded<std::int32_t> labels(GetParam(), all.labels);
    const Guarded<float> gradient(GetParam(), std::vector<float>(all.logits.size(), -77));
    const Guarded<float> loss(GetParam(), std::vector<float>(minibatches, -77));
    const Guarded<float> losses(GetParam(), std::vector<float>(all.batch, -77));
    const Guarded<std::uint8_t> hits(GetParam(), std::vector<std::uint8_t>(all.batch, 77));
    execute(GetParam(), SoftmaxCrossEntropy<float>{batch, 10, logits.data(), labels.data(), gradient.data(),
                                                   loss.data(), losses.data(), hits.data(), minibatches});
    LossesAndGradient<float> want{};
    std::vector<float> want_loss;
    for (std::size_t m = 0; m < minibatches; ++m) {
      const auto part = [m](const auto& of, std::size_t size) {
        const auto begin = of.begin() + static_cast<std::ptrdiff_t>(m * size);
        return std::vector(begin, begin + static_cast<std::ptrdiff_t>(size));
      };
      const LossesAndGradient<float> one =
          computed<float>(GetParam(), {batch, 10, part(all.logits, batch * 10), part(all.labels, batch)});
      want_loss.push_back(one.loss);
      want.losses.insert(want.losses.end(), one.losses.begin(), one.losses.end());
      want.gradient.insert(want.gradient.end(), one.gradient.begin(), one.gradient.end());
      want.hits.insert(want.hits.end(), one.hits.begin(), one.hits.end());
    }
    EXPECT_TRUE(same_bits(loss.values(), want_loss)) << batch << " examples";
    EXPECT_TRUE(same_bits(losses.values(), want.losses)) << batch << " examples";
    EXPECT_TRUE(same_bits(gradient.values(), want.gradient)) << batch << " examples";
    EXPECT_EQ(hits.values(), want.hits) << batch << " examples";
  }
}

TEST_P(SoftmaxCrossEntropyContract, LeavesOutWhatIsNotAskedFor) {
  const LogitsAndLabels<float> in = random_input<float>(50, 10);
  const LossesAndGradient<float> want = computed(GetParam(), in);
  const Guarded<float> logits(GetParam(), in.logits);
  const Guarded<std::int32_t> labels(GetParam(), in.labels);
  const Guarded<float> loss(GetParam(), {-77});
  const Guarded<std::uint8_t> hits(GetParam(), std::vector<std::uint8_t>(50, 77));
  SoftmaxCrossEntropy<float> layer{50, 10, logits.data(), labels.data(), nullptr, nullptr, nullptr, nullptr};
  execute(GetParam(), layer);
  layer.hits = hits.data();
  execute(GetParam(), layer);
  layer.loss = loss.data();
  execute(GetParam(), layer);
  EXPECT_TRUE(same_bits(logits.values(), in.logits));
  EXPECT_EQ(hits.values(), want.hits);
  EXPECT_EQ(loss.values()[0], want.loss);
}

INSTANTIATE_TEST_SUITE_P(Backends, SoftmaxCrossEntropyContract, every_backend,
                         ::testing::PrintToStringParamName());

TEST(SoftmaxCrossEntropy, RefusesWrongArguments) {
  float value = 0;
  std::int32_t label = 0;
  SoftmaxCrossEntropy<float> complete;
  complete.batch = 1;
  complete.classes = 1;
  complete.logits = &value;
  complete.labels = &label;
  SoftmaxCrossEntropy<float> layer = complete;
  layer.classes = 0;
  expect_refused(layer, "no classes");
  layer = complete;
  layer.logits = nullptr;
  expect_refused(layer, "logits is null");
  layer = complete;
  layer.labels = nullptr;
  expect_refused(layer, "labels is null");
#if TARDIGRAD_CUDA
  layer = complete;
  layer.loss = &value;
  layer.batch = SoftmaxCrossEntropy<float>::block_batch + 1;
  EXPECT_THAT([&] { layer.launch(nullptr); },
              ::testing::ThrowsMessage<std::logic_error>(::testing::HasSubstr("losses is null")));
#endif
}

TEST(SoftmaxCrossEntropy, DoesNothingForAnEmptyBatch) {
  EXPECT_NO_THROW(SoftmaxCrossEntropy<float>{}.run());
#if TARDIGRAD_CUDA
  EXPECT_NO_THROW(SoftmaxCrossEntropy<Bf16>{}.launch(nullptr));
#endif
}

TEST(SoftmaxCrossEntropy, CountsBytesAndFlops) {
  Bf16 value{};
  float loss = 0;
  SoftmaxCrossEntropy<Bf16> layer;
  layer.batch = 32;
  layer.classes = 10;
  EXPECT_EQ(layer.bytes(), 32 * (20 + 4));
  EXPECT_EQ(layer.flops(), 320 * 4);
  layer.gradient = &value;
  layer.loss = &loss;
  EXPECT_EQ(layer.bytes(), 32 * (40 + 4) + 4);
  EXPECT_EQ(layer.flops(), 320 * 6);
}

}  // namespace
}  // namespace tardigrad
