#include <gmock/gmock.h>

#include <ostream>

#include "models/cuda/layers/convolution.h"
#include "models/cuda/layers/linear_layer.h"
#include "tests/models/cuda/cuda_gpu.h"

namespace tardigrad::models::cuda {
namespace {

using models::testing::OnDevice;
using models::testing::relative_error;
using models::testing::small_integers;
using models::testing::to_doubles;
using models::testing::to_numbers;

/// Libraries and scratch on a stream of their own.
class Bench {
 public:
  explicit Bench(Device device)
      : stream_(device, "test"), libraries_(device), workspace_(stream_, std::size_t{64} << 20) {}

  StreamRef stream() const { return stream_; }

  template <typename Function>
  void run(Function function) {
    models::testing::run_on(stream_, [&](CudaStream native) {
      ASSERT_EQ(cudnnSetStream(libraries_.cudnn.get(), native), CUDNN_STATUS_SUCCESS);
      function(Execution{native, libraries_.cudnn.get(), libraries_.cublas.get(), workspace_.ref().data(),
                         workspace_.size()});
    });
  }

  std::size_t workspace_bytes() const { return workspace_.size(); }

 private:
  Stream stream_;
  Libraries libraries_;
  Buffer<std::byte> workspace_;
};

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

class CudaConvolutions : public models::testing::OnGpu<::testing::TestWithParam<ConvolutionCase>> {
 protected:
  std::size_t images() const { return static_cast<std::size_t>(GetParam().batch); }
  std::size_t pixels() const {
    return static_cast<std::size_t>(GetParam().conv.height * GetParam().conv.width);
  }
  std::size_t out_pixels() const {
    return static_cast<std::size_t>(GetParam().conv.out_height() * GetParam().conv.out_width());
  }

  /// [outer, channels, inner] into the case's format, channels filled up with zeros.
  std::vector<double> arrange(const std::vector<double>& values, std::size_t outer, std::size_t channels,
                              std::size_t padded, std::size_t inner) const {
    if (GetParam().format == MemoryFormat::channel_major) return values;
    std::vector<double> arranged(outer * padded * inner);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t c = i / inner % channels;
      arranged[(i / (channels * inner) * inner + i % inner) * padded + c] = values[i];
    }
    return arranged;
  }

  /// The way back.
  std::vector<double> rearrange(const std::vector<double>& arranged, std::size_t outer, std::size_t channels,
                                std::size_t padded, std::size_t inner) const {
    if (GetParam().format == MemoryFormat::channel_major) return arranged;
    std::vector<double> values(outer * channels * inner);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t c = i / inner % channels;
      values[i] = arranged[(i / (channels * inner) * inner + i % inner) * padded + c];
    }
    return values;
  }
};

TEST_P(CudaConvolutions, AgreeWithDouble) {
  const ConvolutionCase& c = GetParam();
  const auto in = static_cast<std::size_t>(c.conv.in_channels);
  const auto out = static_cast<std::size_t>(c.conv.out_channels);
  const auto padded = static_cast<std::size_t>(c.padded_channels);
  const auto group_in = static_cast<std::size_t>(c.conv.group_inputs());
  const std::size_t padded_group = padded / static_cast<std::size_t>(c.conv.groups);
  const auto taps = static_cast<std::size_t>(c.conv.kernel * c.conv.kernel);
  const std::vector<double> input = small_integers(images() * in * pixels(), 1);
  const std::vector<double> weight = small_integers(c.conv.weight_size(), 2);
  const std::vector<double> output_gradient = small_integers(images() * out * out_pixels(), 3);
  models::Convolution conv = c.conv;
  conv.bias_offset = weight.size();
  std::vector<double> parameters(weight.size() + out);  // bias 0
  std::ranges::copy(weight, parameters.begin());
  const auto exact = models::testing::run_plain<double>(conv, c.batch, parameters, input, output_gradient);

  ConvolutionStage stage;
  stage.convolution = c.conv;
  stage.input_channels = c.padded_channels;
  stage.format = c.format;
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
      Convolution convolution(gpu, stage, c.batch, c.precision);
      convolution.use(convolution.choose(
          execution, {.deterministic = c.deterministic, .workspace_limit = bench.workspace_bytes()},
          dx.data(), dw.data(), y.data()));
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

INSTANTIATE_TEST_SUITE_P(Sizes, CudaConvolutions, ::testing::ValuesIn(convolution_cases()));

/// Two layers, the lower one with a ReLU.
struct LinearCase {
  int inputs, hidden, outputs, batch;
  Precision precision;
  bool fuse;
};

void PrintTo(const LinearCase& c, std::ostream* out) {
  *out << c.inputs << " -> " << c.hidden << " -> " << c.outputs << ", batch " << c.batch << ", "
       << name_of(c.precision) << (c.fuse ? ", fused" : ", not fused");
}

class CudaLinearLayers : public models::testing::OnGpu<::testing::TestWithParam<LinearCase>> {};

template <typename Number>
void compare_layers_with_double(const LinearCase& c, Device gpu) {
  const auto batch = static_cast<std::size_t>(c.batch);
  const Linear lower{c.inputs, c.hidden, 0, static_cast<std::size_t>(c.inputs * c.hidden)};
  const Linear upper{c.hidden, c.outputs, 0, static_cast<std::size_t>(c.hidden * c.outputs)};
  const auto input = small_integers(batch * static_cast<std::size_t>(c.inputs), 1);
  const auto lower_parameters = small_integers(lower.bias_offset + lower.output_size(), 2);
  const auto upper_parameters = small_integers(upper.bias_offset + upper.output_size(), 3);
  const auto output_gradient = small_integers(batch * upper.output_size(), 4);

  // In double, with the hidden activation rounded as it is on the way through memory.
  const std::vector<double> zeros(batch * lower.output_size());
  auto hidden = models::testing::run_plain<double>(lower, c.batch, lower_parameters, input, zeros).output;
  const AlignedVector<double> before = hidden;
  for (double& value : hidden) {
    value = static_cast<double>(widen(nearest<Number>(static_cast<float>(std::max(value, 0.0)))));
  }
  const auto exact_upper = models::testing::run_plain<double>(
      upper, c.batch, upper_parameters, {hidden.begin(), hidden.end()}, output_gradient);
  std::vector<double> hidden_gradient(exact_upper.input_gradient.begin(), exact_upper.input_gradient.end());
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] <= 0) hidden_gradient[i] = 0;
  }
  const auto exact_lower =
      models::testing::run_plain<double>(lower, c.batch, lower_parameters, input, hidden_gradient);

  LinearStage lower_stage;
  lower_stage.linear = lower;
  lower_stage.relu = true;
  lower_stage.wants_input_gradient = false;
  lower_stage.bias.packed_gradient = 0;  // as where the flat gradient has no room for it that is aligned
  LinearStage upper_stage;
  upper_stage.linear = upper;
  Bench bench(gpu);
  const auto stream = bench.stream();
  const auto part = [](const std::vector<double>& values, std::size_t begin, std::size_t count) {
    return to_numbers<Number>({values.begin() + static_cast<std::ptrdiff_t>(begin),
                               values.begin() + static_cast<std::ptrdiff_t>(begin + count)});
  };
  const auto nan = [](std::size_t count) { return std::vector<double>(count, std::nan("")); };
  OnDevice<Number> x(stream, to_numbers<Number>(input));
  OnDevice<Number> w1(stream, part(lower_parameters, 0, lower.bias_offset));
  OnDevice<Number> b1(stream, part(lower_parameters, lower.bias_offset, lower.output_size()));
  OnDevice<Number> w2(stream, part(upper_parameters, 0, upper.bias_offset));
  OnDevice<Number> b2(stream, part(upper_parameters, upper.bias_offset, upper.output_size()));
  OnDevice<Number> h(stream, to_numbers<Number>(nan(zeros.size())));
  OnDevice<Number> dh(stream, to_numbers<Number>(nan(zeros.size())));
  OnDevice<Number> y(stream, to_numbers<Number>(nan(output_gradient.size())));
  OnDevice<Number> dy(stream, to_numbers<Number>(output_gradient));
  OnDevice<float> dw1(stream, to_numbers<float>(nan(lower.bias_offset)));
  OnDevice<Number> db1(stream, to_numbers<Number>(nan(lower.output_size())));
  OnDevice<float> dw2(stream, to_numbers<float>(nan(upper.bias_offset)));
  OnDevice<float> db2(stream, to_numbers<float>(nan(upper.output_size())));
  const LinearOperands below{.weight = w1.data(),
                             .bias = b1.data(),
                             .input = x.data(),
                             .output = h.data(),
                             .output_gradient = dh.data(),
                             .sums_gradient = h.data(),
                             .weight_gradient = dw1.data(),
                             .bias_gradient = db1.data()};
  const LinearOperands above{.weight = w2.data(),
                             .bias = b2.data(),
                             .input = h.data(),
                             .output = y.data(),
                             .output_gradient = dy.data(),
                             .sums_gradient = dy.data(),
                             .input_gradient = dh.data(),
                             .weight_gradient = dw2.data(),
                             .bias_gradient = db2.data()};
  LinearLayer first(gpu, lower_stage, c.batch, c.precision);
  LinearLayer second(gpu, upper_stage, c.batch, c.precision);
  bench.run([&](const Execution& execution) {
    const Search search{.workspace_limit = bench.workspace_bytes(), .fuse = c.fuse};
    first.use(first.choose(execution, search, below));
    second.use(second.choose(execution, search, above));
    first.forward(execution, below);
    second.forward(execution, above);
  });
  const std::vector<Number> activation = h.values();
  bench.run([&](const Execution& execution) {
    for (const auto& [layer, operands] : {std::pair(&second, &above), std::pair(&first, &below)}) {
      layer->backward_relu(execution, *operands);
      layer->backward_weight(execution, *operands);
      layer->backward_data(execution, *operands);
    }
  });

  // Whole numbers are exact in every precision; only what is written in bf16 is rounded, and what that goes
  // into.
  const double tolerance = c.precision == Precision::bf16 ? models::testing::tolerance(c.precision) : 1e-7;
  EXPECT_LT(relative_error(to_doubles(activation), hidden), tolerance);
  EXPECT_LT(relative_error(to_doubles(y.values()), exact_upper.output), tolerance);
  EXPECT_LT(relative_error(to_doubles(h.values()), hidden_gradient), tolerance) << "the gated gradient";
  EXPECT_LT(
      relative_error(to_doubles(dw2.values()), std::span(exact_upper.gradient).first(upper.bias_offset)),
      tolerance);
  EXPECT_LT(
      relative_error(to_doubles(db2.values()), std::span(exact_upper.gradient).subspan(upper.bias_offset)),
      tolerance);
  EXPECT_LT(
      relative_error(to_doubles(dw1.values()), std::span(exact_lower.gradient).first(lower.bias_offset)),
      tolerance);
  EXPECT_LT(
      relative_error(to_doubles(db1.values()), std::span(exact_lower.gradient).subspan(lower.bias_offset)),
      tolerance);
}

TEST_P(CudaLinearLayers, AgreeWithDouble) {
  visit_element(element_of(GetParam().precision),
                [&]<typename Number>() { compare_layers_with_double<Number>(GetParam(), gpu); });
}

std::vector<LinearCase> linear_cases() {
  std::vector<LinearCase> cases;
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
    for (const bool fuse : {true, false}) {
      cases.push_back({64, 32, 10, 8, precision, fuse});
      cases.push_back({40, 136, 16, 5, precision, fuse});
    }
  }
  cases.push_back({37, 13, 7, 3, Precision::fp32, true});
  cases.push_back({37, 13, 7, 3, Precision::fp32, false});
  cases.push_back({1, 1, 2, 1, Precision::fp32, true});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Sizes, CudaLinearLayers, ::testing::ValuesIn(linear_cases()));

}  // namespace
}  // namespace tardigrad::models::cuda
