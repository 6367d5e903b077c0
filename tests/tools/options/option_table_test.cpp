// What the table says of every option, and what is made of it: command line, manual, records, the command
// that repeats a run.

#include "tools/options/option_table.h"

#include <gmock/gmock.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tools/options/option_records.h"
#include "tools/options/train_command.h"

namespace tardigrad {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

std::vector<std::string> split(const std::string& text, char mark) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, mark);) parts.push_back(part);
  return parts;
}

bool accepts(const OptionRow& row, const std::string& text) {
  TrainOptions options;
  try {
    row.parse(options, text);
  } catch (const BadValue&) {
    return false;
  }
  return row.value(options) != row.value({});
}

/// A text that gives the option another value than its default.
std::string sample_of(const OptionRow& row) {
  std::vector<std::string> texts = split(row.values, '|');
  texts.insert(texts.end(), {"7", "0.5", "64K", "dude", "mlp", "mnist"});
  for (const std::string& text : texts) {
    if (accepts(row, text)) return text;
  }
  ADD_FAILURE() << row.name << ": no value is accepted";
  return "";
}

/// "--lr=0.5", or a flag alone.
std::string word_of(const OptionRow& row) {
  return row.is_on ? row.flag() : row.flag() + "=" + sample_of(row);
}

/// What a command line without the name of the program means.
TrainOptions parsed(std::vector<std::string> words) {
  TrainOptions options;
  CLI::App app;
  add_train_command(app, options);
  std::reverse(words.begin(), words.end());  // as CLI11 wants them
  app.parse(words);
  return options;
}

/// Every option has another value than its default.
TrainOptions all_given() {
  std::vector<std::string> words{"train"};
  for (const OptionRow& row : option_table()) words.push_back(word_of(row));
  return parsed(words);
}

TEST(OptionTable, EveryRowReadsWhatItPrints) {
  for (const OptionRow& row : option_table()) {
    if (row.is_on) continue;
    TrainOptions given;
    row.parse(given, sample_of(row));
    const Json value = row.value(given);
    TrainOptions again;
    row.parse(again, text_of(value));
    EXPECT_EQ(row.value(again), value) << row.name;
    row.reset(again);
    EXPECT_EQ(row.value(again), row.value({})) << row.name;
  }
}

TEST(OptionTable, EveryRowIsOfItsOwnMember) {
  std::set<std::string> flags;
  for (const OptionRow& row : option_table()) {
    EXPECT_TRUE(flags.insert(row.flag()).second) << row.name << " is there twice";
    TrainOptions options = all_given();
    row.reset(options);
    for (const OptionRow& other : option_table()) {
      EXPECT_EQ(other.value(options) == other.value({}), other.name == row.name)
          << "without " << row.name << ": " << other.name;
    }
  }
}

TEST(OptionTable, EveryRowIsInTheManualWithItsDefault) {
  TrainOptions options;
  CLI::App app;
  const std::string manual = add_train_command(app, options)->help();
  for (const OptionRow& row : option_table()) {
    const std::string shown = row.is_on || row.required ? "" : row.shown({});
    const std::string entry = row.flag() + (row.is_on ? "" : " " + row.values);
    const std::string with_default = entry + (shown.empty() ? "" : "=" + shown);
    EXPECT_THAT(manual, AnyOf(HasSubstr(with_default + " "), HasSubstr(with_default + "\n"))) << row.name;
    EXPECT_THAT(manual, HasSubstr(row.help)) << row.name;
  }
}

TEST(OptionTable, ARecordGivesItsOptionsBack) {
  const TrainOptions options = all_given();
  EXPECT_EQ(to_json(recorded_options(Json::parse(to_json(options)))), to_json(options));
  EXPECT_THROW(recorded_options(Json{{"workers", "many"}}), BadValue);
}

TEST(OptionTable, TheCommandThatRepeatsARunGivesItsOptions) {
  const TrainOptions options = all_given();
  std::vector<std::string> words = split(repeat_command(options), ' ');
  ASSERT_EQ(words.front(), "tardigrad");
  words.erase(words.begin());
  const TrainOptions repeated = parsed(words);
  EXPECT_EQ(to_json(repeated), to_json(options));
  EXPECT_EQ(outputs_json(repeated), outputs_json({}));
}

TEST(OptionTable, MethodsKeepTheOptionsThatTheyHaveAUseFor) {
  const TrainOptions options = all_given();
  for (const std::string method : {"dude", "fedbuff", "sync"}) {
    const TrainOptions kept = options_for_method(options, method);
    EXPECT_NO_THROW(require_use(kept, {method})) << method;
    for (const OptionRow& row : option_table()) {
      const bool has_use = row.name == "method" || !row.feature || has_feature(method, *row.feature);
      if (row.name != "method") {
        EXPECT_EQ(row.value(kept), row.value(has_use ? options : TrainOptions{})) << row.name;
      }
    }
  }
  EXPECT_THROW(require_use(options, {"asgd"}), std::invalid_argument);
}

// Logs, recordings and checkpoints of older programs have these names, in this order.
TEST(OptionTable, RecordsAreWhatTheyWere) {
  EXPECT_EQ(
      to_json({}),
      R"({"model":"","dataset":"","data_dir":"","method":"","workers":null,"device":"auto",)"
      R"("workers_per_device":"","server_device":"","server_shards":1,)"
      R"("sync_over":null,"gradient_route":"auto","precision":"fp32","deterministic":false,"cuda_graphs":"on",)"
      R"("partition":"iid","problem_seed":null,"batch_size":32,"augment":false,"test_share":null,"normalise":"","image_size":null,)"
      R"("colour":"auto","skip_broken":false,"lr":0.0,"gather":null,"delay_threshold":null,)"
      R"("smoothness":null,"availability":null,"lost_rows":null,"local_steps":null,"local_lr":null,)"
      R"("optimizer":"sgd","beta1":null,"beta2":null,"epsilon":null,"momentum":0.0,"weight_decay":0.0,"clip_norm":null,"lr_schedule":"constant","table_dtype":null,)"
      R"("resum_every":null,"updates":null,"epochs":null,"time_limit":null,"compute_time":"measured",)"
      R"("events":"","throttle":"","completions":"auto","hand_over":null,"clock":"wall","time_unit":1.0,"worker_timeout":null,)"
      R"("seed":0,"sampling":"shuffle","init":"","eval_every":"","eval_objective":false,"eval_gradient":false,)"
      R"("eval_examples":null,"target_accuracy":null,"target_loss":null,"target_gradient_norm_sq":null})");
  EXPECT_EQ(outputs_json({}),
            R"({"log":"","log_detail":"jobs","log_size":"268435456","log_files":4,"serve":null,)"
            R"("serve_host":null,"save":"","trace":"","trace_size":null,"tensorboard":"","record":"",)"
            R"("checkpoint_every":"5m","keep":3,"verify":false})");
}

TEST(OptionTable, PeriodsStandInRecordsAsTheyWereGiven) {
  const TrainOptions options = parsed(
      {"train", "--model=mlp", "--method=dude", "--lr=1", "--eval-every=0.5h", "--checkpoint-every=500u"});
  EXPECT_EQ(options.eval_every->time, 1800);
  EXPECT_EQ(options.checkpoint_every.updates, 500U);
  EXPECT_EQ(row_of("eval_every").value(options), "0.5h");
  EXPECT_EQ(row_of("checkpoint_every").value(options), "500u");
}

TEST(OptionTable, SecretsStandInNoRecord) {
  for (const OptionRow& row : option_table()) {
    if (!row.secret) continue;
    EXPECT_EQ(row.record, Record::none) << row.name;
    const std::vector<std::string> words{"tardigrad", row.flag(), "hidden", row.flag() + "=hidden"};
    EXPECT_EQ(command_line_of(words), "tardigrad " + row.flag() + " ... " + row.flag() + "=...");
  }
}

}  // namespace
}  // namespace tardigrad
