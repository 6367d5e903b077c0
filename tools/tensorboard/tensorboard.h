#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Throws std::invalid_argument naming flag and folder if this build writes no event files, or if the folder
/// is none and cannot be made. Makes nothing.
void check_event_folder(const char* flag, const std::string& folder);

/// Observes a run for `--tensorboard`: writes a new event file in the folder, which is made if there is none,
/// as TensorBoard reads them; every record goes to the file at once. Steps are updates.
///
/// At each evaluation it writes `evaluation/loss`, `/accuracy` and `/train_loss`. At each evaluation, at the
/// end and in between, it writes, of the gradients since the record before: `training/loss`, their mean
/// minibatch loss; `training/staleness`, their mean, and `training/lr`, of the last update;
/// `speed/gradients_per_s` and `/updates_per_s`, in wall seconds, without evaluations; `run/time`, the run's
/// own clock; and histograms `staleness` and `compute_time`, on that clock. In between is every half second
/// at first, later every thousandth of the time so far: a long run has some thousand records for every e-fold
/// of its length.
///
/// With `after_update` the run goes on from a checkpoint at that update. Then TensorBoard drops what older
/// files in the folder hold of later ones.
///
/// Throws std::invalid_argument if no file can be written there; trouble later never throws (OutputFile).
std::unique_ptr<RunObserver> make_tensorboard(const std::string& folder,
                                              const std::optional<std::uint64_t>& after_update = {});

}  // namespace tardigrad
