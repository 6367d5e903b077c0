#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "runtime/checkpoint/checkpoints.h"
#include "tools/options/given_options.h"
#include "tools/options/train_options.h"

namespace tardigrad {

/// The run record of the run that a checkpoint is of. Throws std::invalid_argument where it has none.
const nlohmann::ordered_json& run_record_of(const Checkpoint& checkpoint);

/// Reads the checkpoint that `--resume` means: a checkpoint, the newest one in a folder of them, or, for
/// "latest", in `--checkpoint-dir`. A damaged one is passed over, which stderr says, where an older one is
/// there. Null where "latest" finds none yet. Throws std::invalid_argument.
std::shared_ptr<const Checkpoint> find_checkpoint(const std::string& resume,
                                                  const std::string& checkpoint_dir);

/// Gives the options of the run that a checkpoint is of. Throws std::invalid_argument.
std::vector<GivenOption> options_of(const Checkpoint& checkpoint);

/// The checkpoint as logs have it, but for its time: what they hold of its updates is before it.
CheckpointRecord record_of(const Checkpoint& checkpoint);

/// `run_json`: the run record. Throws std::invalid_argument, also where a folder holds checkpoints of another
/// run.
CheckpointOptions checkpoint_options(const TrainOptions& options, const std::string& run_json);

}  // namespace tardigrad
