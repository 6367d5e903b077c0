#include "models/tridiagonal.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>

#include "kernels/quadratic_gradient.h"
#include "kernels/random.h"
#include "runtime/base/nearest_name.h"
#include "runtime/base/parse_number.h"

namespace tardigrad::models {
namespace {

constexpr std::string_view kind = "tridiagonal";

[[noreturn]] void refuse(std::string_view text, const std::string& reason) {
  throw std::invalid_argument(fmt::format("{}: {}", text, reason));
}

/// What is before the next colon of `text`, which loses both.
std::string_view take_part(std::string_view& text) {
  const std::string_view part = text.substr(0, text.find(':'));
  text.remove_prefix(std::min(text.size(), part.size() + 1));
  return part;
}

}  // namespace

bool is_tridiagonal(std::string_view text) { return take_part(text) == kind; }

TridiagonalOptions parse_tridiagonal(std::string_view text) {
  std::string_view rest = text;
  take_part(rest);
  const auto dimension = parse_number<int>(take_part(rest));
  if (!dimension || *dimension < 1) {
    refuse(text,
           fmt::format("expected tridiagonal:D, then :noise=VALUE, :spread=VALUE; D a whole number from "
                       "1 to {}",
                       std::numeric_limits<int>::max()));
  }
  std::optional<double> noise;
  std::optional<double> spread;
  while (!rest.empty()) {
    const std::string_view part = take_part(rest);
    const std::string_view name = part.substr(0, part.find('='));
    if (name != "noise" && name != "spread") {
      throw std::invalid_argument(
          unknown_name_message(fmt::format("{}: setting", text), name, {"noise", "spread"}));
    }
    std::optional<double>& setting = name == "noise" ? noise : spread;
    if (setting) refuse(text, fmt::format("{} is given twice", name));
    setting = parse_number<double>(part.substr(std::min(part.size(), name.size() + 1)));
    if (!setting || *setting < 0) {
      refuse(text, fmt::format("{}: expected {}=VALUE with a finite number of at least 0", part, name));
    }
  }
  return {.dimension = *dimension, .noise = noise.value_or(0), .spread = spread.value_or(0)};
}

/// The linear term of a job, b_i − noise · ξ, is drawn as its minibatch.
class Tridiagonal::Engine final : public GradientEngine {
 public:
  Engine(const Tridiagonal& owner, const StreamRef& stream)
      : owner_(owner),
        stream_(stream),
        drawn_(stream.device(), owner.dimension()),
        offset_(stream, stream.device().backend == Backend::cpu ? 0 : owner.dimension()) {}

  void enqueue_minibatch(int worker, std::uint64_t job) override {
    stream_.host("minibatch", [this, worker, job] { draw(worker, job); });
    if (offset_.size() > 0) stream_.copy(offset_.ref(), host_view(drawn_.data(), offset_.size()));
  }

  void enqueue_gradient(int, BufferRef<const float> model, BufferRef<float> gradient, float* loss) override {
    TridiagonalGradient operation;
    operation.dimension = owner_.dimension();
    operation.offset = offset_.size() > 0 ? offset_.ref().data() : drawn_.data();
    operation.parameters = model.data();
    operation.gradient = gradient.data();
    operation.loss = loss;
    stream_.enqueue(operation);
  }

 private:
  void draw(int worker, std::uint64_t job) {
    const std::span<const float> b = owner_.offset(worker);
    std::copy(b.begin(), b.end(), drawn_.data());
    if (owner_.options_.noise == 0) return;
    Random random(owner_.seed_, Purpose::gradient_noise, static_cast<std::uint64_t>(worker), job);
    for (std::size_t i = 0; i < b.size(); ++i) {
      drawn_.data()[i] -= static_cast<float>(owner_.options_.noise * random.normal());
    }
  }

  const Tridiagonal& owner_;
  StreamRef stream_;
  PinnedBuffer<float> drawn_;
  Buffer<float> offset_;  // where the device cannot read drawn_, else empty
};

Tridiagonal::Tridiagonal(const TridiagonalOptions& options, int workers, std::uint64_t seed)
    : options_(options), workers_(workers), seed_(seed) {
  if (workers < 1) throw std::invalid_argument(fmt::format("{} workers, expected at least 1", workers));
  layout_.add("x", {options.dimension});
  offsets_.resize(dimension());
  offsets_.front() = -0.25F;
  mean_offset_.assign(offsets_.begin(), offsets_.end());
  if (options.spread > 0) draw_offsets();
}

void Tridiagonal::draw_offsets() {
  const std::size_t d = dimension();
  const auto n = static_cast<std::size_t>(workers_);
  const std::vector<float> b = offsets_;
  offsets_.resize(n * d);
  std::vector<double> mean(d);
  for (std::size_t worker = 0; worker < n; ++worker) {
    Random random(options_.problem_seed.value_or(seed_), Purpose::heterogeneity, worker);
    for (std::size_t i = 0; i < d; ++i) {
      const auto drawn = static_cast<float>(random.normal());
      offsets_[worker * d + i] = drawn;
      mean[i] += static_cast<double>(drawn) / workers_;
    }
  }
  std::ranges::fill(mean_offset_, 0.0);
  for (std::size_t worker = 0; worker < n; ++worker) {
    for (std::size_t i = 0; i < d; ++i) {
      float& value = offsets_[worker * d + i];
      value = static_cast<float>(static_cast<double>(b[i]) +
                                 options_.spread * (static_cast<double>(value) - mean[i]));
      mean_offset_[i] += static_cast<double>(value) / workers_;
    }
  }
}

std::span<const float> Tridiagonal::offset(int worker) const {
  const std::size_t d = dimension();
  const std::size_t row = options_.spread > 0 ? static_cast<std::size_t>(worker) : 0;
  return std::span(offsets_).subspan(row * d, d);
}

void Tridiagonal::initialise(std::span<float> model, std::uint64_t) const {
  std::ranges::fill(model, 0.0F);
  model.front() = static_cast<float>(std::sqrt(static_cast<double>(dimension())));
}

std::unique_ptr<GradientEngine> Tridiagonal::make_engine(const StreamRef& stream,
                                                         std::span<const int> /*workers*/) {
  return std::make_unique<Engine>(*this, stream);
}

EngineMemory Tridiagonal::engine_memory(Device device, std::span<const int> /*workers*/) const {
  if (device.backend == Backend::cpu) return {};
  return {.shared_bytes = 0, .engine_bytes = dimension() * sizeof(float)};
}

Evaluation Tridiagonal::evaluate(std::span<const float> model, const BreakOff& break_off) {
  Evaluation evaluation;
  evaluation.loss = full_gradient(model, {}, break_off);
  return evaluation;
}

/// xᵀA x = ½ Σ x_i² − ½ Σ x_i x_{i+1}, as ¼ (x_1² + Σ (x_i − x_{i+1})² + x_d²), where nothing cancels.
double Tridiagonal::full_gradient(std::span<const float> model, std::span<double> gradient,
                                  const BreakOff& break_off) {
  constexpr std::size_t elements_between_looks = 1 << 20;
  double squares = 0;
  double linear = 0;
  double previous = 0;
  for (std::size_t i = 0; i < model.size(); ++i) {
    if (i % elements_between_looks == 0) break_off.check();
    const auto x = static_cast<double>(model[i]);
    squares += (x - previous) * (x - previous);
    linear += mean_offset_[i] * x;
    if (!gradient.empty()) {
      const double next = i + 1 < model.size() ? static_cast<double>(model[i + 1]) : 0;
      gradient[i] = ((x - previous) + (x - next)) / 4 - mean_offset_[i];
    }
    previous = x;
  }
  squares += previous * previous;
  return squares / 8 - linear;
}

}  // namespace tardigrad::models
