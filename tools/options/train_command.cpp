#include "tools/options/train_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <vector>

#include "tools/options/option_group.h"
#include "tools/options/option_table.h"

namespace tardigrad {
namespace {

constexpr const char* train_description =
    "Train a network, or minimise a quadratic, with one method of asynchronous SGD.\n"
    "\n"
    "Workers compute gradients on streams of their own; a server folds each one in as it arrives and hands "
    "the new model back. No worker waits for another unless the method says so.";

constexpr const char* train_example =
    "Example: ten workers, one of them 20 times slower, each with few of the classes\n"
    "  tools/fetch_data.sh fashion-mnist\n"
    "  tardigrad train --model mlp --dataset fashion-mnist --method dude --lr 0.005 --workers 10 \\\n"
    "      --partition dirichlet:0.1 --compute-time 1,1,1,1,1,1,1,1,1,20 --time-unit 0.1 \\\n"
    "      --time-limit 60 --eval-every 10s --log run.jsonl --save model.safetensors\n"
    "\n"
    "Exit codes: 0 done, 2 bad usage or input, 3 device or workers lost, 4 not finite, 1 anything else;\n"
    "after SIGINT, SIGTERM or SIGHUP 128 + the number of the signal (130, 143, 129).";

const char* heading_of(Section section) {
  switch (section) {
    case Section::choice:
    case Section::method:
      return "How";
    case Section::problem:
      return "What is trained";
    case Section::server:
      return "How the server steps";
    case Section::machine:
    case Section::ranks:
      return "Where, and how fast";
    case Section::length:
    case Section::targets:
      return "How long (the first that is reached)";
    case Section::checkpoints:
      return "What survives a power cut";
    default:
      return "What it leaves";
  }
}

/// In the order of the manual.
std::vector<OptionRow> rows_in(Section section) {
  std::vector<OptionRow> rows = option_table();
  std::erase_if(rows, [section](const OptionRow& row) { return row.section != section; });
  std::ranges::stable_sort(rows, {}, &OptionRow::place);
  return rows;
}

void add_options(CLI::App& command, TrainOptions& options, std::initializer_list<Section> sections) {
  for (const Section section : sections) add_options(command, options, section);
}

}  // namespace

void add_options(CLI::App& command, TrainOptions& options, Section section, const char* heading) {
  OptionGroup group(command, heading ? heading : heading_of(section));
  for (const OptionRow& row : rows_in(section)) group.add(row, options);
}

void add_named_options(CLI::App& command, TrainOptions& options, const char* heading,
                       std::initializer_list<const char*> names) {
  OptionGroup group(command, heading);
  for (const char* const name : names) group.add(row_of(name), options);
}

void add_run_options(CLI::App& command, TrainOptions& options) {
  using enum Section;
  add_options(command, options, {problem, method, server, machine, length});
}

CLI::App* add_train_command(CLI::App& app, TrainOptions& options) {
  using enum Section;
  CLI::App* train = app.add_subcommand("train", train_description);
  add_options(*train, options, choice);
  add_run_options(*train, options);
  add_options(*train, options, ranks);
  add_options(*train, options, {targets, log, log_format, outputs, checkpoints, quiet, checks});
  OptionGroup(*train, heading_of(checks))
      .mention("--config", "FILE", "Options from this TOML file (lr = 0.05); the command line wins");
  train->footer(train_example);
  return train;
}

}  // namespace tardigrad
