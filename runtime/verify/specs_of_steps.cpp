// Methods that step along every gradient that arrives.

#include <algorithm>
#include <limits>
#include <utility>

#include "runtime/verify/method_spec.h"

namespace tardigrad {
namespace {

constexpr std::uint64_t any_count = std::numeric_limits<std::uint64_t>::max();

/// asgd: step, and go on.
class AsgdPromise : public MethodSpec {
 public:
  Decision arrive(const Arrival& arrival, const JobLedger&) override {
    return {.step = 1.0, .hand_overs = {arrival.worker}};
  }
};

/// asgd-delay-adaptive: shorter steps above τ_C.
class DelayAdaptivePromise final : public MethodSpec {
 public:
  explicit DelayAdaptivePromise(const MethodOptions& options) : options_(options) {}

  Decision arrive(const Arrival& arrival, const JobLedger&) override {
    return {.step = scale(static_cast<double>(arrival.staleness)),
            .hand_overs = {arrival.worker},
            .scale_tolerance = 1e-14};  // a few roundings, in whatever order
  }

 private:
  double scale(double staleness) const {
    const double threshold = options_.delay_threshold.value_or(options_.workers);
    if (staleness <= threshold) return 1;
    if (!options_.smoothness) return threshold / staleness;
    return std::min(options_.lr, 1 / (4 * *options_.smoothness * staleness)) / options_.lr;
  }

  MethodOptions options_;
};

/// asgd-rescaled: τ_i/τ_h of those that work and are known, summed afresh each time.
class RescaledPromise final : public MethodSpec {
 public:
  explicit RescaledPromise(const MethodOptions& options)
      : given_(!options.compute_times.empty()),
        times_(options.compute_times),
        observations_(static_cast<std::size_t>(options.workers)) {}

  Decision start(const JobLedger& jobs) override {
    if (!given_) times_.assign(observations_.size(), 0);
    std::ranges::fill(observations_, 0);
    return MethodSpec::start(jobs);
  }

  Decision arrive(const Arrival& arrival, const JobLedger& jobs) override {
    const auto worker = static_cast<std::size_t>(arrival.worker);
    if (!given_ && arrival.compute_time > 0) {
      const auto count = static_cast<double>(++observations_[worker]);
      times_[worker] += (arrival.compute_time - times_[worker]) / count;
    }
    // The method's sum of rates runs on for n changes; what rounding leaves of rates that were much larger is
    // far below this as long as times don't differ by nine digits.
    return {.step = scale(times_[worker], jobs), .hand_overs = {arrival.worker}, .scale_tolerance = 1e-6};
  }

  void visit_state(StateArchive& state) override {
    if (given_) return;
    state.reals("times", times_, observations_.size());
    state.numbers("observations", observations_, observations_.size(), std::uint64_t{0}, any_count);
  }

 private:
  double scale(double time, const JobLedger& jobs) const {
    if (time <= 0) return 1;
    double rates = 0;
    double known = 0;
    for (const int worker : jobs.working()) {
      const double other = times_[static_cast<std::size_t>(worker)];
      if (other <= 0) continue;
      rates += 1 / other;
      ++known;
    }
    return time * rates / known;
  }

  bool given_;
  std::vector<double> times_;  // τ_i; 0: not known
  std::vector<std::uint64_t> observations_;
};

/// asgd-uniform: the next job is anybody's; that n are outstanding is for the JobLedger.
class UniformPromise : public MethodSpec {
 public:
  Decision arrive(const Arrival&, const JobLedger&) override { return {.step = 1.0, .to_anybody = true}; }
  Decision lose(int, const JobLedger&) override { return {.to_anybody = true}; }
  Decision regain(int, const JobLedger&) override { return {.to_anybody = true}; }
};

/// asgd-shuffled: each worker is drawn once in n draws. While nobody is ever lost, that is: the numbers of
/// their draws differ by one at most. From any loss or return on, which may be in the middle of an order with
/// turns left out, by two at most.
class ShuffledPromise final : public UniformPromise {
 public:
  explicit ShuffledPromise(int workers) : draws_(static_cast<std::size_t>(workers)) {}

  Decision start(const JobLedger& jobs) override {
    begin(1);
    begun_ = true;
    return MethodSpec::start(jobs);
  }
  Decision lose(int, const JobLedger&) override {
    begin(2);
    return {.to_anybody = true};
  }
  Decision regain(int, const JobLedger&) override {
    begin(2);
    return {.to_anybody = true};
  }

  void check(const Decision& found, const JobLedger& jobs, const MeanLedger&, Checks& checks) override {
    if (std::exchange(begun_, false)) return;  // the first jobs are not drawn
    for (const int worker : found.hand_overs) ++draws_[static_cast<std::size_t>(worker)];
    std::uint64_t least = any_count;
    std::uint64_t most = 0;
    for (const int worker : jobs.working()) {
      least = std::min(least, draws_[static_cast<std::size_t>(worker)]);
      most = std::max(most, draws_[static_cast<std::size_t>(worker)]);
    }
    checks.require(most <= least || most - least <= most_apart_,
                   "asgd-shuffled draws each worker once in n draws: one was drawn {} times, another {}",
                   most, least);
  }

  void visit_state(StateArchive& state) override {
    state.numbers("draws", draws_, draws_.size(), std::uint64_t{0}, any_count);
    state.number("most_apart", most_apart_, std::uint64_t{1}, std::uint64_t{2});
    if (state.restoring()) begun_ = false;
  }

 private:
  void begin(std::uint64_t most_apart) {
    std::ranges::fill(draws_, 0);
    most_apart_ = most_apart;
  }

  std::vector<std::uint64_t> draws_;  // of each worker, since the latest loss or return
  std::uint64_t most_apart_ = 1;
  bool begun_ = false;
};

/// ringmaster: jobs whose staleness reached R by the step are begun again.
class RingmasterPromise final : public MethodSpec {
 public:
  explicit RingmasterPromise(const MethodOptions& options)
      : threshold_(static_cast<std::uint64_t>(options.delay_threshold.value_or(options.workers))) {}

  std::uint64_t most_staleness() const override { return threshold_ - 1; }

  Decision arrive(const Arrival& arrival, const JobLedger& jobs) override {
    Decision decision{.step = 1.0};
    for (const int worker : jobs.working()) {
      if (!jobs.has_job(worker)) continue;  // the one that arrives
      if (jobs.version() + 1 - jobs.job_version(worker) >= threshold_) decision.discards.push_back(worker);
    }
    decision.hand_overs = decision.discards;
    decision.hand_overs.push_back(arrival.worker);
    std::ranges::sort(decision.hand_overs);
    return decision;
  }

 private:
  std::uint64_t threshold_;  // R
};

}  // namespace

std::unique_ptr<MethodSpec> make_promise_of_steps(std::string_view name, const MethodOptions& options) {
  if (name == "asgd") return std::make_unique<AsgdPromise>();
  if (name == "asgd-delay-adaptive") return std::make_unique<DelayAdaptivePromise>(options);
  if (name == "asgd-rescaled") return std::make_unique<RescaledPromise>(options);
  if (name == "asgd-uniform") return std::make_unique<UniformPromise>();
  if (name == "asgd-shuffled") return std::make_unique<ShuffledPromise>(options.workers);
  if (name == "ringmaster") return std::make_unique<RingmasterPromise>(options);
  return nullptr;
}

}  // namespace tardigrad
