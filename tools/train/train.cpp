#include "tools/train/train.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "runtime/base/output_path.h"
#include "runtime/base/say.h"
#include "runtime/events/recording.h"
#include "runtime/telemetry/buffered_observer.h"
#include "runtime/telemetry/run_log_reader.h"
#include "runtime/telemetry/trace_file.h"
#include "tools/live/live_run.h"
#include "tools/outputs/output_checks.h"
#include "tools/outputs/progress.h"
#include "tools/outputs/save_model.h"
#include "tools/outputs/speed_advice.h"
#include "tools/resume/option_files.h"
#include "tools/resume/resume.h"
#include "tools/resume/resumed_options.h"
#include "tools/tensorboard/tensorboard.h"
#include "tools/train/guarded_run.h"
#include "tools/train/on_ranks.h"
#include "tools/train/option_checks.h"
#include "tools/train/run_setup.h"
#include "tools/train/serving.h"
#include "tools/train/start_timings.h"

namespace tardigrad {
namespace {

std::unique_ptr<TraceFile> make_trace(const TrainOptions& options, const std::string& run_json) {
  constexpr std::uint64_t default_mib = 64;
  constexpr std::uint64_t mib_bytes = 1 << 20;
  if (options.trace.empty()) return nullptr;
  return std::make_unique<TraceFile>(options.trace, run_json,
                                     options.trace_size_mib.value_or(default_mib) * mib_bytes);
}

std::unique_ptr<LiveRun> serve(const std::optional<LiveOptions>& served, const TrainOptions& options,
                               const std::string& run_json) {
  if (!served) return nullptr;
  auto live = std::make_unique<LiveRun>(run_json, *served, options.checkpoint_dir);
  say_line("watch the run at {}", live->url());
  return live;
}

/// What the log holds of the run so far, for the page of one that goes on; nothing where it begins anew.
void tell_of_before(RunObserver& page, const std::string& log) try {
  RunLogReader(log).tell(page);
} catch (const std::invalid_argument&) {
}

/// A recording holds one configuration: if what the numbers depend on changes on the way, it has to end.
bool can_go_on_recording(const TrainOptions& options, const std::string& record, bool resumed) {
  std::error_code absent;
  if (!resumed || is_stream(options.record) || !std::filesystem::exists(options.record, absent)) return true;
  try {
    check_same_numbers("--record", options.record, Recording(options.record).run_json(), record);
    return true;
  } catch (const std::invalid_argument& error) {
    say_line("{}: nothing more is recorded", error.what());
    return false;
  }
}

/// Whether the workers' times are those of their devices, and of throttles, which stand in for slower ones.
bool may_be_uneven_by_itself(const TrainOptions& options) {
  return options.clock == ClockKind::wall && options.replay.empty() && !has_no_data(options) &&
         options.compute_time == TrainOptions().compute_time;
}

/// A run that is resumed takes its model from the checkpoint.
std::vector<float> model_to_begin_with(const TrainOptions& options, const Objective& objective,
                                       bool resumed) {
  if (resumed) return std::vector<float>(objective.dimension());
  auto [model, note] = first_model(options, objective);
  if (!note.empty()) say_line(note);
  return std::move(model);
}

}  // namespace

void train(const TrainOptions& given, const Checkpoint* checkpoint, RunControl& control,
           const OwnParts& own) {
  check_options(given, own);
  Transport* const ranks = join_ranks(given, own);
  const TrainOptions options = ranks ? options_on_rank(given, *ranks) : given;
  if (ranks && ranks->rank() > 0) return compute_for_rank_0(*ranks, options, control, own);
  check_outputs(options);
  if (const std::string note = note_on_format(options.save); !note.empty()) say_line(note);
  const auto served = serving(options);
  std::optional<Recording> replay;
  if (!options.replay.empty()) replay.emplace(options.replay);
  const Devices devices = choose_devices(options);
  const auto dataset = load_data(options);
  const auto shared_setup = std::make_shared<RunSetup>(set_up_run(options, devices, dataset, own, ranks));
  RunSetup& setup = *shared_setup;
  const auto end_of_ranks = ranks ? agree_on_run(*ranks, options, setup, dataset.get()) : nullptr;
  if (options.show_memory) {
    say(stdout, "{}\n", ranks ? show_memory_of_ranks(setup.memory_of_ranks) : show_memory(setup.memory));
    return;
  }
  const std::string record = run_record(options, setup);
  if (replay) check_same_numbers("--replay", options.replay, replay->run_json(), record);
  setup.options.checkpoints = checkpoint_options(options, record);
  setup.options.checkpoints.request = &control.checkpoint_request();
  if (checkpoint) {
    check_resume(*checkpoint, record);
    if (const auto change = change_of_workers(*checkpoint, record)) say_line(*change);
    if (const auto change = change_of_step_size(*checkpoint, record, *setup.objective)) say_line(*change);
  }
  const auto after = checkpoint ? std::optional(record_of(*checkpoint)) : std::nullopt;
  std::vector<float> model = model_to_begin_with(options, *setup.objective, checkpoint != nullptr);

  std::FILE* const result = takes_stdout(options) ? stderr : stdout;
  Progress progress(time_unit(options), options.quiet && own.shows_results ? nullptr : result, options.quiet);
  std::vector<RunObserver*> observers{&progress};
  observers.insert(observers.end(), own.observers.begin(), own.observers.end());
  StartTimings timings;
  if (options.timings) observers.push_back(&timings);
  std::unique_ptr<RunRecorder> recorder;
  if (!options.record.empty() && can_go_on_recording(options, record, after.has_value())) {
    observers.push_back((recorder = std::make_unique<RunRecorder>(options.record, record, after)).get());
  }
  const std::string run_json = log_record(options, setup);
  const auto live = serve(served, options, run_json);
  const auto log = make_log(options, run_json, own.log_is_new ? std::nullopt : after);
  if (live && log && after) tell_of_before(*live, options.log);
  const auto trace = make_trace(options, run_json);
  const auto tensorboard =
      options.tensorboard.empty()
          ? nullptr
          : make_tensorboard(options.tensorboard, after ? std::optional(after->update) : std::nullopt);
  std::vector<RunObserver*> batched{live.get(), log.get(), trace.get(), tensorboard.get()};
  std::erase(batched, nullptr);
  BufferedObserver batches(batched);
  observers.push_back(&batches);
  GuardRails guard_rails(guarded_run(options, setup), observers);
  observers.push_back(&guard_rails);
  const auto save = [&] { return save_model(options.save, setup.objective->layout(), model); };
  const auto whereabouts = [&] {  // why the run failed comes first
    try {
      return "saved in " + save().path.string();
    } catch (const std::runtime_error& error) {
      return fmt::format("lost: {}", error.what());
    }
  };
  std::optional<std::string> trouble;  // with saving; nothing: not saved yet
  const auto save_at_last = [&] {
    try {
      trouble = save().trouble;
    } catch (const std::runtime_error& error) {
      trouble = error.what();
    }
  };
  setup.options.save_first = [&](std::span<const float>) {  // it is in `model`
    if (!options.save.empty()) save_at_last();
  };
  RunSummary summary;
  try {
    summary = execute(shared_setup, model, observers, control.run(), replay ? &*replay : nullptr, checkpoint);
  } catch (const DeviceLostError& lost) {
    if (options.save.empty()) throw;
    throw DeviceError(lost.device(), fmt::format("{}; the model of update {} is {}", lost.what(),
                                                 lost.update(), whereabouts()));
  } catch (const WorkersLostError& lost) {
    if (options.save.empty()) throw;
    throw WorkersLostError(
        fmt::format("{}; the model of update {} is {}", lost.what(), lost.update(), whereabouts()),
        lost.update());
  } catch (const NotFiniteError& error) {
    if (options.save.empty() || !error.update()) throw;
    throw NotFiniteError(fmt::format("{}, {}", error.what(), whereabouts()), error.update());
  }
  if (own.take_model) own.take_model(setup.objective->layout(), model);
  if (!options.quiet && may_be_uneven_by_itself(options)) {
    if (const auto advice = speed_advice(summary.workers, options.batch_size)) say_line(*advice);
  }
  if (replay && replay->is_cut_off() && summary.stop_reason == StopReason::recording_ended) {
    say_line("tardigrad: --replay {}: the recording breaks off: its run was killed, or could not write it",
             options.replay);
  }
  if (const VerifiedMethod* verified = setup.options.verified) {
    say_line("--verify: everything held: {}", verified->describe());
  }
  if (trace && !trace->note().empty()) say_line("--trace {}: {}", options.trace, trace->note());
  if (options.save.empty()) return;
  if (!trouble) save_at_last();
  if (!trouble->empty()) throw std::runtime_error(*trouble);
}

}  // namespace tardigrad
