#include "tools/compare_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <string_view>

#include "runtime/methods/method.h"
#include "runtime/nearest_name.h"
#include "runtime/parse_number.h"

namespace tardigrad {
namespace {

constexpr const char* compare_description =
    "Run several methods on the same problem and delays, and show what each needs and reaches.\n"
    "\n"
    "Every method is run with each of its step sizes and with every seed. The table shows, for the best "
    "step\n"
    "size of a method, medians over the seeds, with quartiles: \"12.3 [11.9, 13.0]\". The best one reaches "
    "the\n"
    "target first; where none does, or there is no target, it ends with the best accuracy (without "
    "accuracies,\n"
    "or with --target-loss: the least loss; with --target-gradient-norm-sq: the least of those). Runs that "
    "fail, having left the finite numbers, say, count as "
    "the\n"
    "worst.\n"
    "\n"
    "In virtual time on the CPU, runs go side by side, as many as there are CPU devices (--device cpu:K "
    "takes\n"
    "fewer threads, and less memory); this does not change a bit of their results. Other runs go one after\n"
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
    "After SIGINT, SIGTERM or SIGHUP the table has the runs that are complete, and the exit code is 128 + the\n"
    "number of the signal.";

/// The text between commas; the last part may be empty.
std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t comma = text.find(',');
    parts.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

std::vector<std::string> parse_methods(const std::string& text) {
  const std::vector<std::string> known = method_names();
  std::vector<std::string> methods = split(text);
  std::set<std::string_view> seen;
  for (const std::string& method : methods) {
    if (std::find(known.begin(), known.end(), method) == known.end()) {
      throw std::invalid_argument(unknown_name_message("--methods", method, known));
    }
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
  for (const std::string& part : split(lr)) {
    const std::size_t equals = part.find('=');
    if (equals != std::string::npos) {
      method = part.substr(0, equals);
      if (std::find(methods.begin(), methods.end(), method) == methods.end()) {
        throw std::invalid_argument(
            fmt::format("--lr {}: {} is none of --methods {}", lr, method, fmt::join(methods, ",")));
      }
    }
    const std::size_t number = equals == std::string::npos ? 0 : equals + 1;
    step_sizes[method].insert(parse_step_size(lr, std::string_view(part).substr(number)));
  }
  return step_sizes;
}

}  // namespace

CLI::App* add_compare_command(CLI::App& app, CompareOptions& options) {
  CLI::App* compare = app.add_subcommand("compare", compare_description);
  compare->option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  constexpr const char* group = "What is compared";
  compare->add_option("--methods", options.methods, fmt::format("{}", fmt::join(method_names(), ",")))
      ->required()
      ->group(group);
  compare
      ->add_option("--lr", options.lr,
                   "Step sizes to choose from: 0.1 or 0.01,0.1; after METHOD= those of that method: "
                   "0.01,0.1,dude=0.02,0.05")
      ->required()
      ->group(group);
  compare
      ->add_option("--seeds", options.seeds,
                   "How many seeds each method and step size is run with: --seed and those after it")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str()
      ->group(group);
  add_run_options(*compare, options.shared);
  add_target_options(*compare, options.shared, "What time is measured to (runs go on after it)");
  compare
      ->add_option("--log-dir", options.log_dir,
                   "Folder for the log of each run, METHOD-LR-SEED.jsonl, as of train --log; runs whose logs "
                   "are there already are not done again")
      ->group("What it leaves");
  compare
      ->add_option("--csv", options.csv,
                   "File for the evaluations of all runs as comma-separated values; -: stdout, and the table "
                   "goes to stderr")
      ->group("What it leaves");
  compare
      ->add_option("--report", options.report,
                   "A page, as of tardigrad report, that draws each method at its best step size")
      ->group("What it leaves");
  add_log_options(*compare, options.shared);
  compare->add_option("--config", "Options from this TOML file (seeds = 3); the command line wins")
      ->group("What it leaves");
  compare->footer(compare_example);
  return compare;
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
