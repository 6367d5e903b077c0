#include "tools/outputs/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "runtime/base/say.h"
#include "runtime/base/state_archive.h"
#include "tools/outputs/standard_streams.h"
#include "tools/outputs/worker_table.h"

namespace tardigrad {
namespace {

constexpr auto live_period = std::chrono::milliseconds(200);
constexpr auto plain_period = std::chrono::seconds(5);

std::string percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.2f} %", 100 * *share) : std::string("-");
}

/// With so many decimals, where it is not so large that they say nothing.
std::string shown(double value, int decimals) {
  constexpr double large = 1e9;
  return std::abs(value) < large ? fmt::format("{:.{}f}", value, decimals) : fmt::format("{:.4e}", value);
}

std::string shown_time(double time) { return shown(time, 1); }
std::string shown_loss(double loss) { return shown(loss, 4); }

/// The classes that are known worst and best; nothing where there are none.
void print_classes(std::FILE* out, const Evaluation& evaluation) {
  const auto& classes = evaluation.class_accuracy;
  if (classes.empty()) return;
  const auto known = [](const auto& accuracy) { return accuracy.value_or(2); };  // those without images last
  const auto worst = std::ranges::min_element(classes, {}, known);
  const auto best = std::ranges::max_element(classes);
  say(out, ", of the classes {} (class {}) to {} (class {})", percent(*worst), worst - classes.begin(),
      percent(*best), best - classes.begin());
}

}  // namespace

Progress::Progress(const char* time_unit, std::FILE* result, bool quiet)
    : time_unit_(time_unit), result_(result), quiet_(quiet), terminal_(isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() { clear_line(); }

void Progress::on_update(const UpdateRecord& record) {
  if (quiet_) return;
  update_ = record.update;
  gradients_ = record.gradients;
  staleness_max_ = std::max(staleness_max_, record.staleness);
  const auto loss = static_cast<double>(record.loss);
  loss_ = loss_ ? 0.98 * *loss_ + 0.02 * loss : loss;
  const auto now = SteadyClock::now();
  if (now < next_show_) return;
  if (next_show_ != SteadyClock::time_point()) show(record.time, now);
  next_show_ = now + (terminal_ ? SteadyClock::duration(live_period) : SteadyClock::duration(plain_period));
  shown_at_ = now;
  gradients_shown_ = gradients_;
}

void Progress::show(double time, SteadyClock::time_point now) {
  const double elapsed_s = std::chrono::duration<double>(now - shown_at_).count();
  const double rate = static_cast<double>(gradients_ - gradients_shown_) / elapsed_s;
  const std::string line = fmt::format(
      "update {}  time {} {}  loss {}  accuracy {}  {:.0f} gradients/s  staleness ≤ {}", update_,
      shown_time(time), time_unit_, shown_loss(loss_.value_or(0)), percent(accuracy_), rate, staleness_max_);
  if (!terminal_) return say_line(line);
  say(stderr, "\r\033[K{}", line);
  std::fflush(stderr);
  live_line_ = true;
}

void Progress::on_evaluation(const EvaluationRecord& record) {
  if (quiet_) return;
  accuracy_ = record.evaluation.accuracy;
  clear_line();
  const auto& norm_sq = record.evaluation.gradient_norm_sq;
  say_line("evaluation at update {}  time {} {}: loss {}{}{}", record.update, shown_time(record.time),
           time_unit_, shown_loss(record.evaluation.loss),
           accuracy_ ? "  accuracy " + percent(accuracy_) : "",
           norm_sq ? fmt::format("  ||grad f||^2 {:.4g}", *norm_sq) : "");
}

void Progress::on_warning(const Warning& warning) {
  if (warning.kind == Warning::Kind::not_finite) return;  // ends the program with that
  clear_line();
  say_line("tardigrad: warning: at update {}: {}", warning.update, warning.text);
}

void Progress::on_worker_change(const WorkerChange& change) {
  clear_line();
  say_line("tardigrad: worker {} is {} at update {}, time {:.6g} {}: {}", change.worker,
           change.lost ? "lost" : "back", change.update, change.time, time_unit_, change.reason);
}

void Progress::on_checkpoint_saved(const SavedCheckpoint& saved) {
  if (!saved.asked) return;
  clear_line();
  say_line("tardigrad: the checkpoint of update {} is in {}", saved.record.update, saved.path.string());
}

void Progress::on_summary(const RunSummary& summary) {
  clear_line();
  if (!result_) return;
  say(result_, "\n{}", worker_table(summary.workers, time_unit_));
  say(result_, "\n{} updates from {} gradients in {} {} (training took {:.1f} s of wall time; ended by {})\n",
      summary.updates, summary.gradients, shown_time(summary.time), time_unit_, summary.train_time_s,
      to_string(summary.stop_reason));
  const bool whole = summary.evaluated_update == summary.updates;
  say(result_, "{} {}", whole ? "final loss" : "loss", shown_loss(summary.final_evaluation.loss));
  if (summary.final_evaluation.accuracy) {
    say(result_, "  accuracy {}", percent(summary.final_evaluation.accuracy));
  }
  print_classes(result_, summary.final_evaluation);
  if (!whole) say(result_, "  of update {}, the latest evaluated", summary.evaluated_update);
  say(result_, "\nworkers: {:.1f} % idle; {:.1f} % of their work discarded\n", 100 * summary.idle_share,
      100 * summary.discarded_share);
  if (summary.largest_drift) {
    say(result_, "largest drift of the table's mean: {:.2g}\n", *summary.largest_drift);
  }
  flush_stdout();  // the model is saved only now
}

void Progress::on_resume(const ResumeRecord& record) {
  clear_line();
  say_line("going on at update {}, time {} {}, from checkpoint {}", record.checkpoint.update,
           shown_time(record.checkpoint.time), time_unit_, record.path);
  accuracy_ = record.evaluation.evaluation.accuracy;
}

void Progress::visit_state(StateArchive& state) {
  state.number("staleness_max", staleness_max_, std::uint64_t{0}, std::numeric_limits<std::uint64_t>::max());
  state.real("loss", loss_);
}

void Progress::clear_line() {
  if (!live_line_) return;
  live_line_ = false;
  say(stderr, "\r\033[K");
  std::fflush(stderr);
}

}  // namespace tardigrad
