#include "models/quadratic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "kernels/quadratic_gradient.h"
#include "runtime/base/json_text.h"
#include "runtime/base/refuse_file.h"

namespace tardigrad::models {
namespace {

using Json = nlohmann::json;

std::string describe(const Json& element) {
  if (element.is_string()) return in_quotes(element.get_ref<const std::string&>());
  return element.is_number() ? json_text(element) : element.type_name();
}

/// Appends an array of `size` finite numbers to `values`.
void append_numbers(const std::filesystem::path& path, const Json& array, std::size_t size,
                    const std::string& what, std::vector<float>& values) {
  if (!array.is_array() || array.size() != size) {
    refuse_file(path, fmt::format("{}: expected an array of {} numbers", what, size));
  }
  for (const Json& element : array) {
    const float value = element.is_number() ? element.get<float>() : std::nanf("");
    if (!std::isfinite(value)) {
      refuse_file(path, fmt::format("{}: expected finite numbers, found {}", what, describe(element)));
    }
    values.push_back(value);
  }
}

const Json& member_array(const std::filesystem::path& path, const Json& problem, const char* name) {
  const auto member = problem.find(name);
  if (member == problem.end() || !member->is_array() || member->empty()) {
    refuse_file(
        path,
        fmt::format("expected an object with the arrays A [n, d, d], b [n, d] and x0 [d]; '{}' is not there",
                    name));
  }
  return *member;
}

/// Returns f_worker(x), and adds weight · ∇f_worker(x) to `gradient` unless that is empty.
double value_at(const QuadraticProblem& problem, std::size_t worker, std::span<const float> x, double weight,
                std::span<double> gradient) {
  const std::size_t d = problem.dimension;
  double value = 0;
  for (std::size_t row = 0; row < d; ++row) {
    const float* a = problem.a.data() + (worker * d + row) * d;
    const auto b = static_cast<double>(problem.b[worker * d + row]);
    double product = 0;
    for (std::size_t column = 0; column < d; ++column) {
      product += static_cast<double>(a[column]) * static_cast<double>(x[column]);
    }
    value += static_cast<double>(x[row]) * (0.5 * product - b);
    if (!gradient.empty()) gradient[row] += weight * (product - b);
  }
  return value;
}

/// A vector of the host where the device of a stream can read it: the vector itself on a CPU, else a copy
/// that is there once the stream has got so far.
class OnDevice {
 public:
  OnDevice(const StreamRef& stream, const std::vector<float>& values) : data_(values.data()) {
    if (stream.device().backend == Backend::cpu) return;
    copy_.emplace(stream, values.size());
    stream.copy(copy_->ref(), host_view(values.data(), values.size()));
    data_ = copy_->ref().data();
  }

  const float* data() const { return data_; }

 private:
  const float* data_;
  std::optional<Buffer<float>> copy_;
};

/// Engines on CPUs share the memory of the problem, which outlives them.
class QuadraticEngine final : public GradientEngine {
 public:
  QuadraticEngine(const QuadraticProblem& problem, const StreamRef& stream)
      : dimension_(problem.dimension), stream_(stream), a_(stream, problem.a), b_(stream, problem.b) {
    stream.synchronize();
  }

  void enqueue_minibatch(int, std::uint64_t) override {}

  void enqueue_gradient(int worker, BufferRef<const float> model, BufferRef<float> gradient,
                        float* loss) override {
    const auto row = static_cast<std::size_t>(worker) * dimension_;
    QuadraticGradient operation;
    operation.dimension = dimension_;
    operation.matrix = a_.data() + row * dimension_;
    operation.offset = b_.data() + row;
    operation.parameters = model.data();
    operation.gradient = gradient.data();
    operation.loss = loss;
    stream_.enqueue(operation);
  }

 private:
  std::size_t dimension_;
  StreamRef stream_;
  OnDevice a_;
  OnDevice b_;
};

}  // namespace

QuadraticProblem load_quadratic(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) refuse_file(path, "cannot be read; expected a JSON file with a quadratic problem");
  std::ostringstream text;
  text << file.rdbuf();
  const Json json = parse_json(text.view());
  if (!json.is_object()) {
    refuse_file(path, "not a JSON object; expected a quadratic problem with A, b and x0");
  }
  const Json& a = member_array(path, json, "A");
  const Json& b = member_array(path, json, "b");
  const Json& x0 = member_array(path, json, "x0");
  QuadraticProblem problem;
  problem.workers = static_cast<int>(a.size());
  problem.dimension = x0.size();
  append_numbers(path, x0, problem.dimension, "x0", problem.x0);
  if (b.size() != a.size()) refuse_file(path, fmt::format("A holds {} workers and b {}", a.size(), b.size()));
  for (std::size_t worker = 0; worker < a.size(); ++worker) {
    append_numbers(path, b[worker], problem.dimension, fmt::format("b[{}]", worker), problem.b);
    if (!a[worker].is_array() || a[worker].size() != problem.dimension) {
      refuse_file(path, fmt::format("A[{}]: expected {} rows", worker, problem.dimension));
    }
    for (std::size_t row = 0; row < problem.dimension; ++row) {
      append_numbers(path, a[worker][row], problem.dimension, fmt::format("A[{}][{}]", worker, row),
                     problem.a);
    }
  }
  return problem;
}

Quadratic::Quadratic(QuadraticProblem problem) : problem_(std::move(problem)) {
  layout_.add("x", {static_cast<std::int64_t>(problem_.dimension)});
}

void Quadratic::initialise(std::span<float> model, std::uint64_t) const {
  std::copy(problem_.x0.begin(), problem_.x0.end(), model.begin());
}

std::unique_ptr<GradientEngine> Quadratic::make_engine(const StreamRef& stream,
                                                       std::span<const int> /*workers*/) {
  return std::make_unique<QuadraticEngine>(problem_, stream);
}

EngineMemory Quadratic::engine_memory(Device device, std::span<const int> /*workers*/) const {
  if (device.backend == Backend::cpu) return {};
  return {.shared_bytes = 0, .engine_bytes = (problem_.a.size() + problem_.b.size()) * sizeof(float)};
}

Evaluation Quadratic::evaluate(std::span<const float> model, const BreakOff& break_off) {
  Evaluation evaluation;
  evaluation.loss = full_gradient(model, {}, break_off);
  return evaluation;
}

double Quadratic::full_gradient(std::span<const float> model, std::span<double> gradient,
                                const BreakOff& break_off) {
  std::ranges::fill(gradient, 0.0);
  double sum = 0;
  for (int worker = 0; worker < problem_.workers; ++worker) {
    break_off.check();
    sum += value_at(problem_, static_cast<std::size_t>(worker), model, 1.0 / problem_.workers, gradient);
  }
  return sum / problem_.workers;
}

}  // namespace tardigrad::models
