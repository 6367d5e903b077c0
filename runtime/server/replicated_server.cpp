#include "runtime/server/replicated_server.h"

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <variant>

namespace tardigrad {

ReplicatedServer::ReplicatedServer(std::span<const StreamRef> streams,
                                   std::unique_ptr<Collectives> collectives, std::size_t dimension,
                                   int workers, const ServerOptions& options)
    : collectives_(std::move(collectives)) {
  for (const StreamRef stream : streams) {
    servers_.push_back(std::make_unique<Member>(stream, dimension, workers, options));
  }
}

void ReplicatedServer::set_model(std::span<const float> values) {
  servers_.front()->server.set_model(values);
  std::vector<BufferRef<float>> models;
  for (const auto& one : servers_) models.push_back(one->server.model());
  collectives_->broadcast(models);
  for (const auto& one : servers_) one->server.stream().synchronize();
}

void ReplicatedServer::restore(VectorSource& vectors, std::uint64_t version, Restored what) {
  for (const auto& one : servers_) one->server.restore(vectors, version, what);
}

ReplicatedServer::Member& ReplicatedServer::member(Device device) {
  const auto found = std::ranges::find_if(
      servers_, [device](const auto& one) { return one->server.stream().device() == device; });
  if (found == servers_.end()) throw std::logic_error(device.name() + " keeps no model");
  return **found;
}

/// Deals out actions to the devices, and has them carried out.
class ReplicatedServer::Distribution {
 public:
  Distribution(ReplicatedServer& owner, double lr, std::span<Replica* const> replicas,
               const ArrivedGradient* gradient)
      : owner_(owner), lr_(lr), replicas_(replicas) {
    if (gradient) {
      arrived_ = &owner.member(gradient->values.device());
      arrived_->gradient = gradient;
    }
  }

  void add(Accumulate accumulate) {
    if (!arrived_) throw std::logic_error("no gradient to accumulate");
    if (accumulate.restart) {
      for (const auto& one : owner_.servers_) one->has_sum = false;
      owner_.added_up_ = false;
    }
    if (owner_.added_up_) throw std::logic_error("a sum goes on that was added up over all devices");
    accumulate.restart = !std::exchange(arrived_->has_sum, true);
    arrived_->actions.emplace_back(accumulate);
  }

  /// The sum of what is scaled on each device is scaled.
  void add(const ScaleMean& scale) {
    for (const auto& one : owner_.servers_) one->actions.emplace_back(scale);
  }

  void add(const Step& step) {
    carry_out();
    owner_.add_up();
    for (const auto& one : owner_.servers_) one->actions.emplace_back(step);
  }

  void add(const HandOver& hand_over) {
    Replica* replica = replicas_.front();
    replicas_ = replicas_.subspan(1);
    if (!replica) return;
    Member& at = owner_.member(replica->model.device());
    at.actions.emplace_back(hand_over);
    at.replicas.push_back(replica);
  }

  void add(const Discard&) {}

  template <typename Other>
  void add(const Other&) {
    throw std::logic_error("models on several devices are kept by sums alone, without tables");
  }

  void carry_out() {
    for (const auto& one : owner_.servers_) {
      if (one->actions.empty() && !one->gradient) continue;
      one->server.apply(one->actions, lr_, one->replicas, std::exchange(one->gradient, nullptr));
      one->actions.clear();
      one->replicas.clear();
    }
  }

 private:
  ReplicatedServer& owner_;
  double lr_;
  std::span<Replica* const> replicas_;  // of the hand-overs still to come
  Member* arrived_ = nullptr;           // where the gradient is
};

void ReplicatedServer::apply(const Actions& actions, double lr, std::span<Replica* const> replicas,
                             const ArrivedGradient* gradient) {
  Distribution distribution(*this, lr, replicas, gradient);
  for (const Action& action : actions) std::visit([&](const auto& one) { distribution.add(one); }, action);
  distribution.carry_out();
}

void ReplicatedServer::add_up() {
  if (std::exchange(added_up_, true)) return;  // a second step along the same sum
  std::vector<BufferRef<float>> sums;
  for (const auto& one : servers_) {
    sums.push_back(one->server.mean());
    if (!one->has_sum) one->server.stream().zero(sums.back());
  }
  collectives_->all_reduce(sums);
}

}  // namespace tardigrad
