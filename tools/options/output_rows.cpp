// The options that say what a run leaves, and what else a person may ask of it.

#include <nlohmann/json.hpp>

#include "tools/options/option_table.h"

namespace tardigrad {
namespace {

constexpr std::uint64_t least_log_bytes = 4096;

OptionType<LogDetail> log_detail() {
  return one_of<LogDetail>(
      {{"evaluations", LogDetail::evaluations}, {"updates", LogDetail::updates}, {"jobs", LogDetail::jobs}});
}

/// The size of a log's files, of options or constant ones.
constexpr auto log_bytes = [](auto& options) -> auto& { return options.log_rotation.file_bytes; };
constexpr auto log_files = [](auto& options) -> auto& { return options.log_rotation.files; };

}  // namespace

std::vector<OptionRow> output_rows() {
  using enum Section;
  using Options = TrainOptions;
  return {
      make_row({.name = "log",
                .help = "JSON lines: run, update, eval, worker and summary records",
                .section = log,
                .record = Record::outputs},
               &Options::log, text("FILE")),
      make_row({.name = "log_detail",
                .help = "What logs hold: evaluations; updates, too; or all jobs, with their times",
                .section = log_format,
                .record = Record::outputs},
               &Options::log_detail, log_detail()),
      make_row({.name = "log_size",
                .help = "Size of a log file (64K, 256M, 1G; plain bytes): what does not fit goes on in a new "
                        "one, and FILE is renamed FILE.1, that FILE.2, ...",
                .section = log_format,
                .record = Record::outputs},
               log_bytes, size_from(least_log_bytes)),
      make_row({.name = "log_files",
                .help = "Files of a log that are kept, at most; older ones go, but for their evaluations",
                .section = log_format,
                .record = Record::outputs},
               log_files, whole_number(2, 1'000'000)),
      make_row({.name = "serve",
                .help = "PORT or HOST:PORT of a page that shows the run while it goes on, for this machine "
                        "only; with an address that others reach (0.0.0.0:8080) it needs --serve-token. "
                        "/metrics is for Prometheus, /health says whether it goes on. Port 0: any that is "
                        "free",
                .section = outputs,
                .record = Record::outputs},
               &Options::serve, text("[HOST:]PORT")),
      make_row({.name = "serve_token",
                .help = "What requests to --serve must have, as Authorization: Bearer TOKEN or ?token=TOKEN; "
                        "@FILE reads it, and TARDIGRAD_SERVE_TOKEN in the environment is one, too",
                .section = outputs,
                .secret = true,
                .record = Record::none},
               &Options::serve_token, text("TOKEN")),
      make_row({.name = "serve_host",
                .help = "Further names, NAME[:PORT],..., that --serve may be called by, as behind a proxy",
                .section = outputs,
                .record = Record::outputs},
               &Options::serve_host, text("NAMES")),
      make_row({.name = "save",
                .help = "The final model, as safetensors",
                .section = outputs,
                .record = Record::outputs},
               &Options::save, text("FILE")),
      make_row({.name = "trace",
                .help = "Jobs, updates and what led to what, for chrome://tracing and ui.perfetto.dev",
                .section = outputs,
                .record = Record::outputs},
               &Options::trace, text("FILE")),
      make_row({.name = "trace_size",
                .help = "MiB that --trace takes at most (default 64): beginning and end of a run that would "
                        "take more",
                .section = outputs,
                .record = Record::outputs},
               &Options::trace_size_mib, whole_number(std::uint64_t{1}, std::uint64_t{1} << 20)),
      make_row({.name = "tensorboard",
                .help = "Folder for an event file: scalars, and histograms of staleness and compute times",
                .section = outputs,
                .record = Record::outputs},
               &Options::tensorboard, text("FOLDER")),
      make_row({.name = "record",
                .help = "Arrivals in their order, versions and times: enough to repeat the run",
                .section = outputs,
                .record = Record::outputs},
               &Options::record, text("FILE")),
      make_row({.name = "replay",
                .help = "Repeats a recorded run to the bit; its options hold unless given anew, and must fit",
                .section = outputs,
                .record = Record::none},
               &Options::replay, text("FILE")),
      make_row({.name = "checkpoint_dir",
                .help = "Folder for checkpoints: the whole state of the run, and its model as --save has it",
                .section = checkpoints,
                .record = Record::none},
               &Options::checkpoint_dir, text("FOLDER")),
      make_row({.name = "checkpoint_every",
                .help = "Time between them (30s, 5m, 2h) or updates (1000 or 1000u); the run also ends with "
                        "one",
                .section = checkpoints,
                .record = Record::outputs},
               &Options::checkpoint_every, period()),
      make_row({.name = "keep",
                .help = "Checkpoints that are kept, the newest",
                .section = checkpoints,
                .record = Record::outputs},
               &Options::keep, whole_number(1, 1'000'000)),
      make_row({.name = "resume",
                .help = "Go on from a checkpoint, the newest in a folder, or the latest in --checkpoint-dir "
                        "(the run begins where there is none); the options of the run hold unless given anew",
                .section = checkpoints,
                .record = Record::none},
               &Options::resume, text("WHICH")),
      make_switch_row({.name = "quiet",
                       .help = "No progress on stderr: only warnings, errors, and workers that are lost or "
                               "back",
                       .section = quiet,
                       .letter = 'q',
                       .record = Record::none},
                      &Options::quiet),
      make_switch_row({.name = "verify",
                       .help = "Check all that the method promises while the run goes on, and that the "
                               "table's mean is that of its rows; what does not hold ends the run (exit "
                               "code 1)",
                       .section = checks,
                       .record = Record::outputs},
                      &Options::verify),
      make_switch_row({.name = "timings",
                       .help = "Say on stderr, after the first update, what starting took, by part",
                       .section = checks,
                       .record = Record::none},
                      &Options::timings),
      make_switch_row({.name = "show_memory",
                       .help = "Only show what the run would take of each device",
                       .section = checks,
                       .record = Record::none},
                      &Options::show_memory),
  };
}

}  // namespace tardigrad
