#include <gmock/gmock.h>

#include <algorithm>
#include <optional>
#include <ostream>

#include "kernels/random.h"
#include "models/cuda/layers/convolution.h"
#include "runtime/device/device.h"
#include "tests/models/cuda/cuda_gpu.h"

namespace tardigrad::models::cuda {
namespace {

using models::testing::Bench;
using models::testing::OnDevice;
using models::testing::relative_error;
using models::testing::small_integers;
using models::testing::to_doubles;
using models::testing::to_numbers;

struct ConvolutionCase {
  models::Convolution conv;
  int batch;
  Precision precision;
  MemoryFormat format;
  int padded_channels;
  bool deterministic;
};

void PrintTo(const ConvolutionCase& c, std::ostream* out) {
  *out << c.conv.in_channels << " (" << c.padded_channels << ") -> " << c.conv.out_channels << " on "
       << c.conv.height << "x" << c.conv.width << ", kernel " << c.conv.kernel << ", stride " << c.conv.stride
       << ", padding " << c.conv.padding << ", " << c.conv.groups << " groups, batch " << c.batch << ", "
       << name_of(c.precision) << (c.format == MemoryFormat::channel_major ? ", NCHW" : ", NHWC")
       << (c.deterministic ? ", deterministic" : "");
}

/// Numbers from −1 to 1, of a float each.
std::vector<double> fractions(std::size_t count, std::uint64_t seed) {
  Random random({seed, 1, 2, 3});
  std::vector<double> values(count);
  for (double& value : values) value = static_cast<double>(static_cast<float>(2 * random.uniform() - 1));
  return values;
}

bool is_emulated(Device gpu) {
  return std::ranges::any_of(describe_devices(), [&](const DeviceDescription& one) {
    return one.device == gpu && one.model.find("Emulated GPU") != std::string::npos;
  });
}

class CudaConvolutions : public models::testing::OnGpu<::testing::TestWithParam<ConvolutionCase>> {
 protected:
  using Numbers = std::vector<double>(std::size_t count, std::uint64_t seed);

  static constexpr std::size_t limit = std::size_t{64} << 20;

  /// Compares all three directions, by what choose(ConvolutionUnderTest) returns.
  template <typename Choose>
  void expect_agreement_with_double(Numbers* numbers, const Choose& choose);

  Search search() const { return {.deterministic = GetParam().deterministic, .workspace_limit = limit}; }

  ConvolutionStage stage() const {
    ConvolutionStage stage;
    stage.convolution = GetParam().conv;
    stage.input_channels = GetParam().padded_channels;
    stage.format = GetParam().format;
    return stage;
  }

  std::size_t images() const { return static_cast<std::size_t>(GetParam().batch); }
  std::size_t pixels() const {
    return static_cast<std::size_t>(GetParam().conv.height * GetParam().conv.width);
  }
  std::size_t out_pixels() const {
    return static_cast<std::size_t>(GetParam().conv.out_height() * GetParam().conv.out_width());
  }

  /// Where element i of [outer, channels, inner] lies in [outer, inner, padded].
  static std::size_t place(std::size_t i, std::size_t channels, std::size_t padded, std::size_t inner) {
    return (i / (channels * inner) * inner + i % inner) * padded + i / inner % channels;
  }

  /// [outer, channels, inner] into the case's format, channels filled up with zeros.
  std::vector<double> arrange(const std::vector<double>& values, std::size_t outer, std::size_t channels,
                              std::size_t padded, std::size_t inner) const {
    if (GetParam().format == MemoryFormat::channel_major) return values;
    std::vector<double> arranged(outer * padded * inner);
    for (std::size_t i = 0; i < values.size(); ++i) arranged[place(i, channels, padded, inner)] = values[i];
    return arranged;
  }

  /// The way back.
  std::vector<double> rearrange(const std::vector<double>& arranged, std::size_t outer, std::size_t channels,
                                std::size_t padded, std::size_t inner) const {
    if (GetParam().format == MemoryFormat::channel_major) return arranged;
    std::vector<double> values(outer * channels * inner);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = arranged[place(i, channels, padded, inner)];
    return values;
  }
};

/// Of cases that are not deterministic: engines are chosen by their times.
class CudaConvolutionEngines : public CudaConvolutions {};

/// The convolution of a case, on the memory that algorithms are chosen on.
struct ConvolutionUnderTest {
  Convolution& convolution;
  const Execution& execution;
  void *input, *weight, *output;
};

template <typename Choose>
void CudaConvolutions::expect_agreement_with_double(Numbers* numbers, const Choose& choose) {
  const ConvolutionCase& c = GetParam();
  const auto in = static_cast<std::size_t>(c.conv.in_channels);
  const auto out = static_cast<std::size_t>(c.conv.out_channels);
  const auto padded = static_cast<std::size_t>(c.padded_channels);
  const auto group_in = static_cast<std::size_t>(c.conv.group_inputs());
  const std::size_t padded_group = padded / static_cast<std::size_t>(c.conv.groups);
  const auto taps = static_cast<std::size_t>(c.conv.kernel * c.conv.kernel);
  const std::vector<double> input = numbers(images() * in * pixels(), 1);
  const std::vector<double> weight = numbers(c.conv.weight_size(), 2);
  const std::vector<double> output_gradient = numbers(images() * out * out_pixels(), 3);
  models::Convolution conv = c.conv;
  conv.bias_offset = weight.size();
  std::vector<double> parameters(weight.size() + out);  // bias 0
  std::ranges::copy(weight, parameters.begin());
  const auto exact = models::testing::run_plain<double>(conv, c.batch, parameters, input, output_gradient);

  Bench bench(gpu);
  visit_element(element_of(c.precision), [&]<typename Number>() {
    const auto arranged_input = to_numbers<Number>(arrange(input, images(), in, padded, pixels()));
    const auto arranged_weight = to_numbers<Number>(arrange(weight, out, group_in, padded_group, taps));
    OnDevice<Number> x(bench.stream(), arranged_input);
    OnDevice<Number> w(bench.stream(), arranged_weight);
    OnDevice<Number> dy(bench.stream(),
                        to_numbers<Number>(arrange(output_gradient, images(), out, out, out_pixels())));
    OnDevice<Number> y(bench.stream(), to_numbers<Number>(std::vector<double>(exact.output.size())));
    OnDevice<Number> dx(bench.stream(), arranged_input);
    OnDevice<Number> dw(bench.stream(), arranged_weight);
    bench.run([&](const Execution& execution) {
      Convolution convolution(gpu, stage(), c.batch, c.precision);
      convolution.use(execution.cudnn,
                      choose(ConvolutionUnderTest{convolution, execution, dx.data(), dw.data(), y.data()}));
      convolution.forward(execution, x.data(), w.data(), y.data());
      convolution.backward_weight(execution, x.data(), dy.data(), dw.data());
      convolution.backward_data(execution, w.data(), dy.data(), dx.data());
    });
    const double tolerance = models::testing::tolerance(c.precision);
    EXPECT_LT(
        relative_error(rearrange(to_doubles(y.values()), images(), out, out, out_pixels()), exact.output),
        tolerance);
    EXPECT_LT(relative_error(rearrange(to_doubles(dx.values()), images(), in, padded, pixels()),
                             exact.input_gradient),
              tolerance);
    EXPECT_LT(relative_error(rearrange(to_doubles(dw.values()), out, group_in, padded_group, taps),
                             std::span(exact.gradient).first(weight.size())),
              tolerance);
  });
}

TEST_P(CudaConvolutions, AgreeWithDouble) {
  expect_agreement_with_double(small_integers, [&](const ConvolutionUnderTest& of) {
    return of.convolution.choose(of.execution, search(), of.input, of.weight, of.output);
  });
}

// Where the algorithm does not work, an engine is faster.
TEST_P(CudaConvolutionEngines, AgreeWithDoubleInPlaceOfAlgorithms) {
  expect_agreement_with_double(small_integers, [&](const ConvolutionUnderTest& of) {
    ConvolutionAlgorithms chosen;
    chosen.forward.algorithm = CUDNN_CONVOLUTION_FWD_ALGO_COUNT;
    chosen.backward_data.algorithm = CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT;
    chosen.backward_weight.algorithm = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT;
    of.convolution.add_engines(of.execution, search(), of.input, of.weight, of.output, chosen);
    EXPECT_TRUE(chosen.forward.engine && chosen.backward_data.engine && chosen.backward_weight.engine);
    return chosen;
  });
}

// fp32 is tested with numbers that TF32 has not, and so without the engines that round to it.
TEST_P(CudaConvolutionEngines, AgreeWithDoubleEachOfThem) {
  const auto choose = [&](std::size_t i, std::size_t& most) {
    return [&, i](const ConvolutionUnderTest& of) {
      auto chosen = of.convolution.choose(of.execution, {.deterministic = true, .workspace_limit = limit},
                                          of.input, of.weight, of.output);
      const auto add = [&](auto& choice, ConvolutionDirection direction) {
        const ConvolutionGraph graph(gpu, of.execution.cudnn, stage(), GetParam().batch, GetParam().precision,
                                     direction);
        const auto engines = graph.engines(search());
        most = std::max(most, engines.size());
        if (i < engines.size()) choice.engine = engines[i].engine;
      };
      add(chosen.forward, ConvolutionDirection::forward);
      add(chosen.backward_data, ConvolutionDirection::backward_data);
      add(chosen.backward_weight, ConvolutionDirection::backward_weight);
      return chosen;
    };
  };
  std::size_t most = 1;
  for (std::size_t i = 0; i < most; ++i) {
    SCOPED_TRACE(i);
    expect_agreement_with_double(GetParam().precision == Precision::fp32 ? fractions : small_integers,
                                 choose(i, most));
  }
}

/// A convolution 8 → 16 on 6 × 10, by engines that the emulation has.
class CudaEmulatedEngines : public models::testing::OnGpu<::testing::Test> {
 protected:
  void SetUp() override {
    OnGpu::SetUp();
    if (IsSkipped()) return;
    if (!is_emulated(gpu)) GTEST_SKIP() << "needs an emulated GPU";
    stage_.convolution = {8, 16, 6, 10};
    stage_.input_channels = 8;
    bench_.emplace(gpu);
  }

  std::vector<ConvolutionEngine> engines(Precision precision, const Search& search) {
    std::vector<ConvolutionEngine> engines;
    bench_->run([&](const Execution& execution) {
      const ConvolutionGraph graph(gpu, execution.cudnn, stage_, batch, precision,
                                   ConvolutionDirection::forward);
      for (const ReadyEngine& ready : graph.engines(search)) engines.push_back(ready.engine);
    });
    return engines;
  }

  /// What a convolution gives forward and for its two gradients, by that engine for each.
  std::vector<std::vector<float>> results(const ConvolutionEngine& engine) {
    const auto numbers = [&](std::size_t count, std::uint64_t seed) {
      return OnDevice<float>(bench_->stream(), to_numbers<float>(fractions(count, seed)));
    };
    OnDevice<float> x = numbers(inputs, 1);
    OnDevice<float> w = numbers(stage_.convolution.weight_size(), 2);
    OnDevice<float> y = numbers(outputs, 3);
    OnDevice<float> dy = numbers(outputs, 4);
    OnDevice<float> dx = numbers(inputs, 5);
    OnDevice<float> dw = numbers(stage_.convolution.weight_size(), 6);
    bench_->run([&](const Execution& execution) {
      ConvolutionAlgorithms chosen;
      chosen.forward.engine = chosen.backward_data.engine = chosen.backward_weight.engine = engine;
      Convolution convolution(gpu, stage_, batch, Precision::fp32);
      convolution.use(execution.cudnn, chosen);
      convolution.forward(execution, x.data(), w.data(), y.data());
      convolution.backward_data(execution, w.data(), dy.data(), dx.data());
      convolution.backward_weight(execution, x.data(), dy.data(), dw.data());
    });
    return {y.values(), dx.values(), dw.values()};
  }

  static constexpr int batch = 3;
  static constexpr std::size_t inputs = 3 * 8 * 6 * 10;
  static constexpr std::size_t outputs = 3 * 16 * 6 * 10;
  static constexpr std::size_t enough = std::size_t{1} << 20;
  static constexpr int tile = CUDNN_KNOB_TYPE_TILE_SIZE;
  static constexpr std::size_t scratch = 6 * 10 * 8 * 9 * sizeof(float);  // an image's inputs of all outputs
  const ConvolutionEngine plain_{.index = 0, .knobs = {}, .workspace_bytes = 0};
  const ConvolutionEngine tiled_[2] = {{.index = 2, .knobs = {{tile, 0}}, .workspace_bytes = scratch},
                                       {.index = 2, .knobs = {{tile, 1}}, .workspace_bytes = scratch}};
  const ConvolutionEngine unordered_{.index = 7, .knobs = {}, .workspace_bytes = 0};
  ConvolutionStage stage_;
  std::optional<Bench> bench_;
};

TEST_F(CudaEmulatedEngines, AreThoseThatTheSearchAllows) {
  using ::testing::ElementsAre;
  EXPECT_THAT(engines(Precision::fp32, {.workspace_limit = enough}),
              ElementsAre(tiled_[1], tiled_[0], unordered_, plain_));
  EXPECT_THAT(engines(Precision::fp32, {.workspace_limit = scratch}),
              ElementsAre(tiled_[1], tiled_[0], unordered_, plain_));
  EXPECT_THAT(engines(Precision::fp32, {.workspace_limit = scratch - 1}), ElementsAre(unordered_, plain_));
  EXPECT_THAT(engines(Precision::fp32, {.deterministic = true, .workspace_limit = enough}),
              ElementsAre(tiled_[1], tiled_[0], plain_));
  const auto in_tf32 = engines(Precision::tf32, {.workspace_limit = enough});
  ASSERT_EQ(in_tf32.size(), 5U);
  EXPECT_EQ(in_tf32[0].index, 1) << "on tensor cores";
  EXPECT_THAT(in_tf32[0].knobs, ElementsAre(EngineKnob{tile, 2}));
}

TEST_F(CudaEmulatedEngines, ComputeAsTheyAreSet) {
  const auto plain = results(plain_);
  EXPECT_EQ(results(plain_), plain);
  const auto tiled = results(tiled_[0]);
  const auto tiled_otherwise = results(tiled_[1]);
  for (std::size_t direction = 0; direction < 3; ++direction) {
    SCOPED_TRACE(direction);
    EXPECT_NE(tiled[direction], plain[direction]) << "in the last bits";
    EXPECT_NE(tiled[direction], tiled_otherwise[direction]);
  }
}

TEST_F(CudaEmulatedEngines, AreNotUsedWithLessWorkspaceThanTheyWant) {
  ConvolutionEngine engine = tiled_[0];
  engine.workspace_bytes = scratch - 1;
  EXPECT_THROW(results(engine), DeviceError);
}

TEST_F(CudaEmulatedEngines, AreNotAddedInADeterministicSearch) {
  OnDevice<float> memory(bench_->stream(), std::vector<float>(outputs));
  bench_->run([&](const Execution& execution) {
    ConvolutionAlgorithms none;
    none.forward.algorithm = CUDNN_CONVOLUTION_FWD_ALGO_COUNT;
    const Convolution convolution(gpu, stage_, batch, Precision::fp32);
    convolution.add_engines(execution, {.deterministic = true, .workspace_limit = enough}, memory.data(),
                            memory.data(), memory.data(), none);
    EXPECT_FALSE(none.has_engines());
  });
}

std::vector<ConvolutionCase> convolution_cases() {
  constexpr auto major = MemoryFormat::channel_major;
  constexpr auto last = MemoryFormat::channels_last;
  std::vector<ConvolutionCase> cases;
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
    const int group = precision == Precision::bf16 ? 8 : 4;
    for (const bool deterministic : {false, true}) {
      cases.push_back({{8, 16, 6, 10}, 3, precision, major, 8, deterministic});
      cases.push_back({{8, 16, 7, 5}, 2, precision, last, 8, deterministic});
      cases.push_back({{3, 8, 5, 9}, 2, precision, last, group, deterministic});
    }
  }
  // Odd numbers of channels; fp32, which has to work whatever the network is.
  cases.push_back({{3, 5, 7, 9}, 2, Precision::fp32, major, 3, false});
  cases.push_back({{3, 5, 7, 9}, 2, Precision::fp32, major, 3, true});
  // Any kernel, stride and padding, and groups.
  const auto shaped = [](models::Convolution conv, int kernel, int stride, int padding, int groups) {
    conv.kernel = kernel;
    conv.stride = stride;
    conv.padding = padding;
    conv.groups = groups;
    return conv;
  };
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    for (const MemoryFormat format : {major, last}) {
      cases.push_back({shaped({8, 16, 9, 7}, 1, 2, 0, 1), 2, precision, format, 8, true});
      cases.push_back({shaped({8, 8, 9, 11}, 5, 2, 2, 1), 2, precision, format, 8, false});
      cases.push_back({shaped({8, 8, 8, 7}, 7, 1, 3, 1), 1, precision, format, 8, false});
    }
    cases.push_back({shaped({8, 16, 6, 5}, 2, 1, 0, 2), 2, precision, major, 8, false});
  }
  cases.push_back({shaped({12, 9, 6, 5}, 3, 1, 1, 3), 2, Precision::fp32, last, 12, true});
  return cases;
}

std::vector<ConvolutionCase> measured_cases() {
  std::vector<ConvolutionCase> cases = convolution_cases();
  std::erase_if(cases, [](const ConvolutionCase& c) { return c.deterministic; });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Sizes, CudaConvolutions, ::testing::ValuesIn(convolution_cases()));
INSTANTIATE_TEST_SUITE_P(Sizes, CudaConvolutionEngines, ::testing::ValuesIn(measured_cases()));

}  // namespace
}  // namespace tardigrad::models::cuda
