#include "kernels/channel_bias.h"

#include <cmath>

#include "tests/kernels/image_batches.h"
#include "tests/kernels/partial_sums.h"
#include "tests/kernels/pool_cases.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

class ChannelBiasContract : public OnBackend {
 protected:
  template <typename Check>
  static void for_each_case(const Check& check) {
    for_each_image_batch([&](const ImageBatch& shape) {
      check(float{}, shape);
      check(Bf16{}, shape);
    });
  }
};

TEST_P(ChannelBiasContract, AddsTheBiasOfEachChannel) {
  for_each_case([]<typename Number>(Number, const ImageBatch& shape) {
    std::vector<Number> before = random_numbers<Number>(shape.size(), 1);
    if (!before.empty()) before[0] = nearest<Number>(poison);
    const std::vector<float> biases = random_numbers<float>(shape.channels, 2);
    for (const bool relu : {false, true}) {
      const Guarded<float> bias(GetParam(), biases);
      const Guarded<Number> values(GetParam(), before);
      execute(GetParam(), ChannelBias<Number>{shape, relu, bias.data(), values.data()});
      const std::vector<Number> got = values.values();
      for_each_element(shape, [&](std::size_t, std::size_t c, std::size_t, std::size_t place) {
        const float sum = widen(before[place]) + biases[c];
        const float want = widen(nearest<Number>(relu && sum < 0 ? 0.0F : sum));
        ASSERT_TRUE(widen(got[place]) == want || (std::isnan(want) && std::isnan(widen(got[place]))));
      });
    }
  });
}

template <typename Number>
struct BiasGradients {
  std::vector<Number> gated;
  std::vector<float> bias_gradient;
};

template <typename Number>
BiasGradients<Number> bias_gradients(const ImageBatch& shape, Backend backend,
                                     const std::vector<Number>* activations,
                                     const std::vector<Number>& output_gradients) {
  const Guarded<Number> activation(backend, activations ? *activations : std::vector<Number>(shape.size()));
  const Guarded<Number> output_gradient(backend, output_gradients);
  const PartialSums sums = ChannelBiasBackward<Number>::sums(shape);
  const Guarded<float> partial_sums = no_sums_yet(backend, sums);
  // The gated gradient takes the place of the activation, as in networks.
  execute(backend, ChannelBiasBackward<Number>{
                       shape, activations ? activation.data() : nullptr, output_gradient.data(),
                       activations ? activation.data() : nullptr, partial_sums.data()});
  EXPECT_TRUE(same_bits(output_gradient.values(), output_gradients));
  return {activation.values(), add_parts(backend, partial_sums, sums)};
}

TEST_P(ChannelBiasContract, GatesTheGradientAndSumsIt) {
  for_each_case([]<typename Number>(Number, const ImageBatch& shape) {
    const std::vector<Number> output_gradients = dyadic_numbers<Number>(shape.size(), 3);
    const std::vector<Number> activations = dyadic_numbers<Number>(shape.size(), 4);
    for (const bool relu : {false, true}) {
      std::vector<Number> gated(shape.size());
      std::vector<float> sums(shape.channels);
      for_each_element(shape, [&](std::size_t, std::size_t c, std::size_t, std::size_t place) {
        const bool closed = relu && widen(activations[place]) <= 0;
        if (relu) gated[place] = closed ? Number{} : output_gradients[place];
        if (!closed) sums[c] += widen(output_gradients[place]);  // exact
      });
      const auto got = bias_gradients(shape, GetParam(), relu ? &activations : nullptr, output_gradients);
      EXPECT_TRUE(same_bits(got.gated, gated));
      EXPECT_TRUE(same_bits(got.bias_gradient, sums));
    }
  });
}

TEST_P(ChannelBiasContract, RepeatsItsBits) {
  const ImageBatch shape{7, 19, 100, MemoryFormat::channels_last};
  const std::vector<float> output_gradients = random_numbers<float>(shape.size(), 5);
  const auto first = bias_gradients<float>(shape, GetParam(), nullptr, output_gradients);
  EXPECT_TRUE(same_bits(bias_gradients<float>(shape, GetParam(), nullptr, output_gradients).bias_gradient,
                        first.bias_gradient));
}

INSTANTIATE_TEST_SUITE_P(Backends, ChannelBiasContract, every_backend, ::testing::PrintToStringParamName());

TEST(ChannelBias, RefusesWhatItCannotDo) {
  float value = 0;
  const ImageBatch one{1, 1, 1};
  const ImageBatch many{65536, 65536, 1};
  expect_refused(ChannelBias<float>{one, true, nullptr, &value}, "a pointer is null");
  expect_refused(ChannelBias<float>{one, true, &value, nullptr}, "a pointer is null");
  expect_refused(ChannelBias<float>{many, true, &value, &value}, "too many elements");
  using Backward = ChannelBiasBackward<float>;
  expect_refused(Backward{one, nullptr, nullptr, &value, &value}, "a pointer is null");
  expect_refused(Backward{one, nullptr, &value, &value, nullptr}, "a pointer is null");
  expect_refused(Backward{one, &value, &value, nullptr, &value}, "gated is null");
}

}  // namespace
}  // namespace tardigrad
