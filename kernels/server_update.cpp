#include "kernels/server_update.h"

#include <string>
#include <tuple>

#include "kernels/require.h"
#include "kernels/server_update_math.h"

namespace tardigrad {
namespace {

/// What follows from the switches of an update, at run time.
struct Consequences {
  bool reads_gradient, uses_row, writes_mean, corrects, uses_kept, reads_model;
  int shared;  ///< passes over mean and model that updates of one kernel make but once
  std::size_t bytes;
  int flops;
};

template <typename S>
constexpr Consequences consequences{
    .reads_gradient = S::reads_gradient,
    .uses_row = S::writes_row || S::reads_row,
    .writes_mean = S::writes_mean,
    .corrects = S::corrects,
    .uses_kept = S::keeps || S::reads_kept,
    .reads_model = S::reads_model,
    .shared = S::reads_mean + S::writes_mean + S::reads_model + S::writes_model,
    .bytes = S::bytes,
    .flops = S::flops};

/// Null for switches that do not go together. All that is asked here of switches is asked through this one
/// visit: there are more than a hundred, and each visit takes compilers seconds.
const Consequences* consequences_of(const ServerUpdate& update) {
  const Consequences* found = nullptr;
  visit_switches(update, [&]<typename S>(S) { found = &consequences<S>; });
  return found;
}

void require_vector(bool given, const char* vector, const char* reason) {
  if (!given) require<ServerUpdate>(false, (std::string(vector) + " is null, but " + reason).c_str());
}

}  // namespace

void check(const ServerUpdate& update) {
  require<ServerUpdate>(fold_of(update) == Fold::none || update.row == nullptr || update.row_bf16 == nullptr,
                        "both row and row_bf16 are given, expected one of them");
  require<ServerUpdate>(update.fold != Fold::exchange || update.row_bf16 == nullptr,
                        "a row in bf16 cannot be exchanged for a gradient");
  const Consequences* const of = consequences_of(update);
  require<ServerUpdate>(of != nullptr,
                        "neither fold to compute, mean update, step nor hand-over that go together");
  require_vector(!of->reads_gradient || update.gradient != nullptr, "gradient",
                 "a fold, a mean update or a step without a mean reads it");
  require_vector(!of->uses_row || update.row != nullptr || update.row_bf16 != nullptr, "row",
                 "there is a fold");
  require_vector(!of->writes_mean || update.mean != nullptr, "mean", "it is to be updated");
  require_vector(!of->corrects || update.corrected != nullptr, "corrected", "there is a correction");
  require_vector(!of->uses_kept || update.kept != nullptr, "kept", "a row is to be kept, or was");
  require_vector(!of->reads_model || update.model != nullptr, "model", "there is a step or a hand-over");
}

double ServerUpdate::bytes() const {
  const Consequences* const of = consequences_of(*this);
  return of ? static_cast<double>(of->bytes * dimension) : 0;
}

double ServerUpdate::flops() const {
  const Consequences* const of = consequences_of(*this);
  return of ? of->flops * static_cast<double>(dimension) : 0;
}

void ServerUpdates::check() const {
  for (const ServerUpdate& update : all()) {
    require<ServerUpdates>(update.dimension == updates.front().dimension, "the dimensions differ");
    if (update.dimension > 0) tardigrad::check(update);
  }
}

bool share_kernel(const ServerUpdate& one, const ServerUpdate& next) {
  const auto switches = [](const ServerUpdate& update) {
    return std::tuple(fold_of(update), update.mean_update, direction_of(update), update.hand_over != nullptr,
                      has_bf16_row(update), update.mean, update.model);
  };
  const auto corrects = [](const ServerUpdate& update) { return update.correction != Correction::none; };
  return switches(one) == switches(next) && !corrects(one) && !corrects(next);
}

double ServerUpdates::bytes() const {
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    sum += updates[i].bytes();
    if (i == 0 || !share_kernel(updates[i - 1], updates[i])) continue;
    const Consequences* const of = consequences_of(updates[i]);
    if (of) sum -= of->shared * sizeof(float) * static_cast<double>(updates[i].dimension);
  }
  return sum;
}

double ServerUpdates::flops() const {
  double sum = 0;
  for (const ServerUpdate& update : all()) sum += update.flops();
  return sum;
}

}  // namespace tardigrad
