#include "tools/library/tardigrad.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <stdexcept>
#include <utility>

#include "runtime/checkpoint/checkpoints.h"
#include "runtime/methods/method.h"
#include "tools/cli/command_line.h"
#include "tools/options/train_command.h"
#include "tools/train/train.h"
#include "tools/train/version.h"

namespace tardigrad {
namespace {

/// Keeps how a run ended.
class KeepSummary final : public RunObserver {
 public:
  void on_summary(const RunSummary& summary) override { summary_ = summary; }
  RunSummary& summary() { return summary_; }

 private:
  RunSummary summary_;
};

/// The command's words, with the names of what is one's own.
std::vector<std::string> words_of(const Training& training) {
  std::vector<std::string> words{"train"};
  words.insert(words.end(), training.options.begin(), training.options.end());
  const auto add = [&words](const char* flag, const std::string& name) {
    words.push_back(std::string(flag) + "=" + std::string(own_prefix) + name);
  };
  if (training.objective) add("--model", training.name);
  if (training.method) add("--method", training.method_name);
  if (!training.prints) words.emplace_back("--quiet");
  return words;
}

}  // namespace

Trained train(Training training) {
  CLI::App app("tardigrad", "tardigrad");
  TrainOptions options;
  add_train_command(app, options);
  Trained trained;
  KeepSummary keep;
  OwnParts own;
  if (training.objective) {
    own.objective = [&training](const TrainOptions&) { return std::move(training.objective); };
  }
  own.method = training.method;
  own.observers.push_back(&keep);
  for (const auto& observer : training.observers) own.observers.push_back(observer.get());
  own.shows_results = true;
  own.take_model = [&trained](const ParameterLayout&, std::span<const float> model) {
    trained.model.assign(model.begin(), model.end());
  };
  TokenControl control(training.stop);
  try {
    const auto checkpoint = read_command_line(app, words_of(training));
    train(options, checkpoint.get(), control, own);
  } catch (const CLI::ParseError& error) {
    throw std::invalid_argument(error.what());
  }
  trained.summary = std::move(keep.summary());
  return trained;
}

std::string version() { return program_version; }

}  // namespace tardigrad
