#include "models/cuda/plans.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <optional>
#include <vector>

#include "kernels/random.h"
#include "models/cuda/graph_cache.h"
#include "models/cuda/plan_cache.h"
#include "runtime/base/say.h"
#include "runtime/device/cuda/native_call.h"
#include "runtime/device/start_times.h"

namespace tardigrad::models::cuda {
namespace {

struct ChooseAlgorithms {
  static constexpr const char* name = "choose algorithms";
};

/// What a plan is good for.
struct Use {
  Device device;
  std::string architecture;  ///< Its digest.
  ImageShape images;
  std::vector<std::vector<std::int64_t>> parameters;  ///< Shapes.
  int batch = 0;
  NetworkOptions options;

  bool operator==(const Use&) const = default;
};

/// Returns so many numbers up to `most`, of either sign.
template <typename Number>
std::vector<Number> noise(std::size_t size, float most) {
  constexpr std::size_t period = 4099;  // prime, so that neighbouring rows differ
  std::vector<Number> numbers(size);
  Random random(1, Purpose::initialise);
  for (std::size_t i = 0; i < size; ++i) {
    numbers[i] = i < period ? nearest<Number>(most * static_cast<float>(2 * random.uniform() - 1))
                            : numbers[i - period];
  }
  return numbers;
}

/// Runs steps of a network as an engine will, to see whether they work and how long they take.
class Trial {
 public:
  Trial(const StreamRef& stream, Network& network, std::size_t dimension, bool graphs)
      : stream_(stream),
        network_(network),
        parameters_(stream, dimension),
        gradient_(stream, dimension),
        loss_(stream, 1),
        graphs_(stream.device(), graphs) {
    stream.zero(parameters_.ref());
    // Directly, captured, and from the graph.
    for (int i = 0; i < 3; ++i) step();
    stream.synchronize();
  }

  /// Seconds of a step: of the fastest of a few series, on noise, since with zeros all ReLUs are closed, and
  /// what is left out then takes no time.
  double time() {
    fill_with_noise();
    constexpr int series = 3;
    constexpr int most_steps = 20;
    constexpr double series_s = 0.02;
    const int steps =
        std::clamp(static_cast<int>(series_s / std::max(time(1), series_s / most_steps)), 1, most_steps);
    double fastest = time(steps);
    for (int i = 1; i < series && fastest < series_s; ++i) fastest = std::min(fastest, time(steps));
    return fastest / steps;
  }

 private:
  void fill_with_noise() {
    constexpr float most_weight = 0.05F;
    const std::vector<float> parameters = noise<float>(parameters_.size(), most_weight);
    stream_.copy(parameters_.ref(), host_view<const float>(parameters.data(), parameters.size()));
    visit_element(network_.blueprint().element, [this]<typename Number>() {
      const LaidOutMemory memory = network_.memory();
      const std::vector<Number> images =
          noise<Number>(memory.blueprint[memory.blueprint.images].shape.size(), 1);
      stream_.copy(BufferRef<Number>(static_cast<Number*>(memory.images()), images.size(), stream_.device()),
                   host_view<const Number>(images.data(), images.size()));
      stream_.synchronize();  // while there are images, and parameters
    });
  }

  void step() {
    tardigrad::cuda::call_native<ChooseAlgorithms>(stream_, [this](CudaStream native) {
      const GraphCache::Addresses addresses{parameters_.ref().data(), gradient_.ref().data(),
                                            loss_.ref().data()};
      graphs_.run(native, addresses,
                  [&] { network_.gradient(native, addresses.model, addresses.gradient, addresses.loss); });
    });
  }

  /// Of `steps` steps in a row.
  double time(int steps) {
    TimedEvent begin(stream_.device());
    TimedEvent end(stream_.device());
    stream_.record(begin);
    for (int i = 0; i < steps; ++i) step();
    stream_.record(end);
    end.synchronize();
    return seconds_between(begin, end);
  }

  StreamRef stream_;
  Network& network_;
  Buffer<float> parameters_;
  Buffer<float> gradient_;
  Buffer<float> loss_;
  GraphCache graphs_;
};

/// The network's fastest algorithms, and how long a step takes with them; only whether they work where
/// nothing may be measured.
double choose(const StreamRef& stream, Network& network, std::size_t dimension, const NetworkOptions& options,
              Plan& plan) {
  tardigrad::cuda::call_native<ChooseAlgorithms>(stream, [&](CudaStream native) {
    plan = network.choose(native, {options.deterministic, options.workspace_limit});
  });
  network.use(plan);
  Trial trial(stream, network, dimension, options.graphs);
  return options.deterministic ? 0 : trial.time();
}

/// Tells whether steps take so much less time by another plan that it is worth its memory. The two take
/// turns, and one is in memory at a time.
bool is_faster(const StreamRef& stream, const Architecture& architecture, int batch, bool graphs,
               const Plan& plan, const Plan& other) try {
  constexpr double least_gain = 1.03;  // measurements differ by less anyway
  constexpr int turns = 2;
  const Plan* const plans[] = {&plan, &other};
  double times[] = {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  for (int turn = 0; turn < turns; ++turn) {
    for (int i = 0; i < 2; ++i) {
      Network network(stream, architecture, batch, plans[i]->way);
      network.use(*plans[i]);
      Trial trial(stream, network, architecture.layout().dimension(), graphs);
      times[i] = std::min(times[i], trial.time());
    }
  }
  return times[1] * least_gain < times[0];
} catch (const DeviceError&) {
  stream.synchronize();  // throws where the device is beyond help
  return false;
}

/// The plan with engines of cuDNN's graph interface, where any is faster than what it has; of those that
/// leave gradients of weights beside the way down possible.
std::optional<Plan> with_engines(const StreamRef& stream, const Architecture& architecture, int batch,
                                 const NetworkOptions& options, Plan plan) try {
  const std::size_t limit =
      options.graphs ? std::min(options.workspace_limit, most_workspace_beside) : options.workspace_limit;
  Network network(stream, architecture, batch, plan.way);
  tardigrad::cuda::call_native<ChooseAlgorithms>(stream, [&](CudaStream native) {
    network.add_engines(native, {options.deterministic, limit}, plan);
  });
  stream.synchronize();
  if (!plan.has_engines()) return std::nullopt;
  return plan;
} catch (const DeviceError&) {
  stream.synchronize();  // throws where the device is beyond help
  return std::nullopt;
}

/// The plan with gradients of weights beside the way down, where that is worth trying.
std::optional<Plan> beside(const Architecture& architecture, int batch, Plan plan) {
  if (plan.weight_workspace_bytes() > most_workspace_beside) return std::nullopt;
  const auto blueprint = blueprint_beside(architecture, batch, plan.way);
  if (!blueprint) return std::nullopt;
  plan.way = blueprint->way;
  return plan;
}

/// The best of those by cuDNN's legacy interface and cuBLASLt that compute everything on one stream.
Plan best_plan_of_libraries(const StreamRef& stream, const Architecture& architecture, int batch,
                            const NetworkOptions& options) {
  std::optional<Plan> best;
  double best_time = std::numeric_limits<double>::infinity();
  std::string reason;
  for (const WayToCompute& way : ways_to_compute(architecture, options.precision, options.deterministic)) {
    try {
      Network network(stream, architecture, batch, way);
      Plan plan;
      const double time = choose(stream, network, architecture.layout().dimension(), options, plan);
      stream.synchronize();
      if (time < best_time) {
        best = plan;
        best_time = time;
      }
      if (options.deterministic) break;
    } catch (const DeviceError& error) {
      reason = error.what();
      stream.synchronize();  // throws where the device is beyond help
    }
  }
  if (best) return *best;
  throw DeviceError(stream.device(),
                    fmt::format("{}: no way to compute {} at batch size {} in {}: {}", stream.device().name(),
                                architecture.name(), batch, name_of(options.precision), reason));
}

Plan best_plan(const StreamRef& stream, const Architecture& architecture, int batch,
               const NetworkOptions& options) {
  Plan best = best_plan_of_libraries(stream, architecture, batch, options);
  if (options.deterministic) return best;
  const auto try_instead = [&](const std::optional<Plan>& other) {
    if (other && is_faster(stream, architecture, batch, options.graphs, best, *other)) best = *other;
  };
  if (has_convolutions(architecture)) try_instead(with_engines(stream, architecture, batch, options, best));
  if (may_fuse_first_layers(architecture)) try_instead(best.fused());
  if (options.graphs) try_instead(beside(architecture, batch, best));
  return best;
}

/// Tells whether a network can be computed by a plan that comes from a file.
bool works(const StreamRef& stream, const Architecture& architecture, int batch,
           const NetworkOptions& options, const Plan& plan) try {
  if (!is_way_of(architecture, plan.way)) return false;
  Network network(stream, architecture, batch, plan.way);
  if (!network.fits(plan)) return false;
  network.use(plan);
  const Trial trial(stream, network, architecture.layout().dimension(), options.graphs);
  return true;
} catch (const DeviceError&) {
  stream.synchronize();  // throws where the device is beyond help
  return false;
}

/// The plan that is kept from an earlier run, or the best one.
Plan kept_or_best_plan(const StreamRef& stream, const Architecture& architecture, int batch,
                       const NetworkOptions& options) {
  const PlanCache cache(options.plan_folder);
  const std::string key = plan_key(stream.device(), architecture, batch, options);
  if (!options.choose_anew) {
    if (const auto kept = cache.load(key)) {
      if (works(stream, architecture, batch, options, *kept)) return *kept;
      say_line("{}: does not work here; how to compute is chosen anew", cache.file_of(key).string());
    }
  }
  Plan best = best_plan(stream, architecture, batch, options);
  cache.store(key, best);
  return best;
}

/// One plan at a time is measured in the whole process, so that none disturbs another.
Plan plan_for(const StreamRef& stream, const Architecture& architecture, int batch,
              const NetworkOptions& options) {
  static std::mutex mutex;
  static std::vector<std::pair<Use, Plan>> plans;
  Use use{.device = stream.device(),
          .architecture = architecture.digest(),
          .images = architecture.input(),
          .parameters = {},
          .batch = batch,
          .options = options};
  for (const TensorSpec& tensor : architecture.layout().tensors()) use.parameters.push_back(tensor.shape);
  const std::lock_guard lock(mutex);
  const auto known = std::ranges::find(plans, use, &std::pair<Use, Plan>::first);
  if (known != plans.end()) return known->second;
  const StartPart part("choice of algorithms");
  plans.emplace_back(use, kept_or_best_plan(stream, architecture, batch, options));
  return plans.back().second;
}

}  // namespace

std::unique_ptr<Network> make_network(const StreamRef& stream, const Architecture& architecture, int batch,
                                      const NetworkOptions& options) {
  NetworkOptions choice = options;
  choice.one_stream = choice.unfused = choice.legacy = false;  // which leave the rest as it is
  Plan plan = plan_for(stream, architecture, batch, choice);
  if (options.unfused) plan = plan.unfused();
  if (options.legacy) plan = plan.legacy();
  if (options.one_stream) plan.way.parameter_gradients = ParameterGradients::in_turn;
  auto network = std::make_unique<Network>(stream, architecture, batch, plan.way);
  network->use(plan);
  return network;
}

}  // namespace tardigrad::models::cuda
