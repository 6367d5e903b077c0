#pragma once

#include <string>

#include "tools/options/train_options.h"

namespace CLI {
class App;
}

namespace tardigrad {

/// Everything `tardigrad advise` can be told, as given.
struct AdviseOptions {
  std::string from;     ///< the log or recording of the run that is asked about
  TrainOptions shared;  ///< of what is simulated; what is not given here is that run's
  std::string methods;  ///< empty: all that are built in
  std::string seeds = "5";
  std::string log_dir;
};

/// Adds the `advise` subcommand and binds its flags to `options`, which must outlive `app`.
CLI::App* add_advise_command(CLI::App& app, AdviseOptions& options);

}  // namespace tardigrad
