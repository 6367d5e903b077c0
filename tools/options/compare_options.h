#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/options/train_options.h"

namespace CLI {
class App;
}

namespace tardigrad {

/// Everything `tardigrad compare` can be told, as given.
struct CompareOptions {
  TrainOptions shared;  ///< of all runs, with the first of their seeds; no method and no step size
  std::string methods;
  std::string lr;
  std::string seeds = "1";
  std::string log_dir;
  std::string csv;
  std::string report;
};

/// Adds the `compare` subcommand and binds its flags to `options`, which must outlive `app`.
CLI::App* add_compare_command(CLI::App& app, CompareOptions& options);

/// A method and the step sizes to try it with.
struct Contestant {
  std::string method;
  std::vector<double> step_sizes;  ///< ascending, each once
};

/// `--seeds`: a count, of `--seed` and those after it, or a list such as 1,2,7. Throws std::invalid_argument,
/// naming the value and what was expected.
std::vector<std::uint64_t> seeds_of(const CompareOptions& options);

/// `--methods a,b` with `--lr`: a list of step sizes, of which those after `METHOD=` are for that method and
/// those before any are for the others: "0.1", "0.01,0.1", "a=0.01,0.1,b=0.5". Throws std::invalid_argument,
/// naming the value and what was expected, also for a method without a step size.
std::vector<Contestant> parse_contestants(const std::string& methods, const std::string& lr);

}  // namespace tardigrad
