#include "runtime/ranks/servers/rank_server.h"

#include <utility>

#include "runtime/ranks/messages.h"

namespace tardigrad {

RankServer::RankServer(Transport& transport, Device device, std::size_t dimension, int workers,
                       const ServerOptions& options)
    : transport_(transport),
      stream_(Stream::immediate(device, "server")),
      server_(stream_, dimension, workers, {.tables = 0, .mean = true}, options),
      part_(stream_, dimension) {}

void RankServer::receive_state(std::uint64_t version) {
  server_.set_version(version);
  for (const BufferRef<float> vector : server_.step_state()) {
    transfers_.push_back(transport_.receive(0, tag_model, vector.data(), vector.size() * sizeof(float)));
  }
}

void RankServer::add_to_sum(float weight, BufferRef<const float> gradient) {
  const ArrivedGradient arrived{.values = gradient};
  const bool restart = !std::exchange(has_sum_, true);
  apply({Accumulate{.weight = weight, .restart = restart}}, {}, &arrived);
}

void RankServer::scale_sum(double factor) {
  if (has_sum_) apply({ScaleMean{factor}}, {}, nullptr);
}

void RankServer::begin_step(double step_size) {
  apply({}, {}, nullptr);
  const BufferRef<float> sum = server_.mean();
  if (std::exchange(has_sum_, false)) {
    stream_.ref().copy(part_.ref(), sum);
  } else {
    stream_.ref().zero(part_.ref());
  }
  transfers_.push_back(transport_.all_reduce(part_.ref().data(), sum.data(), sum.size()));
  step_ = step_size;
}

void RankServer::hand_over(BufferRef<float> model) {
  Replica replica(model, model.device());
  Replica* const target = &replica;
  apply({HandOver{}}, {&target, 1}, nullptr);
}

bool RankServer::busy() {
  transport_.take_out_done(transfers_);
  return !transfers_.empty();
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
