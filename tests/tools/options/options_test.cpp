// How options may be given, on the command line and in files of --config, and what is said of those that may
// not.

#include <gmock/gmock.h>

#include "tests/support/program.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using testing::records_of;

class Options : public testing::ProgramTest {
 protected:
  static constexpr const char* run_ =
      "--model quadratic:tridiagonal:20 --method asgd --lr 0.001 --workers 2 --clock virtual --compute-time "
      "1,2 "
      "--device cpu:1 --updates 20 ";

  Finished train(const std::string& more) const { return tardigrad(std::string("train ") + run_ + more); }

  /// The run record of a run that is fine.
  nlohmann::json record_of(const std::string& more) const {
    const Finished run = train(more + " --log log.jsonl");
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return records_of(path("log.jsonl"), "run").at(0);
  }

  /// What is said, in one line, of a run that is refused before anything is written.
  std::string refusal(const std::string& arguments) const {
    const auto before = files();
    const Finished run = tardigrad(arguments);
    EXPECT_EQ(run.exit_code, 2) << arguments << run.err;
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
    EXPECT_EQ(files(), before);
    return run.err;
  }
  std::string refused(const std::string& more) const { return refusal(std::string("train ") + run_ + more); }

  std::string refused_config(const std::string& text) const {
    write("run.toml", text);
    return refused("--config run.toml");
  }
};

TEST_F(Options, AnEmptyValueIsRefusedAndSwallowsNothing) {
  for (const std::string flag : {"save", "seed", "eval-every", "throttle"}) {
    const std::string said = "--" + flag + ": the value is empty (an unset variable?); expected one";
    EXPECT_THAT(refused("--" + flag + "= --momentum=0.9"), HasSubstr("tardigrad: " + said));
    EXPECT_THAT(refused_config(flag + " = \"\"\nmomentum = 0.9\n"),
                HasSubstr("tardigrad: --config run.toml:1: " + said));
  }
  EXPECT_THAT(refused("--save '' --momentum 0.9"), HasSubstr("--save: the value is empty"));
  EXPECT_THAT(refusal("compare --methods= --lr 1"), HasSubstr("--methods: the value is empty"));
  EXPECT_THAT(refused("--save --momentum 0.9"), HasSubstr("--save: expected a value, found --momentum"));
  EXPECT_THAT(refused("--save"), HasSubstr("--save: expected a value\n"));
}

TEST_F(Options, WholeNumbersAreDecimal) {
  auto record = record_of("--seed 010 --updates 0100 --batch-size 008");
  EXPECT_EQ(record.at("seed"), 10);
  EXPECT_EQ(record.at("updates"), 100);
  EXPECT_EQ(record.at("batch_size"), 8);
  write("run.toml", "updates = 1_00 # of them\nseed = 010\nbatch-size = \"007\"\nmomentum = 0.5\n");
  const Finished run = tardigrad(
      "train --config run.toml --model quadratic:tridiagonal:20 --method asgd --lr 0.001 --workers 2 "
      "--clock virtual --compute-time 1,2 --log log.jsonl");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  record = records_of(path("log.jsonl"), "run").at(0);
  EXPECT_EQ(record.at("seed"), 10);
  EXPECT_EQ(record.at("updates"), 100);
  EXPECT_EQ(record.at("batch_size"), 7);
  EXPECT_EQ(record.at("momentum"), 0.5);
}

TEST_F(Options, WhatDoesNotFitIsRefusedWithTheRange) {
  const std::string seeds = "is not a whole number from 0 to 18446744073709551615";
  EXPECT_THAT(refused("--seed -1"), HasSubstr("--seed: -1 " + seeds));
  EXPECT_THAT(refused("--seed 99999999999999999999"), HasSubstr("--seed: 99999999999999999999 " + seeds));
  EXPECT_THAT(refused("--updates -3"), HasSubstr("--updates: -3 is not a whole number from 1 to"));
  EXPECT_THAT(refused("--workers 1000001"), HasSubstr("is not a whole number from 1 to 1000000"));
  EXPECT_THAT(refused("--delay-threshold 2147483648"),
              HasSubstr("is not a whole number from 0 to 2147483647"));
  EXPECT_THAT(refused("--lr 1e999"), HasSubstr("--lr: 1e999 is not a positive number"));
  EXPECT_EQ(record_of("--seed 18446744073709551615").at("seed"), 18446744073709551615U);
}

TEST_F(Options, AConfigFileMayBeginWithAByteOrderMarkAndHoldWordsWithoutQuotes) {
  write("run.toml",
        "\xEF\xBB\xBFsave = \"model.safetensors\"\ndevice = cpu:1   # where\nclock = virtual\n"
        "compute_time = [1, 2]\r\naugment = false\n");
  const Finished run = tardigrad(
      "train --config run.toml --model quadratic:tridiagonal:20 --method asgd --lr 0.001 --workers 2 "
      "--updates 3");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_TRUE(std::filesystem::exists(path("model.safetensors")));
}

TEST_F(Options, AConfigFileIsRefusedByFileAndLine) {
  EXPECT_THAT(refused_config("seed = 1\nseed = 2\n"),
              AllOf(HasSubstr("--config run.toml:2: expected TOML"), HasSubstr("seed")));
  EXPECT_THAT(refused_config("[server]\nlr = 1\n"),
              HasSubstr("run.toml:1: \"server\": expected lines of the form"));
  EXPECT_THAT(refused_config("keep = 1\n\nworkrs = 3\nzzzzzz = 1\n"),
              HasSubstr("unknown: --config run.toml:3: --workrs (did you mean --workers?), "
                        "--config run.toml:4: --zzzzzz; tardigrad train --help"));
  EXPECT_THAT(refused_config("lr = [\n"), HasSubstr("run.toml:1: expected TOML"));
  write("bad.toml", "\nmomentum = \"fast\"\n");
  EXPECT_THAT(refused("--config bad.toml"),
              HasSubstr("--config bad.toml:2: --momentum: fast is not a number from 0 to 1"));
  EXPECT_THAT(refused("--config nowhere.toml"), HasSubstr("nowhere.toml: expected a file that can be read"));
  EXPECT_THAT(refused("--config ."), HasSubstr("--config .: expected a file that can be read"));
}

TEST_F(Options, UnknownOnesAreNamedInTheirOrderWithTheNearest) {
  EXPECT_THAT(refused("-lr 0.1"), HasSubstr("unknown: -lr (did you mean --lr?); tardigrad train --help"));
  EXPECT_THAT(
      refused("--teacher x --worker 4 --methods dude --sav=x"),
      MatchesRegex("tardigrad: unknown: --teacher.*, --worker \\(did you mean --workers\\?\\), "
                   "--methods \\(did you mean --method\\?\\), --sav \\(did you mean --save\\?\\).*\n"));
  EXPECT_THAT(refusal("compare --checkpoint-dir x"), HasSubstr("--checkpoint-dir (an option of train)"));
  EXPECT_THAT(refused("more words"), HasSubstr("train more words: unexpected; expected options"));
  EXPECT_THAT(refusal("--frobnicate"), HasSubstr("unknown: --frobnicate; tardigrad --help"));
}

TEST_F(Options, NamesAndListsMayBeSpelledInOtherWays) {
  const auto record = record_of(
      "--method ASGD --clock Virtual --compute-time ' 1, 2' --throttle '1=2X , 0=1x' "
      "--device CPU:1 --lr ' +0.001 ' --log-detail JOBS");
  EXPECT_EQ(record.at("method"), "asgd");
  EXPECT_EQ(record.at("clock"), "virtual");
  EXPECT_EQ(record.at("compute_time"), "1,2");
  EXPECT_EQ(record.at("throttle"), "1=2x,0=1x");
  EXPECT_EQ(record.at("lr"), 0.001);
  write_images(40, 10);
  const Finished run = tardigrad(
      "train --model MLP --dataset MNIST --data-dir . --method DuDe --lr 0.1 --workers 2 --updates 2 --log "
      "log.jsonl --partition IID");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(records_of(path("log.jsonl"), "run").at(0).at("dataset"), "mnist");
  EXPECT_THAT(
      refusal("train --model mlp --dataset FashionMNIST --data-dir . --method dude --lr 1 --updates 1 "
              "--device cpu --workers 41"),
      HasSubstr("41 workers"));
  const Finished compared = tardigrad(
      "compare --methods 'asgd, DuDe' --lr '0.1, Dude=0.2' --seeds '3, 7' --model quadratic:tridiagonal:5 "
      "--workers 2 --clock virtual --compute-time 1,2 --updates 3 --device cpu:1");
  EXPECT_EQ(compared.exit_code, 0) << compared.err;
  EXPECT_THAT(compared.out, AllOf(HasSubstr("seeds 3, 7\n"), HasSubstr("\ndude    0.2")));
}

TEST_F(Options, TimesAndCountsHaveOneSpelling) {
  EXPECT_EQ(record_of("--time-limit 2m").at("time_limit"), 120);
  EXPECT_EQ(record_of("--time-limit 0.5h").at("time_limit"), 1800);
  const auto record = record_of("--worker-timeout 3s --time-unit 1m --eval-every 10u --checkpoint-every 50");
  EXPECT_EQ(record.at("worker_timeout"), 3);
  EXPECT_EQ(record.at("time_unit"), 60);
  EXPECT_EQ(records_of(path("log.jsonl"), "eval").size(), 3U);
  static_cast<void>(record_of("--eval-every 0.1m"));  // six units: of thirteen and a half
  EXPECT_EQ(records_of(path("log.jsonl"), "eval").size(), 4U);
  EXPECT_THAT(refused("--time-limit 5u"),
              HasSubstr("--time-limit: 5u is not a positive time such as 10, 10s, 5m"));
  EXPECT_THAT(refused("--time-unit 0s"), HasSubstr("--time-unit: 0s is not a positive time"));
  for (const std::string flag : {"--eval-every", "--checkpoint-every"}) {
    EXPECT_THAT(refused(flag + " 1.5"),
                HasSubstr(flag + " 1.5: expected updates such as 500 or 500u, or a time"));
  }
}

TEST_F(Options, SeedsAreACountOrAList) {
  const std::string compare =
      "compare --methods asgd --lr 0.1 --model quadratic:tridiagonal:5 --workers 2 --clock virtual "
      "--compute-time 1,2 --updates 3 ";
  EXPECT_THAT(refusal(compare + "--seeds 0"), HasSubstr("--seeds 0: out of range; expected how many"));
  EXPECT_THAT(refusal(compare + "--seeds 1,1"), HasSubstr("1 is named twice"));
  EXPECT_THAT(refusal(compare + "--seeds 1,x"), HasSubstr("'x' is no seed"));
  EXPECT_THAT(refusal(compare + "--seeds 1,2 --seed 3"), HasSubstr("--seed 3 has no use beside a list"));
  EXPECT_THAT(refusal(compare + "--seeds 2 --seed 18446744073709551615"), HasSubstr("no seeds are left"));
}

TEST_F(Options, MessagesNameWhatIsWrong) {
  EXPECT_THAT(refused("--throttle 2=5x"), HasSubstr("there is no worker 2; expected workers from 0 to 1"));
  EXPECT_THAT(
      refusal("train --model quadratic:tridiagonal:20 --method dud --lr 1"),
      AllOf(HasSubstr("did you mean dude?"), HasSubstr("runtime/methods/README.md says how to add one")));
  EXPECT_THAT(refusal("train --model transformer --method dude --lr 1"),
              HasSubstr("models/networks/README.md says how to add one"));
  EXPECT_THAT(refusal("train --model mlp --dataset imagenet --method dude --lr 1"),
              HasSubstr("data/README.md says how to add one"));
  const Finished run = train("--save model.pt");
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.err, HasSubstr("--save model.pt: the file is safetensors all the same"));
}

TEST_F(Options, TheManualFitsTheTerminalAndEveryCommandHasAnExample) {
  for (const std::string command : {"train", "compare", "devices", "table", "report"}) {
    const Finished help = tardigrad("help " + command);
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_THAT(help.out, AllOf(HasSubstr("Example"), HasSubstr("\n  tardigrad " + command))) << command;
    EXPECT_EQ(help.out, tardigrad(command + " --help").out);
  }
  EXPECT_THAT(tardigrad("help").out, AllOf(HasSubstr("compare"), HasSubstr("Example")));
  EXPECT_THAT(refusal("help trian"), HasSubstr("did you mean train?"));
  setenv("COLUMNS", "60", 1);
  const std::string narrow = tardigrad("train --help").out;
  unsetenv("COLUMNS");
  std::istringstream lines(narrow);
  for (std::string line; std::getline(lines, line);) {
    const bool is_example =
        line.starts_with("  tardigrad") || line.starts_with("  tools") || line.starts_with("      ");
    if (is_example || line.find('|') != std::string::npos) continue;
    EXPECT_LE(line.size(), 60U) << line;
  }
}

TEST_F(Options, WhatDevicesShowsIsWhatTrainTakes) {
  std::istringstream lines(tardigrad("devices").out);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("cpu") && !line.starts_with("cuda")) continue;
    const std::string device = line.substr(0, line.find(' '));
    const Finished run = train("--device " + device + " --show-memory");
    EXPECT_EQ(run.exit_code, 0) << device << run.err;
  }
}

}  // namespace
}  // namespace tardigrad
