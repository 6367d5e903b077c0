#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/ranks/messages.h"
#include "runtime/ranks/rank_mail.h"

namespace tardigrad {

/// Is a job that a rank was told to begin, until it arrives, or until its end where nobody waits for it.
struct Flight {
  std::uint64_t job;
  std::optional<std::uint32_t> slot = {};  ///< of the model, at the rank
  Replica* in_place = nullptr;             ///< that the rank reads, where that has the model in no slot
  Landing* target = nullptr;               ///< that the rank writes its gradient to; null: it sends that
  std::optional<RankAnswer> answer = {};   ///< that has come
  Landing* landing = nullptr;              ///< of its gradient, or rank 0's part of it
  std::string failure = {};                ///< in words
  int missing_parts = 0;  ///< of its gradient, at other shards; below 0 where they came before the answer
  bool cancelled = false;
  bool forgotten = false;  ///< nobody waits for it
  bool complete = false;   ///< answered, and no throttle stretches it
  double computing_s = 0;
  double due_s = 0;  ///< when a throttle lets it end

  /// Tells whether its answer has come, and all parts of its gradient are where they go.
  bool answered() const { return answer && missing_parts == 0; }

  bool has_gradient() const { return answer && answer->kind == RankAnswer::Kind::gradient; }
};

/// Holds the flights of one worker, the oldest first.
class Flights {
 public:
  Flight& begin(std::uint64_t job) { return flights_.emplace_back(Flight{.job = job}); }

  /// Returns the oldest whose end somebody waits for; null if there is none.
  Flight* awaited() {
    const auto found = std::ranges::find(flights_, false, &Flight::forgotten);
    return found == flights_.end() ? nullptr : &*found;
  }

  /// Returns that of a job which is under way.
  Flight& of(std::uint64_t job) { return *std::ranges::find(flights_, job, &Flight::job); }

  Flight take_out(std::uint64_t job) {
    const auto found = std::ranges::find(flights_, job, &Flight::job);
    Flight flight = std::move(*found);
    flights_.erase(found);
    return flight;
  }

  bool empty() const { return flights_.empty(); }

 private:
  std::vector<Flight> flights_;
};

}  // namespace tardigrad
