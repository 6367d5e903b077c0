#include "kernels/server_update.h"

#include <string>
#include <tuple>

#include "kernels/require.h"
#include "kernels/server_update_math.h"

namespace tardigrad {
namespace {

void require_vector(bool given, const char* vector, const char* reason) {
  if (!given) require<ServerUpdate>(false, (std::string(vector) + " is null, but " + reason).c_str());
}

}  // namespace

void check(const ServerUpdate& update) {
  require<ServerUpdate>(fold_of(update) == Fold::none || update.row == nullptr || update.row_bf16 == nullptr,
                        "both row and row_bf16 are given, expected one of them");
  require<ServerUpdate>(update.fold != Fold::exchange || update.row_bf16 == nullptr,
                        "a row in bf16 cannot be exchanged for a gradient");
  bool valid = false;
  visit_switches(update, [&]<typename S>(S) {
    valid = true;
    require_vector(!S::reads_gradient || update.gradient != nullptr, "gradient",
                   "a fold, a mean update or a step without a mean reads it");
    require_vector(!(S::writes_row || S::reads_row) || row_of<S>(update) != nullptr, "row",
                   "there is a fold");
    require_vector(!S::writes_mean || update.mean != nullptr, "mean", "it is to be updated");
    require_vector(!S::corrects || update.corrected != nullptr, "corrected", "there is a correction");
    require_vector(!(S::keeps || S::reads_kept) || update.kept != nullptr, "kept",
                   "a row is to be kept, or was");
    require_vector(!S::reads_model || update.model != nullptr, "model", "there is a step or a hand-over");
  });
  require<ServerUpdate>(valid, "neither fold to compute, mean update, step nor hand-over that go together");
}

double ServerUpdate::bytes() const {
  double bytes_per_element = 0;
  visit_switches(*this, [&]<typename S>(S) { bytes_per_element = S::bytes; });
  return bytes_per_element * static_cast<double>(dimension);
}

double ServerUpdate::flops() const {
  double flops_per_element = 0;
  visit_switches(*this, [&]<typename S>(S) { flops_per_element = S::flops; });
  return flops_per_element * static_cast<double>(dimension);
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
    visit_switches(updates[i], [&]<typename S>(S) {
      constexpr int shared = S::reads_mean + S::writes_mean + S::reads_model + S::writes_model;
      sum -= shared * sizeof(float) * static_cast<double>(updates[i].dimension);
    });
  }
  return sum;
}

double ServerUpdates::flops() const {
  double sum = 0;
  for (const ServerUpdate& update : all()) sum += update.flops();
  return sum;
}

}  // namespace tardigrad
