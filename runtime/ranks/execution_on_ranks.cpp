#include "runtime/ranks/execution_on_ranks.h"

#include <chrono>
#include <utility>
#include <vector>

#include "runtime/ranks/backoff.h"
#include "runtime/ranks/messages.h"
#include "runtime/ranks/rank_executor.h"
#include "runtime/ranks/servers/shard_messages.h"

namespace tardigrad {

Execution make_execution_on_ranks(const RunRanks& ranks, Objective& objective, ServerMemory memory,
                                  const Delays& delays, const EventScript& speeds,
                                  const ExecutionOptions& options, Recording* replay) {
  RunEvents made = make_events(objective, delays, speeds, options, replay);
  std::optional<RankExecutor::Wall> wall;
  if (made.wall) {
    wall.emplace(RankExecutor::Wall{
        .throttle = std::move(made.throttle), .events = *made.wall, .time_jobs = options.time_jobs});
  }
  auto executor = std::make_unique<RankExecutor>(ranks, objective, memory, options, std::move(wall));
  return {.stopwatch = std::move(made.stopwatch),
          .events = std::move(made.events),
          .executor = std::move(executor),
          .health = std::move(made.health),
          .server = ranks.server};
}

EndOfRanks::~EndOfRanks() {
  // For as long as they may still be sent:
  static RankOrder end{.kind = RankOrder::Kind::end};
  static ShardOrder end_of_shard{.kind = ShardOrder::Kind::end};
  const unsigned some_lost = some_lost_() ? 1 : 0;
  end.number = some_lost;
  end_of_shard.number = some_lost;
  constexpr std::chrono::seconds longest{5};
  std::vector<Transport::Transfer> transfers;
  for (int rank = 1; rank < transport_.size(); ++rank) {
    transfers.push_back(rank < shards_ ? transport_.send(rank, tag_order, &end_of_shard, sizeof(end_of_shard))
                                       : transport_.send(rank, tag_order, &end, sizeof(end)));
  }
  const auto began = std::chrono::steady_clock::now();
  Backoff backoff;
  while (!transfers.empty() && std::chrono::steady_clock::now() - began < longest) {
    backoff.after(transport_.take_out_done(transfers));
  }
}

}  // namespace tardigrad
