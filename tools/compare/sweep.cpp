#include "tools/compare/sweep.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>

#include "runtime/base/start_thread.h"
#include "tools/train/guarded_run.h"
#include "tools/train/run_setup.h"

namespace tardigrad {
namespace {

/// Keeps the first evaluation that reaches the target.
class TargetWatch final : public RunObserver {
 public:
  explicit TargetWatch(const std::optional<Target>& target) : target_(target) {}

  void on_evaluation(const EvaluationRecord& record) override {
    if (target_ && !reached_at_ && target_->reached_by(record.evaluation)) reached_at_ = record;
  }
  const std::optional<EvaluationRecord>& reached_at() const { return reached_at_; }

 private:
  std::optional<Target> target_;
  std::optional<EvaluationRecord> reached_at_;
};

RunResult execute_one(const Sweep& sweep, std::size_t index, const Devices& devices, SweepProgress& progress,
                      const std::stop_token& stop) {
  using SteadyClock = std::chrono::steady_clock;
  const TrainOptions& options = sweep.runs[index];
  const auto start = SteadyClock::now();
  const auto shared_setup = std::make_shared<RunSetup>(set_up_run(options, devices, sweep.dataset));
  RunSetup& setup = *shared_setup;
  std::vector<float> model = first_model(options, *setup.objective).values;
  TargetWatch watch(sweep.target);
  const auto meter = progress.begin(index, setup.options.limits());
  std::vector<RunObserver*> observers{&watch, meter.get()};
  std::unique_ptr<RunLog> log;
  std::optional<GuardRails> guard_rails;  // only a log hears them
  if (options.log.empty()) {
    setup.options.estimate_smoothness = false;
  } else {
    log = make_log(options, log_record(options, setup));
    guard_rails.emplace(guarded_run(options, setup), std::vector<RunObserver*>{log.get()});
    observers.insert(observers.end(), {log.get(), &*guard_rails});
  }

  RunResult result;
  const auto fail = [&result](const std::exception& error) {
    result.outcome = RunResult::Outcome::failed;
    result.failure = error.what();
  };
  try {
    result.summary = execute(shared_setup, model, observers, stop);
    if (result.summary.stop_reason != StopReason::interrupted) result.outcome = RunResult::Outcome::complete;
  } catch (const StoppedEarlyError&) {  // it is missing
  } catch (const NotFiniteError& error) {
    fail(error);
  } catch (const WorkersLostError& error) {
    fail(error);
  }
  result.at_target = watch.reached_at();
  result.wall_s = std::chrono::duration<double>(SteadyClock::now() - start).count();
  return result;
}

/// Where each of the runs takes place that go on at once.
std::vector<Devices> share_devices(const Sweep& sweep) {
  const std::vector<Device>& devices = sweep.devices.workers;
  const bool side_by_side =
      devices.front().backend == Backend::cpu && sweep.runs.front().clock == ClockKind::virtual_time;
  if (!side_by_side) return {sweep.devices};
  const std::size_t lanes = std::min(devices.size(), sweep.runs.size());
  std::vector<std::vector<Device>> shares(lanes);
  for (std::size_t i = 0; i < devices.size(); ++i) shares[i % lanes].push_back(devices[i]);
  std::vector<Devices> shares_of_devices;
  shares_of_devices.reserve(lanes);
  for (std::vector<Device>& share : shares) {
    shares_of_devices.emplace_back(std::move(share), sweep.devices.server);
  }
  return shares_of_devices;
}

using DescribeResult = std::function<std::string(std::size_t, const RunResult&)>;

/// The threads of a sweep take its runs in order, each the next one.
class SweepThreads {
 public:
  SweepThreads(const Sweep& sweep, SweepProgress& progress, const DescribeResult& describe)
      : sweep_(sweep), progress_(progress), describe_(describe), results_(sweep.runs.size()) {
    for (const auto& [index, result] : sweep.known) {
      results_[index] = result;
      progress_.take_over(index);
    }
  }

  std::vector<RunResult> execute_all(const std::stop_token& stop) {
    const std::stop_callback pass_on(stop, [this] { stop_.request_stop(); });
    const auto shares = share_devices(sweep_);
    {
      const auto others = start_helpers("runs side by side", shares.size() - 1,
                                        [&](std::size_t helper) { work(shares[helper + 1]); });
      work(shares.front());
    }
    if (error_) std::rethrow_exception(error_);
    return std::move(results_);
  }

 private:
  void work(const Devices& devices) {
    try {
      for (std::size_t i = next_++; i < results_.size() && !stop_.stop_requested(); i = next_++) {
        if (sweep_.known.contains(i)) continue;
        results_[i] = execute_one(sweep_, i, devices, progress_, stop_.get_token());
        if (results_[i].outcome != RunResult::Outcome::missing) {
          progress_.end(i, describe_(i, results_[i]), results_[i].failed());
        }
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      stop_.request_stop();
    }
  }

  const Sweep& sweep_;
  SweepProgress& progress_;
  const DescribeResult& describe_;
  std::vector<RunResult> results_;
  std::atomic<std::size_t> next_ = 0;
  std::stop_source stop_;
  std::mutex mutex_;  // of error_
  std::exception_ptr error_;
};

}  // namespace

std::vector<RunResult> execute_sweep(const Sweep& sweep, SweepProgress& progress,
                                     const DescribeResult& describe, const std::stop_token& stop) {
  return SweepThreads(sweep, progress, describe).execute_all(stop);
}

}  // namespace tardigrad
