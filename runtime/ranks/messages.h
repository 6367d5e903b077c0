#pragma once

#include <cstdint>
#include <type_traits>

namespace tardigrad {

// What rank 0 and the ranks that compute say to each other. Each of them starts with a message of fixed size;
// all ranks have found out by then that they are the same program, on processors of the same byte order.

/// Says what a message is, so that each kind is received where it is expected.
enum RankTag : int { tag_status = 1, tag_text, tag_verdict, tag_order, tag_model, tag_answer, tag_payload };

/// Is what rank 0 wants of a rank.
struct RankOrder {
  enum class Kind : std::uint32_t {
    start,   ///< compute a job; its model follows, or lies in its slot already
    cancel,  ///< leave a job out if it has not begun
    end,     ///< leave: there is nothing more to do
  };
  Kind kind = Kind::end;
  std::int32_t worker = 0;
  std::uint64_t job = 0;
  std::uint32_t slot = 0;  ///< of those in which the rank keeps models
  std::uint32_t model_follows = 0;
};

/// Is what becomes of a job: each that was started has one answer.
struct RankAnswer {
  enum class Kind : std::uint32_t { gradient, left_out, failed };
  Kind kind = Kind::gradient;
  std::int32_t rank = 0;
  std::int32_t worker = 0;
  float loss = 0;
  std::uint64_t job = 0;
  double computing_s = 0;
  std::uint64_t payload_bytes = 0;  ///< of what follows: the gradient, or what the failure is, in words
};

static_assert(std::is_trivially_copyable_v<RankOrder> && std::is_trivially_copyable_v<RankAnswer>);

}  // namespace tardigrad
