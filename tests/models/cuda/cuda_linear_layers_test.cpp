#include <gmock/gmock.h>

#include <ostream>

#include "models/cuda/layers/linear_layer.h"
#include "tests/models/cuda/cuda_gpu.h"

namespace tardigrad::models::cuda {
namespace {

using models::testing::Bench;
using models::testing::OnDevice;
using models::testing::relative_error;
using models::testing::small_integers;
using models::testing::to_doubles;
using models::testing::to_numbers;

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
