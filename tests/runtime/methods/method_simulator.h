#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <queue>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/methods/method.h"

namespace tardigrad::testing {

using Vector = std::vector<double>;

/// What a method is driven on.
struct SimulatedProblem {
  int workers = 0;
  Vector x0;
  double lr = 0;
  std::function<double(int worker, std::uint64_t job)> duration;
  std::function<Vector(int worker, std::uint64_t job, const Vector& x)> gradient;
};

struct SimulatedUpdate {
  double time = 0;
  int worker = 0;               ///< whose arrival made it
  std::uint64_t staleness = 0;  ///< see Step
  double step_size = 0;
};

/// What happened last.
struct SimulatedArrival {
  double time = 0;
  Arrival arrival;
  Vector gradient;
  Actions actions;
};

/// A Method driven in virtual time, its actions carried out in double as method.h words them and nothing
/// else: no fusing, no devices. Arrivals come in the order (end time, worker); a worker does its jobs first
/// in, first out; the numbers of its jobs go on where one is thrown away. Throws std::logic_error where a
/// method breaks its contract. Weights of folds are reciprocals of counts, rounded to float; they are taken
/// as the reciprocals they stand for, so that results can be compared to more than seven digits.
///
/// Workers can be lost and come back between arrivals.
class MethodSimulator {
 public:
  MethodSimulator(Method& method, SimulatedProblem problem)
      : method_(method),
        problem_(std::move(problem)),
        memory_(method.memory()),
        x_(problem_.x0),
        mean_(x_.size(), 0),
        main_(static_cast<std::size_t>(problem_.workers), mean_),
        next_(main_),
        kept_(static_cast<std::size_t>(memory_.kept_rows), Vector(x_.size(), std::nan(""))),
        corrected_(x_.size(), std::nan("")),
        main_counts_(main_.size(), true),
        next_counts_(main_counts_),
        workers_(main_.size()) {
    method_.start(latest_.actions);
    carry_out();
  }

  /// The next arrival and what the method makes of it.
  const SimulatedArrival& next() {
    const End end = next_end();
    now_ = end.time;
    Worker& worker = workers_[static_cast<std::size_t>(end.worker)];
    const Job job = std::move(*worker.in_flight);
    worker.in_flight.reset();
    --outstanding_;
    latest_.time = now_;
    latest_.arrival = {end.worker, job.version, version_ - job.version,
                       problem_.duration(end.worker, job.number)};
    latest_.gradient = problem_.gradient(end.worker, job.number, job.x);
    latest_.actions.clear();
    require(++arrivals_since_update_ < 100'000, "no update in sight");
    method_.arrive(latest_.arrival, latest_.actions);
    carry_out();
    return latest_;
  }

  /// Throws away the worker's jobs; what the method makes of that.
  const SimulatedArrival& lose(int worker) {
    Worker& lost = workers_[static_cast<std::size_t>(worker)];
    outstanding_ -= static_cast<int>(lost.queued.size()) + (lost.in_flight ? 1 : 0);
    lost.in_flight.reset();
    lost.queued.clear();
    lost.works = false;
    return tell(worker, &Method::lose);
  }

  const SimulatedArrival& regain(int worker) {
    workers_[static_cast<std::size_t>(worker)].works = true;
    return tell(worker, &Method::regain);
  }

  /// Goes on until so many updates are made.
  void run(std::size_t updates) {
    while (updates_.size() < updates) next();
  }

  const std::vector<SimulatedUpdate>& updates() const { return updates_; }
  const Vector& x() const { return x_; }
  const Vector& mean() const { return mean_; }
  const std::vector<Vector>& rows() const { return main_; }
  const std::vector<bool>& counting() const { return main_counts_; }  ///< rows
  bool works(int worker) const { return workers_[static_cast<std::size_t>(worker)].works; }
  int working() const {
    return static_cast<int>(std::ranges::count_if(workers_, [](const Worker& one) { return one.works; }));
  }
  int outstanding() const { return outstanding_; }  ///< jobs in flight or queued
  int discarded() const { return discarded_; }
  /// Returns how often a row entered or left the mean, or was read to set it anew.
  int row_operations() const { return row_operations_; }

 private:
  struct Job {
    std::uint64_t version = 0;
    Vector x;
    std::uint64_t number = 0;  // of the worker's jobs; also tells its end from those of discarded ones
  };

  struct Worker {
    std::optional<Job> in_flight;
    std::deque<Job> queued;
    std::uint64_t begun = 0;
    bool works = true;
  };

  struct End {
    double time;
    int worker;
    std::uint64_t job;
    auto operator<=>(const End&) const = default;
  };

  static void require(bool condition, const char* text) {
    if (!condition) throw std::logic_error(std::string("the method breaks its contract: ") + text);
  }

  static double reciprocal(float weight) {
    const double count = std::round(1 / static_cast<double>(weight));
    require(static_cast<float>(1 / count) == weight, "a weight is no reciprocal of a count");
    return 1 / count;
  }

  End next_end() {
    for (;;) {
      require(!ends_.empty(), "no job is in flight");
      const End end = ends_.top();
      ends_.pop();
      const auto& job = workers_[static_cast<std::size_t>(end.worker)].in_flight;
      if (job && job->number == end.job) return end;
    }
  }

  /// There is no gradient, whatever the method is told.
  const SimulatedArrival& tell(int worker, void (Method::*what)(int, Actions&)) {
    latest_ = {.time = now_, .arrival = {.worker = worker}, .gradient = {}, .actions = {}};
    (method_.*what)(worker, latest_.actions);
    carry_out();
    require(outstanding_ > 0 || working() == 0, "somebody works, and nobody has a job");
    return latest_;
  }

  void carry_out() {
    for (const Action& action : latest_.actions) {
      std::visit([this](const auto& one) { carry_out(one); }, action);
    }
    for (std::size_t i = 0; i < workers_.size(); ++i) begin_job(i);
  }

  void begin_job(std::size_t index) {
    Worker& worker = workers_[index];
    if (worker.in_flight || worker.queued.empty()) return;
    worker.in_flight = std::move(worker.queued.front());
    worker.queued.pop_front();
    const std::uint64_t number = worker.begun++;
    worker.in_flight->number = number;
    ends_.push({now_ + problem_.duration(static_cast<int>(index), number), static_cast<int>(index), number});
  }

  void carry_out(const FoldRow& fold) {
    require(memory_.tables > (fold.table == Table::main ? 0 : 1), "a fold into a table it does not keep");
    require(!fold.update_mean || fold.table == Table::main, "ū follows the main table only");
    require(!latest_.gradient.empty(), "no gradient to fold in");
    require(!fold.update_mean || main_counts_[static_cast<std::size_t>(fold.worker)],
            "a row that does not count");
    const double weight = reciprocal(fold.weight);
    Vector& row = (fold.table == Table::main ? main_ : next_)[static_cast<std::size_t>(fold.worker)];
    const Vector before = row;
    for (std::size_t i = 0; i < x_.size(); ++i) {
      row[i] = weight == 1 ? latest_.gradient[i] : row[i] + weight * (latest_.gradient[i] - row[i]);
      if (fold.update_mean) mean_[i] += (row[i] - before[i]) / counting_rows();
    }
    if (fold.update_mean) count_staleness();
    if (!fold.update_mean && fold.table == Table::main &&
        main_counts_[static_cast<std::size_t>(fold.worker)]) {
      mean_is_late_ = true;
    }
  }

  /// A row that was never kept shows: it is no number.
  void carry_out(const Correct& correct) {
    require(memory_.corrected, "a correction of a mean it does not keep");
    require(!correct.kept || !(correct.keep || correct.restart), "a kept row is kept, or begun with");
    const double weight = reciprocal(correct.weight);
    const Vector& row = main_[static_cast<std::size_t>(correct.worker)];
    if (correct.keep) kept_.at(static_cast<std::size_t>(*correct.keep)) = row;
    const Vector& base = correct.kept ? kept_.at(static_cast<std::size_t>(*correct.kept)) : row;
    for (std::size_t i = 0; i < x_.size(); ++i) {
      corrected_[i] = (correct.restart ? mean_[i] : corrected_[i]) + weight * (latest_.gradient[i] - base[i]);
    }
    carry_out(FoldRow{correct.worker});
  }

  void carry_out(const AverageRows&) {
    std::fill(mean_.begin(), mean_.end(), 0);
    for (std::size_t row = 0; row < main_.size(); ++row) {
      if (!main_counts_[row]) continue;
      for (std::size_t i = 0; i < x_.size(); ++i) mean_[i] += main_[row][i] / counting_rows();
    }
    row_operations_ += static_cast<int>(counting_rows());
    mean_is_late_ = false;
  }

  void carry_out(const CountRow& row) {
    const auto index = static_cast<std::size_t>(row.worker);
    require(!row.update_mean || !mean_is_late_, "a row that enters a mean that is late");
    const double others = counting_rows() - (main_counts_.at(index) ? 1 : 0);
    if (row.update_mean && row.counts != main_counts_[index]) {
      for (std::size_t i = 0; i < x_.size(); ++i) {
        const double entered = (others * mean_[i] + main_[index][i]) / (others + 1);
        const double left = others == 0 ? 0 : ((others + 1) * mean_[i] - main_[index][i]) / others;
        mean_[i] = row.counts ? entered : left;
      }
    }
    main_counts_[index] = row.counts;
    ++row_operations_;
    mean_is_late_ = mean_is_late_ || !row.update_mean;
  }

  /// Whoever reads a row of the emptied table before replacing it shows.
  void carry_out(const SwapTables&) {
    require(memory_.tables == 2, "a swap of tables it does not keep");
    std::swap(main_, next_);
    std::swap(main_counts_, next_counts_);
    for (Vector& row : next_) std::fill(row.begin(), row.end(), std::numeric_limits<double>::quiet_NaN());
    mean_is_late_ = true;
  }

  void carry_out(const Accumulate& add) {
    require(memory_.mean, "a sum into a mean it does not keep");
    require(!latest_.gradient.empty(), "no gradient to add");
    const double weight = reciprocal(add.weight);
    count_staleness();
    for (std::size_t i = 0; i < x_.size(); ++i) {
      mean_[i] = (add.restart ? 0 : mean_[i]) + weight * latest_.gradient[i];
    }
  }

  void carry_out(const ScaleMean& scale) {
    require(memory_.mean, "a mean is scaled that it does not keep");
    for (double& element : mean_) element *= scale.factor;
  }

  void carry_out(const Step& step) {
    arrivals_since_update_ = 0;
    require(!mean_is_late_, "a step without AverageRows after lazy folds");
    require(memory_.tables == 0 || counting_rows() > 0, "a step along the mean of no rows");
    const Vector& direction = memory_.corrected ? corrected_ : memory_.mean ? mean_ : latest_.gradient;
    require(!direction.empty(), "a step without a direction");
    for (std::size_t i = 0; i < x_.size(); ++i) x_[i] -= problem_.lr * step.scale * direction[i];
    ++version_;
    count_staleness();
    updates_.push_back({now_, latest_.arrival.worker, staleness_, problem_.lr * step.scale});
    staleness_ = 0;
  }

  void carry_out(const HandOver& hand_over) {
    require(works(hand_over.worker), "a job for a worker that is lost");
    workers_[static_cast<std::size_t>(hand_over.worker)].queued.push_back({version_, x_});
    ++outstanding_;
  }

  void carry_out(const Discard& discard) {
    auto& job = workers_[static_cast<std::size_t>(discard.worker)].in_flight;
    require(job.has_value(), "no job to throw away");
    job.reset();
    --outstanding_;
    ++discarded_;
  }

  double counting_rows() const { return static_cast<double>(std::ranges::count(main_counts_, true)); }

  void count_staleness() { staleness_ = std::max(staleness_, latest_.arrival.staleness); }

  Method& method_;
  SimulatedProblem problem_;
  ServerMemory memory_;
  Vector x_;
  Vector mean_;
  std::vector<Vector> main_;
  std::vector<Vector> next_;
  std::vector<Vector> kept_;
  Vector corrected_;
  std::vector<bool> main_counts_;
  std::vector<bool> next_counts_;
  std::vector<Worker> workers_;
  std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
  SimulatedArrival latest_;
  std::vector<SimulatedUpdate> updates_;
  double now_ = 0;
  std::uint64_t version_ = 0;
  std::uint64_t staleness_ = 0;  // of the next update so far
  int arrivals_since_update_ = 0;
  bool mean_is_late_ = false;  // there are lazy folds
  int outstanding_ = 0;
  int discarded_ = 0;
  int row_operations_ = 0;
};

}  // namespace tardigrad::testing
