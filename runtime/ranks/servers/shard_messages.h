#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "runtime/methods/method.h"

namespace tardigrad {

// What ranks that keep a shard of the model (RankShard) are told, and what they ask and answer.

/// Is what a rank with a shard is told: by rank 0, or by a rank that has computed a gradient.
struct ShardOrder {
  enum class Kind : std::uint32_t {
    gradient,        ///< this shard's part of the gradient of a job follows, from `rank`
    apply,           ///< carry out the actions that follow, with step size `real`; behind them follow the
                     ///< replicas that the model is handed over to
    drop,            ///< the gradient of a job is not wanted
    send_model,      ///< send replica `replica` to `rank`
    set_model,       ///< the model follows
    set_replica,     ///< replica `replica` follows
    read_model,      ///< send the model
    read_mean,       ///< send ū
    read_row,        ///< send row `number` of the main table
    read_drift,      ///< send what the latest resum found
    set_tables,      ///< what follows is the state of the tables that is no vector, as JSON
    begin_snapshot,  ///< save vectors, announced behind `number` bytes
    save_more,       ///< save up to `number` vectors more, and say when there are none left
    save_replica,    ///< save replica `replica`, whose place is `number`
    restore,         ///< take what was saved, as of version `number`; with `worker` 0 the momentum alone
    end,             ///< leave, as RankOrder has it
  };
  static constexpr std::int32_t no_worker = -1;

  Kind kind = Kind::end;
  std::int32_t rank = 0;
  std::int32_t worker = no_worker;  ///< with `number`, whose job's gradient it is; none where there is none
  std::uint32_t replica = 0;
  std::uint64_t number = 0;
  double real = 0;
  std::uint64_t actions = 0;        ///< how many follow
  std::uint64_t payload_bytes = 0;  ///< of all that follows
};

/// Is what a rank with a shard tells rank 0 by itself.
struct ShardReport {
  enum class Kind : std::uint32_t {
    part,      ///< its part of the gradient of job `job` of `worker` is here
    piece,     ///< a piece of a snapshot follows, whose place that is
    saved,     ///< all pieces of the snapshot have been sent
    wanted,    ///< send elements of a vector of the snapshot that a run goes on from
    restored,  ///< it has what it wanted
  };
  Kind kind = Kind::saved;
  std::int32_t rank = 0;
  std::int32_t worker = 0;
  std::uint64_t job = 0;
  std::uint32_t in_model_file = 0;
  std::uint32_t bf16 = 0;  ///< elements are of that type, not fp32
  std::uint64_t position = 0;
  std::uint64_t bytes = 0;  ///< of what follows, or is wanted
  std::uint64_t row = 0;
  std::uint64_t begin = 0;  ///< of the elements that are wanted, in their vector
  std::array<char, 32> tensor{};
};

/// Stands, in the place of a replica that a model is handed over to, for one that has it already.
inline constexpr std::uint32_t there_already = ~std::uint32_t{0};

static_assert(std::is_trivially_copyable_v<ShardOrder> && std::is_trivially_copyable_v<ShardReport>);
static_assert(std::is_trivially_copyable_v<Action>, "actions are sent as they lie in memory");

}  // namespace tardigrad
