#include "tools/tensorboard/tensorboard.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <system_error>

#include "tools/tensorboard/event.pb.h"
#include "tools/tensorboard/event_file.h"
#include "tools/tensorboard/value_histogram.h"

namespace tardigrad {
namespace {

using Seconds = std::chrono::duration<double>;
using std::chrono::steady_clock;
namespace fs = std::filesystem;

double seconds(steady_clock::duration time) { return Seconds(time).count(); }

double unix_time_s() { return Seconds(std::chrono::system_clock::now().time_since_epoch()).count(); }

const std::string& made(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) return folder;
  throw std::invalid_argument(fmt::format("--tensorboard {}: cannot be made: {}", folder, error.message()));
}

/// What happened since the record before.
struct Interval {
  steady_clock::time_point begin = steady_clock::now();
  steady_clock::time_point end = begin;  // of its latest gradient
  ValueHistogram staleness;
  ValueHistogram compute_time;
  double loss_sum = 0;
  std::uint64_t updates = 0;
};

/// An event with values at one step.
class SummaryEvent {
 public:
  explicit SummaryEvent(std::uint64_t step) { event_.set_step(static_cast<std::int64_t>(step)); }

  void add(const char* tag, double value) { value_of(tag).set_simple_value(static_cast<float>(value)); }
  void add(const char* tag, const ValueHistogram& values) { values.write_to(*value_of(tag).mutable_histo()); }
  tensorboard::Event& event() { return event_; }

 private:
  tensorboard::Summary::Value& value_of(const char* tag) {
    tensorboard::Summary::Value& value = *event_.mutable_summary()->add_value();
    value.set_tag(tag);
    return value;
  }
  tensorboard::Event event_;
};

class TensorBoard final : public RunObserver {
 public:
  TensorBoard(const std::string& folder, const std::optional<std::uint64_t>& after_update)
      : file_(made(folder)) {
    tensorboard::Event first;
    first.set_file_version("brain.Event:2");
    write(first);
    if (after_update) write_restart(*after_update + 1);
  }

  void on_gradient(const GradientRecord& record) override {
    interval_.end = steady_clock::now();
    interval_.staleness.add(static_cast<double>(record.staleness));
    interval_.compute_time.add(record.job.compute_time);
    interval_.loss_sum += static_cast<double>(record.loss);
  }

  void on_update(const UpdateRecord& record) override {
    ++interval_.updates;
    update_ = record.update;
    lr_ = record.lr;
    if (is_due()) write_interval(record.time);
  }

  void on_evaluation(const EvaluationRecord& record) override {
    write_interval(record.time);
    SummaryEvent event(record.update);
    event.add("evaluation/loss", record.evaluation.loss);
    if (record.evaluation.accuracy) event.add("evaluation/accuracy", *record.evaluation.accuracy);
    if (record.train_loss) event.add("evaluation/train_loss", *record.train_loss);
    write(event.event());
    interval_ = {};  // training goes on only now
  }

  void on_summary(const RunSummary& summary) override { write_interval(summary.time); }

 private:
  bool is_due() const {
    constexpr double shortest_s = 0.5;
    constexpr double share = 1e-3;
    const double period_s = std::max(shortest_s, share * seconds(interval_.end - started_));
    return seconds(interval_.end - interval_.begin) >= period_s;
  }

  void write_interval(double time) {
    if (interval_.staleness.count() == 0) return;
    const double gradients = interval_.staleness.count();
    SummaryEvent event(update_);
    event.add("run/time", time);
    event.add("training/loss", interval_.loss_sum / gradients);
    event.add("training/staleness", interval_.staleness.sum() / gradients);
    if (update_ > 0) event.add("training/lr", lr_);
    if (const double elapsed_s = seconds(interval_.end - interval_.begin); elapsed_s > 0) {
      event.add("speed/gradients_per_s", gradients / elapsed_s);
      event.add("speed/updates_per_s", static_cast<double>(interval_.updates) / elapsed_s);
    }
    event.add("staleness", interval_.staleness);
    event.add("compute_time", interval_.compute_time);
    write(event.event());
    interval_ = {};
  }

  /// What older files in the folder hold of that step and later ones is no more.
  void write_restart(std::uint64_t step) {
    tensorboard::Event event;
    event.set_step(static_cast<std::int64_t>(step));
    event.mutable_session_log()->set_status(tensorboard::SessionLog::START);
    write(event);
  }

  void write(tensorboard::Event& event) {
    event.set_wall_time(unix_time_s());
    file_.write(event.SerializeAsString());
  }

  EventFile file_;
  steady_clock::time_point started_ = steady_clock::now();
  Interval interval_;
  std::uint64_t update_ = 0;  // the latest
  double lr_ = 0;
};

}  // namespace

void check_event_folder(const char* flag, const std::string& folder) {
  const auto refuse = [&](const std::string& reason) {
    throw std::invalid_argument(fmt::format("{} {}: {}", flag, folder, reason));
  };
  fs::path existing = fs::absolute(folder).lexically_normal();
  std::error_code absent;
  while (!fs::exists(existing, absent) && existing.has_relative_path()) existing = existing.parent_path();
  if (!fs::is_directory(existing, absent)) refuse(existing.string() + " is no folder");
  if (access(existing.c_str(), W_OK) != 0) refuse("folder " + existing.string() + " is not writable");
}

std::unique_ptr<RunObserver> make_tensorboard(const std::string& folder,
                                              const std::optional<std::uint64_t>& after_update) {
  return std::make_unique<TensorBoard>(folder, after_update);
}

}  // namespace tardigrad
