#include "tools/options/compare_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string_view>

#include "runtime/base/nearest_name.h"
#include "runtime/base/parse_number.h"
#include "runtime/methods/method.h"
#include "tools/options/option_group.h"
#include "tools/options/train_command.h"

namespace tardigrad {
namespace {

constexpr const char* compare_description =
    "Run several methods on the same problem and delays, and show what each needs and reaches.\n"
    "\n"
    "Every method is run with each of its step sizes and with every seed. The table shows, for the best step "
    "size of a method, medians over the seeds, with quartiles: \"12.3 [11.9, 13.0]\". The best one reaches "
    "the target first; where none does, or there is no target, it ends with the best accuracy (without "
    "accuracies, "
    "or with --target-loss: the least loss; with --target-gradient-norm-sq: the least of those). Runs that "
    "fail, having left the finite numbers, say, count as the worst.\n"
    "\n"
    "In virtual time on the CPU, runs go side by side, as many as there are CPU devices (--device cpu:K "
    "takes "
    "fewer threads, and less memory); this does not change a bit of their results. Other runs go one after "
    "another.";

constexpr const char* compare_example =
    "Example: three methods on a hundred workers, each with the best of three step sizes\n"
    "  tools/fetch_data.sh mnist\n"
    "  tardigrad compare --methods ringleader,malenia,ia2sgd --seeds 3 \\\n"
    "      --lr 0.001,0.002,0.005,malenia=0.05,0.1,0.2,ia2sgd=0.0002,0.0005,0.001 \\\n"
    "      --model mlp --dataset mnist --workers 100 --partition dirichlet:0.1 --batch-size 4 \\\n"
    "      --compute-time linear:1:1+halfnormal --clock virtual --time-limit 5000 --eval-every 100s \\\n"
    "      --target-accuracy 0.85\n"
    "\n"
    "After SIGINT, SIGTERM or SIGHUP the table has the runs that are complete, and the exit code is 128 + "
    "the\n"
    "number of the signal.";

std::vector<std::string> parse_methods(const std::string& text) {
  const std::vector<std::string> known = method_names();
  const std::vector<std::string_view> parts = split(text, ',');
  std::vector<std::string> methods(parts.begin(), parts.end());
  std::set<std::string_view> seen;
  for (std::string& method : methods) {
    const std::string name = known_spelling(method, known);
    if (name.empty()) throw std::invalid_argument(unknown_name_message("--methods", method, known));
    method = name;
    if (!seen.insert(method).second) {
      throw std::invalid_argument(fmt::format("--methods {}: {} is named twice", text, method));
    }
  }
  return methods;
}

double parse_step_size(const std::string& lr, std::string_view text) {
  const auto value = parse_number<double>(text);
  if (value && *value > 0) return *value;
  throw std::invalid_argument(
      fmt::format("--lr {}: '{}' is not a positive number; expected step sizes such as 0.1, or 0.01,0.1, or "
                  "METHOD=0.01,0.1",
                  lr, text));
}

using StepSizes = std::map<std::string, std::set<double>>;  // of a method; of all others under ""

StepSizes parse_step_sizes(const std::string& lr, const std::vector<std::string>& methods) {
  StepSizes step_sizes;
  std::string method;
  for (const std::string_view part : split(lr, ',')) {
    const std::size_t equals = part.find('=');
    if (equals != std::string_view::npos) {
      method = known_spelling(part.substr(0, equals), methods);
      if (method.empty()) {
        throw std::invalid_argument(fmt::format("--lr {}: {} is none of --methods {}", lr,
                                                part.substr(0, equals), fmt::join(methods, ",")));
      }
    }
    const std::size_t number = equals == std::string_view::npos ? 0 : equals + 1;
    step_sizes[method].insert(parse_step_size(lr, part.substr(number)));
  }
  return step_sizes;
}

}  // namespace

CLI::App* add_compare_command(CLI::App& app, CompareOptions& options) {
  constexpr const char* outputs = "What it leaves";
  CLI::App* compare = app.add_subcommand("compare", compare_description);
  OptionGroup(*compare, "What is compared")
      .require("--methods", options.methods, words("LIST"), fmt::format("{}", fmt::join(method_names(), ",")))
      .require("--lr", options.lr, words("LIST"),
               "Step sizes to choose from: 0.1 or 0.01,0.1; after METHOD= those of that method: "
               "0.01,0.1,dude=0.02,0.05")
      .add("--seeds", options.seeds, words("N|LIST"),
           "How many seeds each method and step size is run with, --seed and those after it; or a list of "
           "them: "
           "1,2,7");
  TrainOptions& shared = options.shared;
  add_run_options(*compare, shared);
  add_options(*compare, shared, Section::targets, "What time is measured to (runs go on after it)");
  OptionGroup(*compare, outputs)
      .add("--log-dir", options.log_dir, text("FOLDER"),
           "Folder for the log of each run, METHOD-LR-SEED.jsonl, as of train --log; runs whose logs are "
           "there already are not done again")
      .add("--csv", options.csv, text("FILE"),
           "File for the evaluations of all runs as comma-separated values; -: stdout, and the table goes to "
           "stderr")
      .add("--report", options.report, text("FILE"),
           "A page, as of tardigrad report, that draws each method at its best step size");
  add_options(*compare, shared, Section::log_format);
  add_options(*compare, shared, Section::quiet);
  OptionGroup(*compare, outputs)
      .mention("--config", "FILE", "Options from this TOML file (seeds = 3); the command line wins");
  compare->footer(compare_example);
  return compare;
}

std::vector<std::uint64_t> seeds_of(const CompareOptions& options) {
  constexpr std::uint64_t most = 1'000'000;
  const auto refuse = [&](std::string_view what) {
    throw std::invalid_argument(
        fmt::format("--seeds {}: {}; expected how many, from 1 to {}, or a list of seeds such as 1,2,7",
                    options.seeds, what, most));
  };
  const std::uint64_t first = options.shared.seed;
  std::vector<std::uint64_t> seeds;
  for (const std::string_view part : split(options.seeds, ',')) {
    const auto seed = parse_number<std::uint64_t>(part);
    if (!seed) refuse(fmt::format("'{}' is no seed", part));
    if (std::ranges::find(seeds, *seed) != seeds.end()) refuse(fmt::format("{} is named twice", *seed));
    seeds.push_back(*seed);
  }
  if (seeds.size() > 1) {
    if (first != 0) refuse(fmt::format("--seed {} has no use beside a list", first));
    return seeds;
  }
  const std::uint64_t count = seeds.front();
  if (count < 1 || count > most) refuse("out of range");
  if (first > std::numeric_limits<std::uint64_t>::max() - (count - 1)) {
    refuse("no seeds are left after --seed");
  }
  seeds.resize(count);
  std::iota(seeds.begin(), seeds.end(), first);
  return seeds;
}

std::vector<Contestant> parse_contestants(const std::string& methods, const std::string& lr) {
  const std::vector<std::string> names = parse_methods(methods);
  const StepSizes step_sizes = parse_step_sizes(lr, names);
  std::vector<Contestant> contestants;
  for (const std::string& method : names) {
    const auto own = step_sizes.find(method);
    const auto found = own != step_sizes.end() ? own : step_sizes.find("");
    if (found == step_sizes.end()) {
      throw std::invalid_argument(
          fmt::format("--lr {}: no step size for {}; expected {}=...", lr, method, method));
    }
    contestants.push_back({method, {found->second.begin(), found->second.end()}});
  }
  return contestants;
}

}  // namespace tardigrad
