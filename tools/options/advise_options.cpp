#include "tools/options/advise_options.h"

#include <CLI/CLI.hpp>

#include "tools/options/option_group.h"
#include "tools/options/train_command.h"

namespace tardigrad {
namespace {

constexpr const char* advise_description =
    "Say which method, with which step size, would have taken a run to its target first.\n"
    "\n"
    "Takes the delays of the run's gradients as its log or recording has them, in their order, and its "
    "problem from its options; runs every method on them in virtual time, with step sizes searched by "
    "factors of two around the run's own; and shows how long each takes to the target, as medians over the "
    "seeds, with quartiles. Each seed draws another first model of a network and other minibatches, and "
    "begins somewhere else in the delays. The data and their partition stay the run's.\n"
    "\n"
    "A minute of any run is enough, if every worker has computed eight gradients or more in it.";

constexpr const char* advise_example =
    "Example: a minute of asgd, and what would have been faster\n"
    "  tools/fetch_data.sh fashion-mnist\n"
    "  tardigrad train --model mlp --dataset fashion-mnist --method asgd --lr 0.01 --workers 10 \\\n"
    "      --partition shards:1 --compute-time 1,1,1,1,1,1,1,1,1,20 --time-unit 0.02 \\\n"
    "      --time-limit 60 --eval-every 2s --log run.jsonl\n"
    "  tardigrad advise --from run.jsonl --methods sync,asgd,dude,ringleader";

}  // namespace

CLI::App* add_advise_command(CLI::App& app, AdviseOptions& options) {
  CLI::App* advise = app.add_subcommand("advise", advise_description);
  TrainOptions& shared = options.shared;
  shared.device = "cpu";
  OptionGroup(*advise, "What is asked")
      .require("--from", options.from, text("FILE"), "The run: a file of train --log, or of train --record")
      .add("--methods", options.methods, words("LIST"), "Methods to simulate (default: all)")
      .add("--seeds", options.seeds, words("N|LIST"),
           "How many seeds the times are medians of, the run's and those after it; or a list of them");
  add_options(*advise, shared, Section::targets,
              "What time is measured to (default: the run's own target, or what it ended with)");
  add_named_options(*advise, shared, "How it is simulated",
                    {"time_limit", "eval_every", "device", "data_dir"});
  OptionGroup(*advise, "What it leaves")
      .add("--log-dir", options.log_dir, text("FOLDER"),
           "Folder for the logs of all that is simulated; what is there already is not done again");
  add_options(*advise, shared, Section::quiet);
  advise->footer(advise_example);
  return advise;
}

}  // namespace tardigrad
