#pragma once

#include <cstdint>
#include <type_traits>

namespace tardigrad {

// What rank 0 and the ranks that compute say to each other. Each of them starts with a message of fixed size;
// all ranks have found out by then that they are the same program, on processors of the same byte order.

/// Says what a message is, so that each kind is received where it is expected.
enum RankTag : int {
  tag_status = 1,
  tag_text,
  tag_verdict,
  tag_order,
  tag_model,
  tag_answer,
  tag_payload,
  tag_memory,       ///< what rank 0 has in common with others (shared_vectors.h)
  tag_collectives,  ///< how the ranks find each other for NCCL (servers/sum_over_ranks.h)
  tag_report,       ///< of a shard (shard_messages.h), and tag_vector what it is asked for
  tag_vector
};

/// Is what rank 0 wants of a rank.
struct RankOrder {
  enum class Kind : std::uint32_t {
    start,   ///< compute a job
    cancel,  ///< leave a job out if it has not begun
    end,     ///< leave: there is nothing more to do; where `number` is not 0, without ranks that are lost
    share,   ///< map the memory that follows (SharedVectors)
    // Where every rank keeps the model (AllReduceServer), and a gradient stays where it was computed:
    join,        ///< make what adds up over all ranks, together with them
    part,        ///< destroy that, likewise; where `number` is not 0, without the sums that are under way
    set_state,   ///< all that steps depend on follows, as of version `job`
    add_to_sum,  ///< add `number` times the gradient of a job to the sum
    drop,        ///< the gradient of a job is not wanted
    scale_sum,   ///< scale the sum by `number`
    step,        ///< add up the sums of all ranks, and make a step of size `number` along that
  };
  /// Says where a job has its model.
  enum class Model : std::uint32_t {
    in_slot,  ///< it is in its slot already
    follows,  ///< it follows the order, for that slot
    own,      ///< it is what the rank itself keeps, as of all orders before, for that slot
    shared,   ///< it is the shared vector of that number (SharedVectors), as it is until the answer
  };
  Kind kind = Kind::end;
  std::int32_t worker = 0;
  std::uint64_t job = 0;
  std::uint32_t slot = 0;  ///< of those in which the rank keeps models of jobs
  Model model = Model::in_slot;
  /// Says to which shared vector the gradient goes; negative: it follows the answer.
  std::int32_t gradient = -1;
  std::uint32_t part = 0;  ///< elements of each message in which a model follows; 0: it is one
  double number = 0;
};

/// Is what becomes of a job: each that was started has one answer.
struct RankAnswer {
  enum class Kind : std::uint32_t { gradient, left_out, failed };
  Kind kind = Kind::gradient;
  std::int32_t rank = 0;
  std::int32_t worker = 0;
  std::int32_t gpu = -1;  ///< of that rank, on which it was computed; negative: a CPU
  float loss = 0;
  std::uint64_t job = 0;
  double computing_s = 0;
  std::uint64_t payload_bytes = 0;  ///< of what follows: the gradient, if anything, or what the failure is
};

static_assert(std::is_trivially_copyable_v<RankOrder> && std::is_trivially_copyable_v<RankAnswer>);

}  // namespace tardigrad
