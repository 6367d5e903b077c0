// msync, ca2fl and aced against their definitions, written a second time as plain sums over all workers:
// random quadratics, jobs of small whole times (so that many end together), any options.

#include <limits>
#include <map>

#include "tests/runtime/methods/method_scenario.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

constexpr std::size_t dimension = 3;

/// Drives one job a worker, in the order (end time, worker), and says what a method makes of it in O(n).
class Reference {
 public:
  explicit Reference(SimulatedProblem problem)
      : problem_(std::move(problem)), x_(problem_.x0), jobs_(static_cast<std::size_t>(problem_.workers)) {
    restart_all();
  }
  virtual ~Reference() = default;

  void run(std::size_t updates) {
    while (updates_.size() < updates) next();
  }

  const std::vector<SimulatedUpdate>& updates() const { return updates_; }
  const Vector& x() const { return x_; }

 protected:
  virtual void arrive(std::size_t worker, std::uint64_t version, const Vector& gradient) = 0;

  /// Begins the worker's next job, in the place of the one it has.
  void restart(std::size_t worker) {
    Job& job = jobs_[worker];
    const int index = static_cast<int>(worker);
    const double end = now_ + problem_.duration(index, job.begun);
    job = {true, end, version(), problem_.gradient(index, job.begun, x_), job.begun + 1};
  }

  void restart_all() {
    for (std::size_t worker = 0; worker < jobs_.size(); ++worker) restart(worker);
  }

  void step(const Vector& direction, std::uint64_t staleness) {
    for (std::size_t e = 0; e < x_.size(); ++e) x_[e] -= problem_.lr * direction[e];
    updates_.push_back({now_, arrived_, staleness, problem_.lr});
  }

  std::uint64_t version() const { return updates_.size(); }
  std::size_t workers() const { return jobs_.size(); }

 private:
  struct Job {
    bool runs = false;
    double end = 0;
    std::uint64_t version = 0;
    Vector gradient;
    std::uint64_t begun = 0;  // of the worker's jobs
  };

  void next() {
    const auto first = std::ranges::min_element(jobs_, {}, [](const Job& job) {
      return job.runs ? job.end : std::numeric_limits<double>::infinity();
    });
    now_ = first->end;
    arrived_ = static_cast<int>(first - jobs_.begin());
    first->runs = false;
    const Vector gradient = first->gradient;
    arrive(static_cast<std::size_t>(arrived_), first->version, gradient);
  }

  SimulatedProblem problem_;
  Vector x_;
  std::vector<Job> jobs_;
  double now_ = 0;
  int arrived_ = 0;
  std::vector<SimulatedUpdate> updates_;
};

void add(Vector& sum, const Vector& what, double weight) {
  for (std::size_t e = 0; e < sum.size(); ++e) sum[e] += weight * what[e];
}

/// x ← x − γ·mean of the first m at x^k.
class MsyncReference final : public Reference {
 public:
  MsyncReference(const SimulatedProblem& problem, int m) : Reference(problem), m_(m) {}

 private:
  void arrive(std::size_t, std::uint64_t, const Vector& gradient) override {
    add(sum_, gradient, 1.0 / m_);
    if (++came_ < m_) return;
    step(std::exchange(sum_, Vector(dimension)), 0);
    came_ = 0;
    restart_all();
  }

  int m_;
  int came_ = 0;
  Vector sum_ = Vector(dimension);
};

/// x ← x − γ·(mean_j h_j + acc/M), then h_i ← its newest g.
class Ca2flReference final : public Reference {
 public:
  Ca2flReference(const SimulatedProblem& problem, int gather)
      : Reference(problem), gather_(gather), cached_(workers(), Vector(dimension)) {}

 private:
  void arrive(std::size_t worker, std::uint64_t version_of_job, const Vector& gradient) override {
    add(acc_, gradient, 1);
    add(acc_, cached_[worker], -1);
    newest_[worker] = gradient;
    staleness_ = std::max(staleness_, version() - version_of_job);
    if (++came_ == gather_) update();
    restart(worker);
  }

  void update() {
    Vector direction(dimension);
    for (const Vector& cached : cached_) add(direction, cached, 1 / static_cast<double>(workers()));
    add(direction, acc_, 1.0 / gather_);
    step(direction, std::exchange(staleness_, 0));
    for (const auto& [worker, gradient] : newest_) cached_[worker] = gradient;
    newest_.clear();
    acc_ = Vector(dimension);
    came_ = 0;
  }

  int gather_;
  int came_ = 0;
  std::uint64_t staleness_ = 0;
  std::vector<Vector> cached_;  // h
  std::map<std::size_t, Vector> newest_;
  Vector acc_ = Vector(dimension);
};

/// x ← x − γ·(mean of the rows with k − v_i ≤ R).
class AcedReference final : public Reference {
 public:
  AcedReference(const SimulatedProblem& problem, std::uint64_t threshold)
      : Reference(problem), threshold_(threshold) {}

 private:
  void arrive(std::size_t worker, std::uint64_t version_of_job, const Vector& gradient) override {
    rows_[worker] = {version_of_job, gradient};
    if (rows_.size() < workers()) return;
    const bool warming_up = version() == 0;
    update(version() - version_of_job);
    warming_up ? restart_all() : restart(worker);
  }

  void update(std::uint64_t staleness) {
    Vector sum(dimension);
    int counting = 0;
    for (const auto& [worker, row] : rows_) {
      if (version() - row.first > threshold_) continue;
      add(sum, row.second, 1);
      ++counting;
    }
    if (counting == 0) return;
    Vector mean(dimension);
    add(mean, sum, 1.0 / counting);
    step(mean, staleness);
  }

  std::uint64_t threshold_;
  std::map<std::size_t, std::pair<std::uint64_t, Vector>> rows_;
};

/// f_i(x) = ½ Σ a_ie x_e² − b_ie x_e, with curvatures from ½ to 1½.
SimulatedProblem quadratic(const Scenario& scenario) {
  SimulatedProblem problem = scenario.problem();
  problem.x0 = {1, -2, 3};
  problem.lr = 1.0 / 64;
  problem.gradient = [seed = scenario.seed](int worker, std::uint64_t, const Vector& x) {
    Random random(seed, Purpose::initialise, static_cast<std::uint64_t>(worker));
    Vector gradient(x.size());
    for (std::size_t e = 0; e < x.size(); ++e) {
      const double curvature = 0.5 + random.uniform();
      gradient[e] = curvature * x[e] - 4 * (random.uniform() - 0.5);
    }
    return gradient;
  };
  return problem;
}

/// Sums in another order: some thousand roundings of values up to 8.
void expect_same(const char* name, const Scenario& scenario, const MethodOptions& options,
                 Reference& reference) {
  constexpr std::size_t updates = 150;
  const auto method = make_method(name, Simulated::complete(scenario, options));
  MethodSimulator simulator(*method, quadratic(scenario));
  simulator.run(updates);
  reference.run(updates);
  for (std::size_t k = 0; k < updates; ++k) {
    const SimulatedUpdate& made = simulator.updates()[k];
    const SimulatedUpdate& wanted = reference.updates()[k];
    RC_ASSERT(made.time == wanted.time);
    RC_ASSERT(made.worker == wanted.worker);
    RC_ASSERT(made.staleness == wanted.staleness);
  }
  for (std::size_t e = 0; e < dimension; ++e) {
    RC_ASSERT(std::abs(simulator.x()[e] - reference.x()[e]) <= 1e-9);
  }
}

RC_GTEST_PROP(MsyncReferenceProperty, MakesTheSameUpdates, ()) {
  const Scenario scenario = any_scenario();
  const int gather = *rc::gen::element(1, scenario.workers, any_from(1, scenario.workers, "gather"));
  MsyncReference reference(quadratic(scenario), gather);
  expect_same("msync", scenario, {.gather = gather}, reference);
}

RC_GTEST_PROP(Ca2flReferenceProperty, MakesTheSameUpdates, ()) {
  const Scenario scenario = any_scenario();
  const int gather = *rc::gen::element(1, scenario.workers, any_from(1, 100, "gather"));
  Ca2flReference reference(quadratic(scenario), gather);
  expect_same("ca2fl", scenario, {.gather = gather}, reference);
}

RC_GTEST_PROP(AcedReferenceProperty, MakesTheSameUpdates, ()) {
  const Scenario scenario = any_scenario();
  const int threshold = *rc::gen::element(0, 1, any_from(2, 100, "delay threshold"), 1'000'000'000);
  AcedReference reference(quadratic(scenario), static_cast<std::uint64_t>(threshold));
  expect_same("aced", scenario, {.delay_threshold = threshold}, reference);
}

/// Every row that leaves the mean has entered it by an arrival; setting the mean anew reads no more rows than
/// have left.
RC_GTEST_PROP(AcedProperty, ReadsAFewRowsAnArrival, ()) {
  const Scenario scenario = any_scenario();
  Simulated run("aced", scenario, {.delay_threshold = any_from(0, 60, "delay threshold")});
  constexpr int arrivals = 400;
  for (int arrival = 0; arrival < arrivals; ++arrival) run.simulator.next();
  RC_ASSERT(run.simulator.row_operations() <= 3 * (arrivals + scenario.workers));
}

std::vector<Actions> actions_of(const char* name, const Scenario& scenario, const MethodOptions& options) {
  Simulated run(name, scenario, options);
  std::vector<Actions> all;
  for (int arrival = 0; arrival < 300; ++arrival) all.push_back(run.simulator.next().actions);
  return all;
}

RC_GTEST_PROP(AcedProperty, IsDudeWithoutAThreshold, ()) {
  const Scenario scenario = any_scenario();
  RC_ASSERT(actions_of("aced", scenario, {.delay_threshold = 1'000'000'000}) ==
            actions_of("dude", scenario, {}));
}

RC_GTEST_PROP(MsyncProperty, IsSyncWithEverybody, ()) {
  const Scenario scenario = any_scenario();
  RC_ASSERT(actions_of("msync", scenario, {}) == actions_of("sync", scenario, {}));
}

}  // namespace
}  // namespace tardigrad
