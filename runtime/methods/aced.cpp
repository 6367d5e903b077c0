#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "runtime/methods/parts.h"

namespace tardigrad {
namespace {

/// Keeps rows that hold the newest gradient of each worker, with ū the mean of those whose gradient was
/// computed at a model no more than R versions old. Each row that is filled enters ū once and leaves it once
/// at most: O(1) rows are read an arrival, amortised.
class RecentRows {
 public:
  RecentRows(std::uint64_t most_age, std::optional<LostRows> of_lost)
      : most_age_(most_age), of_lost_(of_lost.value_or(LostRows::keep)) {}

  /// Empties all rows, which count as zeros.
  void reset(int workers);

  /// Appends what puts the arrived gradient into its row, and makes ū the mean of the rows that are recent
  /// at the version before the update.
  void fold(const Arrival& arrival, Actions& actions);

  /// Takes the row out of the mean where it is empty, or to be dropped. Otherwise it grows old.
  void lose(int worker, Actions& actions);

  int counting() const { return counting_; }
  bool filled(int worker) const { return filled_[index(worker)]; }

  void visit_state(StateArchive& state);

 private:
  using Place = std::pair<std::uint64_t, int>;  // version and worker

  static std::size_t index(int worker) { return static_cast<std::size_t>(worker); }
  Place place(int worker) const { return {versions_[index(worker)], worker}; }
  void expire(std::uint64_t version, Actions& actions);
  void leave(std::vector<int> rows, Actions& actions);
  void enter(int worker, Actions& actions);

  std::uint64_t most_age_;  // R
  LostRows of_lost_;
  std::vector<bool> counts_;
  std::vector<bool> filled_;
  std::vector<std::uint64_t> versions_;  // v_i, of filled rows
  std::set<Place> oldest_first_;         // filled rows that count
  int counting_ = 0;
  int most_counting_ = 0;  // since the mean was last set anew
};

void RecentRows::reset(int workers) {
  counts_.assign(index(workers), true);
  filled_.assign(index(workers), false);
  versions_.assign(index(workers), 0);
  counting_ = most_counting_ = workers;
}

void RecentRows::fold(const Arrival& arrival, Actions& actions) {
  const std::size_t row = index(arrival.worker);
  const bool recent = arrival.staleness <= most_age_;
  // A row that counts and gets a recent gradient goes on counting, however old the one before is by now.
  if (recent) oldest_first_.erase(place(arrival.worker));
  expire(arrival.version + arrival.staleness, actions);
  filled_[row] = true;
  versions_[row] = arrival.version;
  const bool counted = counts_[row];
  actions.emplace_back(FoldRow{arrival.worker, 1, Table::main, counted});
  if (recent && !counted) enter(arrival.worker, actions);
  if (recent) oldest_first_.insert(place(arrival.worker));
}

/// Lets rows leave that are too old for the model of that version.
void RecentRows::expire(std::uint64_t version, Actions& actions) {
  if (version <= most_age_) return;
  const auto end = oldest_first_.lower_bound({version - most_age_, std::numeric_limits<int>::min()});
  std::vector<int> rows;
  for (auto at = oldest_first_.begin(); at != end; ++at) rows.push_back(at->second);
  oldest_first_.erase(oldest_first_.begin(), end);
  leave(std::move(rows), actions);
}

/// Where half of the rows are gone that counted, the mean is set anew from the others, which are as many at
/// most: so what it was off by grows twofold at most.
void RecentRows::leave(std::vector<int> rows, Actions& actions) {
  if (rows.empty()) return;
  counting_ -= static_cast<int>(rows.size());
  const bool anew = 2 * counting_ <= most_counting_;
  for (const int row : rows) {
    counts_[index(row)] = false;
    actions.emplace_back(CountRow{row, false, !anew});
  }
  if (!anew) return;
  actions.emplace_back(AverageRows{});
  most_counting_ = counting_;
}

void RecentRows::enter(int worker, Actions& actions) {
  counts_[index(worker)] = true;
  most_counting_ = std::max(most_counting_, ++counting_);
  actions.emplace_back(CountRow{worker, true, true});
}

void RecentRows::lose(int worker, Actions& actions) {
  if (!counts_[index(worker)] || (filled(worker) && of_lost_ == LostRows::keep)) return;
  oldest_first_.erase(place(worker));
  leave({worker}, actions);
}

void RecentRows::visit_state(StateArchive& state) {
  state.flags("counts", counts_, counts_.size());
  state.flags("filled", filled_, filled_.size());
  state.numbers("versions", versions_, versions_.size(), std::uint64_t{0}, ~std::uint64_t{0});
  state.number("most_counting", most_counting_, 0, static_cast<int>(counts_.size()));
  counting_ = static_cast<int>(std::ranges::count(counts_, true));
  oldest_first_.clear();
  for (int row = 0; row < std::ssize(counts_); ++row) {
    if (counts_[index(row)] && filled_[index(row)]) oldest_first_.insert(place(row));
  }
}

/// ACED (Chang et al. 2025, the delay-aware ACE): every arrival replaces its worker's row, and steps along
/// the mean of the rows whose gradients were computed at a model no more than R versions old, by default 10
/// n; where there is none, it makes no update. With R = ∞ it is DuDe-ASGD.
///
/// The warm-up is that of DuDe: every worker computes once at x⁰ and waits for the others. Nobody waits for
/// the lost, whose rows grow too old like any other, or, with LostRows::drop, leave the mean at once.
///
/// Source: Mitigating Participation Imbalance Bias in Asynchronous Federated Learning, arXiv:2511.19066.
class Aced final : public Method {
 public:
  explicit Aced(const MethodOptions& options)
      : workers_(options.workers), waiting_(1), rows_(most_row_age_in_aced(options), options.lost_rows) {}

  ServerMemory memory() const override { return {.tables = 1, .mean = true}; }

  void start(Actions& actions) override {
    waiting_.reset(workers_);
    rows_.reset(workers_);
    hand_over_to_all(workers_, actions);
  }

  void arrive(const Arrival& arrival, Actions& actions) override {
    rows_.fold(arrival, actions);
    waiting_.arrive(arrival.worker);
    go_on_if_enough(actions);
  }

  void lose(int worker, Actions& actions) override {
    rows_.lose(worker, actions);
    waiting_.lose(worker);
    go_on_if_enough(actions);
  }

  void regain(int worker, Actions& actions) override {
    waiting_.regain(worker);
    actions.emplace_back(HandOver{worker});
  }

  void visit_state(StateArchive& state) override {
    state.object("rows", [this](StateArchive& inner) { rows_.visit_state(inner); });
    waiting_.visit_state(state, [this](int worker) { return rows_.filled(worker); });
  }

 private:
  void go_on_if_enough(Actions& actions) {
    if (!waiting_.enough()) return;
    if (rows_.counting() > 0) actions.emplace_back(Step{});
    waiting_.begin(actions);
  }

  int workers_;
  WaitingWorkers waiting_;
  RecentRows rows_;
};

}  // namespace

std::uint64_t most_row_age_in_aced(const MethodOptions& options) {
  constexpr std::uint64_t rounds_by_default = 10;
  if (!options.delay_threshold) return rounds_by_default * static_cast<std::uint64_t>(options.workers);
  return static_cast<std::uint64_t>(option_or(options.delay_threshold, 0, "--delay-threshold", 0));
}

std::unique_ptr<Method> make_aced(const MethodOptions& options) { return std::make_unique<Aced>(options); }

}  // namespace tardigrad
