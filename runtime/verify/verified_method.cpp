#include "runtime/verify/verified_method.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

namespace tardigrad {

VerifiedMethod::VerifiedMethod(std::unique_ptr<Method> method, std::string_view name,
                               const MethodOptions& options)
    : method_(std::move(method)),
      name_(name),
      promise_(make_promise(name, options)),
      jobs_(options.workers, method_->memory().jobs, promise_->most_staleness()),
      means_(options.workers, method_->memory(), promise_->most_row_age()) {}

void VerifiedMethod::start(Actions& actions) {
  jobs_.start();
  means_.start();
  table_ = {};
  checks_.begin(0, "start of worker", 0);
  const Decision expected = promise_->start(jobs_);
  const std::size_t first = actions.size();
  method_->start(actions);
  follow(actions, first, expected, nullptr);
}

void VerifiedMethod::arrive(const Arrival& arrival, Actions& actions) {
  checks_.begin(jobs_.version(), "arrival of worker", arrival.worker);
  jobs_.arrive(arrival, checks_);
  const Decision expected = promise_->arrive(arrival, jobs_);
  const std::size_t first = actions.size();
  method_->arrive(arrival, actions);
  follow(actions, first, expected, &arrival);
}

void VerifiedMethod::handed_over_late(int worker) {
  checks_.begin(jobs_.version(), "late hand-over to worker", worker);
  jobs_.hand_over_late(worker, checks_);
  method_->handed_over_late(worker);
}

void VerifiedMethod::lose(int worker, Actions& actions) {
  checks_.begin(jobs_.version(), "loss of worker", worker);
  jobs_.lose(worker, checks_);
  const Decision expected = promise_->lose(worker, jobs_);
  const std::size_t first = actions.size();
  method_->lose(worker, actions);
  follow(actions, first, expected, nullptr);
}

void VerifiedMethod::regain(int worker, Actions& actions) {
  checks_.begin(jobs_.version(), "return of worker", worker);
  jobs_.regain(worker, checks_);
  const Decision expected = promise_->regain(worker, jobs_);
  const std::size_t first = actions.size();
  method_->regain(worker, actions);
  follow(actions, first, expected, nullptr);
}

void VerifiedMethod::follow(const Actions& actions, std::size_t first, const Decision& expected,
                            const Arrival* arrival) {
  const std::span<const Action> added = std::span(actions).subspan(first);
  const std::uint64_t version = jobs_.version();
  jobs_.follow(added, checks_);
  means_.follow(added, arrival, version, checks_);
  const Decision found = decision_of(added);
  checks_.require(agree(expected, found), "{} should: {}; it did: {}", name_, tardigrad::describe(expected),
                  tardigrad::describe(found));
  promise_->check(found, jobs_, means_, checks_);
}

void VerifiedMethod::visit_state(StateArchive& state) {
  constexpr const char* picture = "verify";
  method_->visit_state(state);
  if (state.restoring() && !state.json().contains(picture)) {
    state.refuse(picture, "a checkpoint of a run with --verify, which alone can go on with it");
  }
  state.object(picture, [this](StateArchive& inner) {
    std::uint64_t checks = checks_.made();
    if (!inner.restoring() || inner.has("checks")) {
      inner.number("checks", checks, std::uint64_t{0}, StateArchive::any);
    }
    checks_.set_made(checks);
    inner.object("jobs", [this](StateArchive& part) { jobs_.visit_state(part); });
    inner.object("means", [this](StateArchive& part) { means_.visit_state(part); });
    inner.object("promise", [this](StateArchive& part) { promise_->visit_state(part); });
    inner.object("table", [this](StateArchive& part) { table_.visit_state(part); });
  });
}

bool VerifiedMethod::check_table(const TableCheck::Read& read) {
  if (!means_.current()) return true;
  checks_.begin(jobs_.version(), "table of workers from", 0);
  return table_.look(read, jobs_.version(), means_.folds(), checks_);
}

std::string VerifiedMethod::describe() const {
  std::string text = fmt::format("{} checks", checks_.made());
  if (table_.looks() == 0) return text;
  return fmt::format("{}, {} looks at the table (drift at most {:.2g})", text, table_.looks(),
                     table_.largest_drift());
}

}  // namespace tardigrad
