#include "runtime/verify/method_spec.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <variant>

namespace tardigrad {
namespace {

/// Is of a method that a caller brings: nobody has written down what it promises, so that only what holds for
/// all methods is checked.
class NoPromise final : public MethodSpec {
 public:
  Decision start(const JobLedger&) override { return as_it_comes_; }
  Decision arrive(const Arrival&, const JobLedger&) override { return as_it_comes_; }
  Decision lose(int, const JobLedger&) override { return as_it_comes_; }
  Decision regain(int, const JobLedger&) override { return as_it_comes_; }

 private:
  const Decision as_it_comes_{.anything = true};
};

}  // namespace

Decision decision_of(std::span<const Action> actions) {
  Decision decision;
  for (const Action& action : actions) {
    if (const auto* fold = std::get_if<FoldRow>(&action)) decision.fold = *fold;
    if (const auto* sum = std::get_if<Accumulate>(&action)) decision.accumulate = *sum;
    if (const auto* correct = std::get_if<Correct>(&action)) decision.correct = *correct;
    if (const auto* step = std::get_if<Step>(&action)) decision.step = step->scale;
    if (std::holds_alternative<SwapTables>(action)) decision.swap = true;
    if (const auto* to = std::get_if<HandOver>(&action)) decision.hand_overs.push_back(to->worker);
    if (const auto* gone = std::get_if<Discard>(&action)) decision.discards.push_back(gone->worker);
  }
  std::ranges::sort(decision.hand_overs);
  std::ranges::sort(decision.discards);
  return decision;
}

bool agree(const Decision& expected, const Decision& found) {
  if (expected.anything) return true;
  if (expected.step.has_value() != found.step.has_value()) return false;
  // Written so that a scale that is no number does not agree.
  if (expected.step &&
      !(std::abs(*found.step - *expected.step) <= expected.scale_tolerance * std::abs(*expected.step))) {
    return false;
  }
  return expected.fold == found.fold && expected.accumulate == found.accumulate &&
         expected.correct == found.correct && expected.swap == found.swap &&
         expected.discards == found.discards &&
         (expected.to_anybody || expected.hand_overs == found.hand_overs);
}

std::string describe(const Decision& decision) {
  std::vector<std::string> parts;
  if (const auto& fold = decision.fold) {
    parts.push_back(fmt::format("fold of weight {} into row {}{}{}", fold->weight, fold->worker,
                                fold->table == Table::next ? " of the next table" : "",
                                fold->update_mean ? " and the mean" : ""));
  }
  if (const auto& sum = decision.accumulate) {
    parts.push_back(fmt::format("{} of weight {}", sum->restart ? "first of a sum" : "sum", sum->weight));
  }
  if (const auto& correct = decision.correct) {
    parts.push_back(fmt::format("{} of weight {} by row {}{}{}",
                                correct->restart ? "first correction" : "correction", correct->weight,
                                correct->worker, correct->kept ? " as it was kept" : "",
                                correct->keep ? ", which is kept" : ""));
  }
  if (decision.step) parts.push_back(fmt::format("step of scale {}", *decision.step));
  if (decision.swap) parts.emplace_back("exchange of the tables");
  if (!decision.discards.empty()) {
    parts.push_back(fmt::format("discard {}", fmt::join(decision.discards, " ")));
  }
  if (decision.to_anybody) {
    parts.emplace_back("hand over");
  } else if (!decision.hand_overs.empty()) {
    parts.push_back(fmt::format("hand over {}", fmt::join(decision.hand_overs, " ")));
  }
  return parts.empty() ? "nothing" : fmt::format("{}", fmt::join(parts, ", "));
}

std::unique_ptr<MethodSpec> make_promise(std::string_view name, const MethodOptions& options) {
  if (is_own_method(name)) return std::make_unique<NoPromise>();
  for (const auto make : {make_promise_of_steps, make_promise_of_sums, make_promise_of_lasting_rows,
                          make_promise_of_rows_of_means}) {
    if (auto promise = make(name, options)) return promise;
  }
  throw std::invalid_argument(fmt::format(
      "--verify: method {} has no promises written down to hold it against; expected a run without --verify",
      name));
}

}  // namespace tardigrad
