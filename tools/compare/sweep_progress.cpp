#include "tools/compare/sweep_progress.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "runtime/base/say.h"

namespace tardigrad {
namespace {

double seconds_from(SweepProgress::SteadyClock::time_point from, SweepProgress::SteadyClock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// "about 40 s left", to the digits that an estimate is worth.
std::string describe_rest(double seconds) {
  if (seconds < 90) return fmt::format("about {:.0f} s left", std::max(1.0, seconds));
  if (seconds < 90 * 60) return fmt::format("about {:.0f} min left", seconds / 60);
  return fmt::format("about {:.1f} h left", seconds / 3600);
}

}  // namespace

/// Tells how far a run is.
class SweepProgress::Meter final : public RunObserver {
 public:
  Meter(SweepProgress& progress, Run& run, const RunLimits& limits)
      : progress_(progress), run_(run), limits_(limits) {}

  void on_gradient(const GradientRecord& record) override {
    examples_ = record.examples;
    note(record.update, record.gradients, record.job.time);
  }
  void on_update(const UpdateRecord& record) override { note(record.update, record.gradients, record.time); }

 private:
  void note(std::uint64_t updates, std::uint64_t gradients, double time) {
    const double before = run_.share.load(std::memory_order_relaxed);
    const double share = limits_.share_over({updates, gradients, examples_, time});
    run_.share.store(std::max(before, share), std::memory_order_relaxed);
    run_.gradients.store(gradients, std::memory_order_relaxed);
    progress_.tick();
  }

  SweepProgress& progress_;
  Run& run_;
  RunLimits limits_;
  std::uint64_t examples_ = 0;
};

SweepProgress::Display SweepProgress::standard_display(bool quiet) {
  Display display;
  display.quiet = quiet;
  display.terminal = isatty(STDERR_FILENO) != 0;
  display.timed = !display.terminal;
  if (display.terminal) display.period = std::chrono::milliseconds(200);
  return display;
}

SweepProgress::SweepProgress(std::vector<std::string> kinds, Display display)
    : display_(display), shown_at_(display.now()) {
  for (std::string& kind : kinds) runs_.emplace_back(std::make_unique<Run>())->kind = std::move(kind);
  next_show_ = (shown_at_ + display_.period).time_since_epoch().count();
}

SweepProgress::~SweepProgress() { clear_line(); }

void SweepProgress::take_over(std::size_t run) {
  const std::lock_guard lock(mutex_);
  runs_[run]->phase = Phase::over;
  ++over_;
}

std::unique_ptr<RunObserver> SweepProgress::begin(std::size_t run, const RunLimits& limits) {
  const std::lock_guard lock(mutex_);
  Run& begun = *runs_[run];
  begun.phase = Phase::running;
  begun.began_at = display_.now();
  const auto running =
      std::ranges::count(runs_, Phase::running, [](const auto& each) { return each->phase; });
  most_at_once_ = std::max(most_at_once_, static_cast<std::size_t>(running));
  return std::make_unique<Meter>(*this, begun, limits);
}

void SweepProgress::end(std::size_t run, const std::string& line, bool failed) {
  const std::lock_guard lock(mutex_);
  Run& ended = *runs_[run];
  ended.phase = Phase::over;
  ++over_;
  seconds_of_kind_[ended.kind].push_back(seconds_from(ended.began_at, display_.now()));
  if (display_.quiet && !failed) return;
  clear_line();
  print(fmt::format("{:>{}}/{}  {}", over_, fmt::formatted_size("{}", runs_.size()), runs_.size(), line));
}

/// Takes no lock as long as nothing is to be shown: runs call it for every gradient.
void SweepProgress::tick() {
  if (display_.quiet) return;
  const auto now = display_.now();
  if (now.time_since_epoch().count() < next_show_.load(std::memory_order_relaxed)) return;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || now.time_since_epoch().count() < next_show_.load(std::memory_order_relaxed)) return;
  next_show_ = (now + display_.period).time_since_epoch().count();
  show(now);
}

void SweepProgress::show(SteadyClock::time_point now) {
  if (display_.terminal) {
    say(display_.out, "\r\033[K{}", describe(now));
    std::fflush(display_.out);
  } else {
    print(describe(now));
  }
  live_line_ = display_.terminal;
  shown_at_ = now;
  gradients_shown_ = gradients();
}

std::string SweepProgress::describe(SteadyClock::time_point now) const {
  const double elapsed_s = seconds_from(shown_at_, now);
  const double rate = static_cast<double>(gradients() - gradients_shown_) / elapsed_s;
  std::string text = fmt::format("{} of {} runs done, {}  {:.0f} gradients/s", over_, runs_.size(),
                                 describe_running(), rate);
  if (const auto left = seconds_left(now)) text += "  " + describe_rest(*left);
  return text;
}

/// "2 more at 10, 35 %"; of many at once their mean.
std::string SweepProgress::describe_running() const {
  constexpr std::size_t most_named = 4;
  std::vector<double> percents;
  for (const auto& run : runs_) {
    if (run->phase == Phase::running) percents.push_back(100 * run->share);
  }
  if (percents.size() > most_named) {
    return fmt::format("{} more at {:.0f} % on average", percents.size(), mean_of(percents));
  }
  return fmt::format("{} more at {:.0f} %", percents.size(), fmt::join(percents, ", "));
}

/// How long runs of each kind take, where that is known by now.
std::map<std::string, double> SweepProgress::seconds_by_kind(SteadyClock::time_point now) const {
  auto known = seconds_of_kind_;
  for (const auto& run : runs_) {
    if (run->phase != Phase::running || run->share == 0) continue;
    known[run->kind].push_back(seconds_from(run->began_at, now) / run->share);
  }
  std::map<std::string, double> means;
  for (const auto& [kind, seconds] : known) means[kind] = mean_of(seconds);
  return means;
}

/// Takes for a run as long as its pace says, or as others of its kind take, or as any; and that as many go on
/// at once as did so far.
std::optional<double> SweepProgress::seconds_left(SteadyClock::time_point now) const {
  constexpr double share_that_shows_a_pace = 0.05;
  const auto by_kind = seconds_by_kind(now);
  if (by_kind.empty()) return std::nullopt;
  double of_any = 0;
  for (const auto& [kind, seconds] : by_kind) of_any += seconds / static_cast<double>(by_kind.size());
  double sum = 0;
  double longest = 0;
  for (const auto& run : runs_) {
    if (run->phase == Phase::over) continue;
    const auto known = by_kind.find(run->kind);
    double whole = known != by_kind.end() ? known->second : of_any;
    if (run->share > share_that_shows_a_pace) whole = seconds_from(run->began_at, now) / run->share;
    const double rest = whole * (1 - run->share);
    sum += rest;
    longest = std::max(longest, rest);
  }
  return std::max(longest, sum / static_cast<double>(std::max<std::size_t>(1, most_at_once_)));
}

std::uint64_t SweepProgress::gradients() const {
  std::uint64_t sum = 0;
  for (const auto& run : runs_) sum += run->gradients.load(std::memory_order_relaxed);
  return sum;
}

void SweepProgress::print(const std::string& line) const {
  say(display_.out, "{}{}\n", display_.timed ? zoned_time(std::chrono::system_clock::now()) + " " : "", line);
  std::fflush(display_.out);
}

void SweepProgress::clear_line() {
  if (!live_line_) return;
  live_line_ = false;
  say(display_.out, "\r\033[K");
  std::fflush(display_.out);
}

}  // namespace tardigrad
