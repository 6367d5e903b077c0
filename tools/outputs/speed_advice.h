#pragma once

#include <optional>
#include <span>
#include <string>

#include "data/batch_sizes.h"
#include "runtime/telemetry/telemetry.h"

namespace tardigrad {

/// Proposes how workers that take unequally long could take as long as each other: other minibatch sizes,
/// and, where they are on several devices, other numbers of workers on them. Both go by the images per second
/// that each worker had, and leave as many images in flight as there were, about. Returns one line; nothing
/// where the slowest worker takes less than 1.5 times as long as the fastest, where one of them has too few
/// gradients to tell, or where nothing else would be any better.
std::optional<std::string> speed_advice(std::span<const WorkerRecord> workers,
                                        const data::BatchSizes& batch_sizes);

}  // namespace tardigrad
