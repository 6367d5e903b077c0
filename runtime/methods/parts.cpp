#include "runtime/methods/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>

namespace tardigrad {

int option_or(std::optional<int> given, int otherwise, std::string_view flag, int least) {
  if (given && *given < least) {
    throw std::invalid_argument(fmt::format("{} {}: expected {} or more", flag, *given, least));
  }
  return given.value_or(otherwise);
}

int gather_of_workers(const MethodOptions& options, int otherwise, std::string_view method) {
  const int gather = options.gather.value_or(otherwise);
  if (gather < 1) {
    throw std::invalid_argument(
        fmt::format("--gather {}: expected 1 to the number of workers with --method {}", gather, method));
  }
  if (gather > options.workers) {
    throw std::invalid_argument(
        fmt::format("--gather {}: expected 1 to the number of workers ({}) with --method {}", gather,
                    options.workers, method));
  }
  return gather;
}

// ---- Working ----

void Working::reset(int workers) {
  works_.assign(static_cast<std::size_t>(workers), true);
  list_.resize(works_.size());
  std::iota(list_.begin(), list_.end(), 0);
}

void Working::lose(int worker) {
  if (!has(worker)) throw std::logic_error(fmt::format("worker {} is lost already", worker));
  works_[static_cast<std::size_t>(worker)] = false;
  list_.erase(std::ranges::lower_bound(list_, worker));
}

void Working::regain(int worker) {
  if (has(worker)) throw std::logic_error(fmt::format("worker {} was not lost", worker));
  works_[static_cast<std::size_t>(worker)] = true;
  list_.insert(std::ranges::lower_bound(list_, worker), worker);
}

void Working::visit_state(StateArchive& state) {
  state.flags("working", works_, works_.size());
  list_.clear();
  for (std::size_t worker = 0; worker < works_.size(); ++worker) {
    if (works_[worker]) list_.push_back(static_cast<int>(worker));
  }
}

void hand_over_to_all(const Working& working, Actions& actions) {
  for (const int worker : working) actions.emplace_back(HandOver{worker});
}

void restart_all(const Working& working, std::optional<int> arrived, Actions& actions) {
  for (const int worker : working) {
    if (worker != arrived) actions.emplace_back(Discard{worker});
  }
  hand_over_to_all(working, actions);
}

// ---- GatheredGradients ----

bool GatheredGradients::add(Actions& actions) {
  actions.emplace_back(Accumulate{1.0F / static_cast<float>(size_), gathered_ == 0});
  if (++gathered_ < size_) return false;
  gathered_ = 0;
  return true;
}

// ---- WaitingWorkers ----

void WaitingWorkers::reset(int workers) {
  workers_ = workers;
  working_.reset(workers);
}

void WaitingWorkers::lose(int worker) {
  working_.lose(worker);
  std::erase(waiting_, worker);
}

bool WaitingWorkers::enough() const {
  const int wanted = begun_ ? std::min(size_, working_.count()) : working_.count();
  return !waiting_.empty() && std::ssize(waiting_) >= wanted;
}

void WaitingWorkers::begin(Actions& actions) {
  for (const int worker : waiting_) actions.emplace_back(HandOver{worker});
  waiting_.clear();
  begun_ = true;
}

void WaitingWorkers::visit_state(StateArchive& state, const std::function<bool(int worker)>& has_come) {
  working_.visit_state(state);
  state.flag("warm", begun_);
  state.workers("waiting", waiting_, workers_);
  if (!state.restoring()) return;
  const auto waits = [&](int worker) { return working_.has(worker) && has_come(worker); };
  if (!std::ranges::all_of(waiting_, waits)) state.refuse("waiting", "workers that have come");
  if (enough()) state.refuse("waiting", "fewer than make an update");
}

// ---- Round ----

void Round::reset(int workers) {
  working_.reset(workers);
  parts_.assign(static_cast<std::size_t>(workers), none);
  begin();
}

void Round::begin() {
  std::ranges::fill(parts_, none);
  computing_ = 0;
  arrived_ = 0;
}

void Round::set_part(int worker, Part part) {
  int& present = parts_[static_cast<std::size_t>(worker)];
  computing_ += (part == computing) - (present == computing);
  arrived_ += (part == in) - (present == in);
  present = part;
}

void Round::hand_over(int worker, Actions& actions) {
  set_part(worker, computing);
  actions.emplace_back(HandOver{worker});
}

void Round::arrive(int worker) { set_part(worker, in); }

void Round::lose(int worker, bool forget) {
  working_.lose(worker);
  if (forget || part(worker) == computing) set_part(worker, none);
}

void Round::regain(int worker, Actions& actions) {
  working_.regain(worker);
  if (part(worker) != in) hand_over(worker, actions);
}

void Round::discard(Actions& actions) const {
  for (const int worker : working_) {
    if (part(worker) == computing) actions.emplace_back(Discard{worker});
  }
}

void Round::visit_state(StateArchive& state) {
  working_.visit_state(state);
  state.numbers("parts", parts_, parts_.size(), static_cast<int>(none), static_cast<int>(in));
  computing_ = static_cast<int>(std::ranges::count(parts_, static_cast<int>(computing)));
  arrived_ = static_cast<int>(std::ranges::count(parts_, static_cast<int>(in)));
  if (!state.restoring()) return;
  for (std::size_t worker = 0; worker < parts_.size(); ++worker) {
    if (parts_[worker] == computing && !working_.has(static_cast<int>(worker))) {
      state.refuse("parts", "only those that work to compute");
    }
  }
  if (computing_ == 0 && size() + working_.count() > 0) state.refuse("parts", "somebody that computes");
}

// ---- LastingRows ----

void LastingRows::reset(int workers) {
  counts_.assign(static_cast<std::size_t>(workers), true);
  filled_.assign(counts_.size(), false);
}

bool LastingRows::fold(int worker, Actions& actions) {
  const auto row = static_cast<std::size_t>(worker);
  const bool was_empty = !filled_[row];
  if (counts_[row]) {
    actions.emplace_back(FoldRow{worker, 1});
  } else {
    actions.emplace_back(FoldRow{worker, 1, Table::main, false});
    actions.emplace_back(CountRow{worker, true});
    actions.emplace_back(AverageRows{});
  }
  counts_[row] = true;
  filled_[row] = true;
  return was_empty;
}

void LastingRows::lose(int worker, Actions& actions) {
  const auto row = static_cast<std::size_t>(worker);
  if (!counts_[row] || (filled_[row] && of_lost_ == LostRows::keep)) return;
  counts_[row] = false;
  filled_[row] = false;
  actions.emplace_back(CountRow{worker, false});
  actions.emplace_back(AverageRows{});
}

void LastingRows::take_back(int worker, Actions& actions) {
  const auto row = static_cast<std::size_t>(worker);
  if (!counts_[row]) actions.emplace_back(CountRow{worker, true, true});
  counts_[row] = true;
  filled_[row] = true;
}

void LastingRows::visit_state(StateArchive& state) {
  state.flags("counts", counts_, counts_.size());
  state.flags("filled", filled_, filled_.size());
  for (std::size_t row = 0; row < filled_.size(); ++row) {
    if (state.restoring() && filled_[row] && !counts_[row]) {
      state.refuse("filled", "only rows that count to be filled");
    }
  }
}

// ---- RowCounts ----

void RowCounts::reset(int workers) {
  counts_.assign(static_cast<std::size_t>(workers), 0);
  filled_ = 0;
  in_mean_.resize(counts_.size(), true);
}

void RowCounts::clear(int worker) {
  std::uint64_t& count = counts_[static_cast<std::size_t>(worker)];
  if (count > 0) --filled_;
  count = 0;
}

float RowCounts::add(int worker) {
  std::uint64_t& count = counts_[static_cast<std::size_t>(worker)];
  if (count++ == 0) ++filled_;
  return 1.0F / static_cast<float>(count);
}

void RowCounts::average(Actions& actions) {
  for (std::size_t row = 0; row < counts_.size(); ++row) {
    const bool counts = counts_[row] > 0;
    if (in_mean_[row] == counts) continue;
    in_mean_[row] = counts;
    actions.emplace_back(CountRow{static_cast<int>(row), counts});
  }
  actions.emplace_back(AverageRows{});
}

void RowCounts::visit_state(StateArchive& state) {
  constexpr std::uint64_t most = std::uint64_t{1} << 62;
  state.numbers("counts", counts_, counts_.size(), std::uint64_t{0}, most);
  state.flags("in_mean", in_mean_, in_mean_.size());
  filled_ = static_cast<int>(std::ranges::count_if(counts_, [](std::uint64_t b) { return b > 0; }));
}

// ---- Random ----

void visit_state(const char* name, Random& random, StateArchive& state) {
  std::vector<std::uint64_t> words(random.state().begin(), random.state().end());
  state.numbers(name, words, words.size(), std::uint64_t{0}, ~std::uint64_t{0});
  std::array<std::uint64_t, 4> four{};
  std::ranges::copy(words, four.begin());
  if (four == std::array<std::uint64_t, 4>{}) state.refuse(name, "a number that is not 0");
  random = Random(four);
}

}  // namespace tardigrad
