#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/say.h"
#include "runtime/coordinator/coordinator.h"
#include "runtime/device/device.h"
#include "runtime/ranks/agreement.h"
#include "runtime/ranks/mpi_job.h"
#include "tools/advise/advise.h"
#include "tools/cli/command_line.h"
#include "tools/cli/help_page.h"
#include "tools/compare/accuracy_table.h"
#include "tools/compare/class_table.h"
#include "tools/compare/compare.h"
#include "tools/data/describe_data.h"
#include "tools/models/describe_models.h"
#include "tools/options/option_records.h"
#include "tools/options/train_command.h"
#include "tools/outputs/standard_streams.h"
#include "tools/report/report.h"
#include "tools/train/abandoned.h"
#include "tools/train/interrupt.h"
#include "tools/train/on_ranks.h"
#include "tools/train/train.h"
#include "tools/train/version.h"

namespace {

using namespace tardigrad;

enum ExitCode { ok = 0, internal_error = 1, bad_input = 2, device_lost = 3, not_finite = 4 };

void print_devices() {
  for (const DeviceDescription& description : describe_devices()) {
    const bool is_cpu = description.device.backend == Backend::cpu;  // cpu:0 would be none of it
    say(stdout, "{:<8} {}, {:.1f} GiB\n", is_cpu ? "cpu" : description.device.name(), description.model,
        static_cast<double>(description.memory_bytes) / (1 << 30));
  }
  if (cuda_device_count() == 0) say(stdout, "no GPU: {}\n", why_no_cuda());
  if (const std::string versions = cuda_library_versions(); !versions.empty()) {
    say(stdout, "built with {}\n", versions);
  }
}

int report(ExitCode code, const char* message) {
  say(stderr, "tardigrad: {}\n", message);
  return code;
}

/// The same of what ended a run, so that it stands among the run's lines.
int report_of_run(ExitCode code, const char* message) {
  say_line("tardigrad: {}", message);
  return code;
}

/// Not by way of std::cout, which would lose why it cannot be written.
void print_answer(const CLI::App& app, const CLI::Success& asked) {
  std::ostringstream text;
  app.exit(asked, text, text);
  say(stdout, "{}", text.str());
}

/// What a command prints is what it is for, or part of it; a run has been saved by then.
int after_printing(int code) {
  const auto trouble = trouble_with_stdout();
  if (!trouble) return code;
  report(internal_error, trouble->c_str());
  return code == ok ? internal_error : code;
}

constexpr const char* devices_example =
    "Example: what there is, and a run on it\n"
    "  tardigrad devices\n"
    "  tardigrad train --model quadratic:tridiagonal:1000 --method asgd --lr 0.1 --workers 4 \\\n"
    "      --device cpu:2 --updates 1000";
constexpr const char* table_example =
    "Example: two runs beside each other\n"
    "  tardigrad table sync.jsonl dude.jsonl";
constexpr const char* report_example =
    "Example: all runs of a folder on one page\n"
    "  tardigrad report logs/*.jsonl -o report.html";
constexpr const char* data_example =
    "Example: how uneven a partition is\n"
    "  tools/fetch_data.sh fashion-mnist\n"
    "  tardigrad data --dataset fashion-mnist --partition dirichlet:0.1 --workers 10 -o data.html";
constexpr const char* models_example =
    "Example: a network of one's own, from one that is built in\n"
    "  tardigrad models resnet8 > mine.toml\n"
    "  tardigrad models mine.toml --images 1x28x28";
constexpr const char* example =
    "tardigrad help COMMAND, or tardigrad COMMAND --help, shows the manual of a command.\n"
    "\n"
    "Example: the smallest run\n"
    "  tardigrad train --model quadratic:tridiagonal:100 --method dude --lr 0.1 --workers 4 --updates 1000";

/// What is said of SIGUSR1 at once; the checkpoint itself follows.
std::string answer_to_request(const TrainOptions& options) {
  if (options.checkpoint_dir.empty()) {
    return "no checkpoint, since there is no --checkpoint-dir; the run goes on";
  }
  return "a checkpoint is taken; the run goes on";
}

/// Runs a command that signals may end. Returns its exit code.
template <typename Command>
int until_interrupted(std::string answer, const Command& command) {
  InterruptWatch interrupts(std::move(answer), speaks_for_all_ranks());
  try {
    command(interrupts);
  } catch (const StoppedEarlyError& stopped) {
    say_line("tardigrad: {}", stopped.what());
  }
  return interrupts.signal() != 0 ? exit_code_of(interrupts.signal()) : int{ok};
}

/// Runs what the command line asks for; errors become one line and an exit code.
int run(CLI::App& app, const std::vector<std::string>& arguments, const std::string& command_line) {
  TrainOptions train_options;
  const CLI::App* train_command = add_train_command(app, train_options);
  CompareOptions compare_options;
  const CLI::App* compare_command = add_compare_command(app, compare_options);
  AdviseOptions advise_options;
  const CLI::App* advise_command = add_advise_command(app, advise_options);
  CLI::App* devices_command = app.add_subcommand("devices", "Show the devices --device can name");
  devices_command->footer(devices_example);
  std::vector<std::string> logs;
  CLI::App* table_command =
      app.add_subcommand("table", "Show accuracy over time of several runs, from their logs");
  table_command->add_option("LOG", logs, "Files written by train --log")->required();
  bool csv = false;
  auto* csv_flag =
      table_command->add_flag("--csv", csv, "All evaluations as comma-separated values, a row each");
  bool by_class = false;
  table_command
      ->add_flag("--by-class", by_class,
                 "The accuracy of each class at the end, and which worker has most of its images")
      ->excludes(csv_flag);
  table_command->footer(table_example);
  std::string page = "report.html";
  CLI::App* report_command =
      app.add_subcommand("report", "Draw runs, from their logs, on one page for a browser");
  report_command->add_option("LOG", logs, "Files written by train --log")->required();
  report_command->add_option("-o,--output", page, "The page")->capture_default_str();
  report_command->footer(report_example);
  TrainOptions data_options;
  std::string data_page;
  CLI::App* data_command =
      app.add_subcommand("data", "Show what a data set holds, and which worker has what of it");
  add_named_options(*data_command, data_options, "What",
                    {"dataset", "data_dir", "test_share", "normalise", "image_size", "colour", "skip_broken",
                     "partition", "workers", "seed"});
  data_command->add_option("-o,--output", data_page, "A page with the picture of it");
  data_command->footer(data_example);
  DescribedModel described;
  CLI::App* models_command =
      app.add_subcommand("models", "List the networks that are built in, or show one: text, shapes, sizes");
  models_command->add_option("NAME", described.name, "One of them, or a FILE.toml");
  models_command
      ->add_option("--images", described.images, "Channels, height and width of the images it reads")
      ->capture_default_str();
  models_command->add_option("--classes", described.classes, "Classes it tells apart")->capture_default_str();
  models_command->add_option("--batch-size", described.batch_size, "Images of a minibatch, for the memory")
      ->capture_default_str();
  models_command->footer(models_example);
  train_options.command_line = compare_options.shared.command_line = command_line;
  // All processes of a command that runs something meet, whatever happens to each; others go their own way.
  const bool meets_ranks = !arguments.empty() &&
                           (arguments[0] == "train" || arguments[0] == "compare" || arguments[0] == "advise");
  bool understood = false;  // the command line, which is the same for all of them
  const auto report_once = [&](const auto& print, ExitCode code, const char* message) {
    const bool others_say_it =
        meets_ranks ? leaves_it_to_rank_0(message) : !understood && !speaks_for_all_ranks();
    return others_say_it ? int{code} : print(code, message);
  };
  const auto runs_something = [&] {
    return train_command->parsed() || compare_command->parsed() || advise_command->parsed();
  };
  try {
    const auto checkpoint = read_command_line(app, arguments);
    understood = true;
    if (devices_command->parsed()) print_devices();
    if (table_command->parsed()) {
      (by_class ? print_class_table : csv ? print_csv : print_accuracy_table)(logs);
    }
    if (report_command->parsed()) write_report(logs, page);
    if (models_command->parsed()) describe_models(described);
    if (data_command->parsed()) describe_data(data_options, data_page);
    if (runs_something()) ignore_sigpipe_and_sigxfsz();
    if (train_command->parsed()) {
      return until_interrupted(answer_to_request(train_options), [&](InterruptWatch& interrupts) {
        train(train_options, checkpoint.get(), interrupts);
      });
    }
    if (compare_command->parsed()) {
      require_one_process("compare");
      return until_interrupted("compare takes no checkpoints; the runs go on",
                               [&](InterruptWatch& interrupts) { compare(compare_options, interrupts); });
    }
    if (advise_command->parsed()) {
      require_one_process("advise");
      return until_interrupted("advise takes no checkpoints; the runs go on",
                               [&](InterruptWatch& interrupts) { advise(advise_options, interrupts); });
    }
    return ok;
  } catch (const CLI::CallForHelp& help) {
    print_answer(app, help);
    return ok;
  } catch (const CLI::CallForVersion& asked) {
    print_answer(app, asked);
    return ok;
  } catch (const RefusedByRank0&) {
    return bad_input;
  } catch (const CLI::ParseError& error) {
    return report_once(report, bad_input, error.what());
  } catch (const std::invalid_argument& error) {
    return report_once(report, bad_input, error.what());
  } catch (const DeviceError& error) {
    return report_once(report_of_run, device_lost, error.what());
  } catch (const WorkersLostError& error) {
    return report_of_run(device_lost, error.what());
  } catch (const NotFiniteError& error) {
    return report_of_run(not_finite, error.what());
  } catch (const std::bad_alloc&) {
    return report_once(report_of_run, device_lost, "the system has no more memory for this process");
  } catch (const std::exception& error) {
    return report_once(runs_something() ? report_of_run : report, internal_error, error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  const std::vector<std::string> words(argv, argv + argc);
  CLI::App app("tardigrad: asynchronous SGD on the GPUs of one workstation, or on its CPU.", "tardigrad");
  app.set_version_flag("--version", program_version);
  app.require_subcommand(1);
  app.formatter(std::make_shared<HelpPage>());
  app.footer(example);
  const int code =
      after_printing(run(app, {words.begin() + std::min(argc, 1), words.end()}, command_line_of(words)));
  if (!anything_abandoned()) leave_mpi_job();
  if (!anything_abandoned() && code != exit_code_of(SIGINT)) return code;
  std::fflush(nullptr);
  end_program(code);  // nothing of what a job that hangs may still use comes to its end before
}
