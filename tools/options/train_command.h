#pragma once

#include <initializer_list>

#include "tools/options/option_row.h"
#include "tools/options/train_options.h"

namespace CLI {
class App;
}

namespace tardigrad {

/// Adds the `train` subcommand and binds its flags to `options`, which must outlive `app`.
CLI::App* add_train_command(CLI::App& app, TrainOptions& options);

/// Adds what says what is run, and how, but not by which method at which step size: shared by the commands
/// that run something.
void add_run_options(CLI::App& command, TrainOptions& options);

/// Adds the options of these names, under a heading of a command's own.
void add_named_options(CLI::App& command, TrainOptions& options, const char* heading,
                       std::initializer_list<const char*> names);

/// Adds the options of a section, under its usual heading or another one.
void add_options(CLI::App& command, TrainOptions& options, Section section, const char* heading = nullptr);

}  // namespace tardigrad
