#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/methods/method.h"
#include "runtime/verify/checks.h"
#include "runtime/verify/job_ledger.h"
#include "runtime/verify/mean_ledger.h"
#include "runtime/verify/method_spec.h"
#include "runtime/verify/table_check.h"

namespace tardigrad {

/// Observes a method (`--verify`): passes everything on, keeps a picture of the run of its own, and holds
/// what the coordinator tells the method, and what the method decides, against what MethodSpec and
/// runtime/methods/README.md promise. Throws VerificationError where it does not hold. Changes no bit of a
/// run.
///
/// An arrival costs O(n).
class VerifiedMethod final : public Method {
 public:
  /// Takes the method, and `name` and `options` that it was made of.
  VerifiedMethod(std::unique_ptr<Method> method, std::string_view name, const MethodOptions& options);

  ServerMemory memory() const override { return method_->memory(); }
  std::optional<EachArrival> each_arrival() const override { return method_->each_arrival(); }
  void start(Actions& actions) override;
  void arrive(const Arrival& arrival, Actions& actions) override;
  void handed_over_late(int worker) override;
  void lose(int worker, Actions& actions) override;
  void regain(int worker, Actions& actions) override;

  /// Visits the method's state, and the picture besides, under a name that the method by itself passes over.
  /// Throws std::invalid_argument where a picture is to be restored that was not saved.
  void visit_state(StateArchive& state) override;

  /// Tells whether it is time to look at the table, and the mean must be that of its rows now.
  bool table_check_due() const { return means_.current() && table_.due(jobs_.version()); }

  /// Looks at the table, where the mean must be that of its rows. Returns false where a number is not finite.
  bool check_table(const TableCheck::Read& read);

  /// Returns a text as "1204 checks, 12 looks at the table (drift at most 3e-08)".
  std::string describe() const;

  std::uint64_t checks() const { return checks_.made(); }

 private:
  void follow(const Actions& actions, std::size_t first, const Decision& expected, const Arrival* arrival);

  std::unique_ptr<Method> method_;
  std::string name_;
  std::unique_ptr<MethodSpec> promise_;
  Checks checks_;
  JobLedger jobs_;
  MeanLedger means_;
  TableCheck table_;
};

}  // namespace tardigrad
