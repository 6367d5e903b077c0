#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/state_archive.h"
#include "runtime/methods/method.h"
#include "runtime/verify/checks.h"
#include "runtime/verify/job_ledger.h"
#include "runtime/verify/mean_ledger.h"

namespace tardigrad {

/// Holds what a method makes of something that happens, without what is for the server alone (AverageRows,
/// CountRow, ScaleMean) and the order of what has none.
struct Decision {
  std::optional<FoldRow> fold = {};
  std::optional<Accumulate> accumulate = {};
  std::optional<Correct> correct = {};
  std::optional<double> step = {};  ///< its scale
  bool swap = false;
  std::vector<int> hand_overs = {};  ///< ascending
  std::vector<int> discards = {};    ///< ascending

  // Of what is expected:
  double scale_tolerance = 0;  ///< relative
  bool to_anybody = false;     ///< hand-overs are as it comes
  bool anything = false;       ///< all is as it comes
};

Decision decision_of(std::span<const Action> actions);

/// Tells whether a decision is what was expected.
bool agree(const Decision& expected, const Decision& found);

/// Returns a text as "fold of weight 0.5, step of scale 1, hand over 0 2".
std::string describe(const Decision& decision);

/// Says what one method promises, as the paper that runtime/methods/README.md names for it has it, by itself
/// and in O(n): each call says what the method must make of the same. Jobs are as they are before its
/// actions, without the one that arrived.
class MethodSpec {
 public:
  MethodSpec() = default;
  MethodSpec(const MethodSpec&) = delete;
  MethodSpec& operator=(const MethodSpec&) = delete;
  virtual ~MethodSpec() = default;

  /// Bounds the staleness of arrivals: no gradient is staler.
  virtual std::uint64_t most_staleness() const { return MeanLedger::any_age; }
  /// Bounds the age of the oldest gradient in a row that counts in a step.
  virtual std::uint64_t most_row_age() const { return MeanLedger::any_age; }

  /// Says what the method must make of the start: by default everybody begins.
  virtual Decision start(const JobLedger& jobs) { return {.hand_overs = jobs.working()}; }
  virtual Decision arrive(const Arrival& arrival, const JobLedger& jobs) = 0;
  virtual Decision lose(int /*worker*/, const JobLedger&) { return {}; }
  virtual Decision regain(int worker, const JobLedger&) { return {.hand_overs = {worker}}; }

  /// Checks, behind each call, what else must hold of what the method decided.
  virtual void check(const Decision& /*found*/, const JobLedger&, const MeanLedger&, Checks&) {}

  virtual void visit_state(StateArchive&) {}
};

/// Makes the specification of the method called `name` under those options, with which it can be made.
std::unique_ptr<MethodSpec> make_promise(std::string_view name, const MethodOptions& options);

// One file each; null for other names.
std::unique_ptr<MethodSpec> make_promise_of_steps(std::string_view name, const MethodOptions& options);
std::unique_ptr<MethodSpec> make_promise_of_sums(std::string_view name, const MethodOptions& options);
std::unique_ptr<MethodSpec> make_promise_of_lasting_rows(std::string_view name, const MethodOptions& options);
std::unique_ptr<MethodSpec> make_promise_of_rows_of_means(std::string_view name,
                                                          const MethodOptions& options);

}  // namespace tardigrad
