#include "runtime/ranks/servers/rank_server.h"

#include <utility>

#include "runtime/device/stream_of_caller.h"

namespace tardigrad {

RankServer::RankServer(Transport& transport, const KeptModel& kept, std::size_t dimension, int workers)
    : transport_(transport),
      stream_(stream_of_caller(kept.device, "server", Priority::high)),
      server_(stream_, dimension, workers, {.tables = 0, .mean = true}, kept.options) {
  if (kept.device.backend == Backend::cpu) join();
}

void RankServer::join() { sum_ = make_sum_over_ranks(transport_, stream_, server_.model().size()); }

void RankServer::part(bool at_once) {
  if (at_once) sum_->abort();
  stream_.ref().drain();
  sum_.reset();
}

void RankServer::receive_state(std::uint64_t version) {
  server_.set_version(version);
  for (const BufferRef<float> vector : server_.step_state()) sum_->broadcast(vector);
}

void RankServer::add_to_sum(float weight, BufferRef<const float> gradient, Event& taken) {
  const ArrivedGradient arrived{.values = gradient, .taken = &taken};
  const bool restart = !std::exchange(has_sum_, true);
  apply({Accumulate{.weight = weight, .restart = restart}}, {}, &arrived);
}

void RankServer::scale_sum(double factor) {
  if (has_sum_) apply({ScaleMean{factor}}, {}, nullptr);
}

void RankServer::begin_step(double step_size) {
  apply({}, {}, nullptr);
  if (!std::exchange(has_sum_, false)) stream_.ref().zero(server_.mean());
  sum_->add_up(server_.mean());
  step_ = step_size;
}

void RankServer::hand_over(Replica& replica) {
  Replica* const target = &replica;
  apply({HandOver{}}, {&target, 1}, nullptr);
}

bool RankServer::busy() { return sum_ && sum_->busy(); }

void RankServer::check() const {
  stream_.ref().check();
  if (sum_) sum_->check();
}

/// Takes the step that is due, if there is one, and then does what comes behind it.
void RankServer::apply(const Actions& behind, std::span<Replica* const> replicas,
                       const ArrivedGradient* gradient) {
  const auto step_size = std::exchange(step_, std::nullopt);
  Actions actions;
  if (step_size) actions.emplace_back(Step{});
  actions.insert(actions.end(), behind.begin(), behind.end());
  server_.apply(actions, step_size.value_or(0), replicas, gradient);
}

}  // namespace tardigrad
