#include "runtime/ranks/servers/all_reduce_server.h"

#include <stdexcept>
#include <utility>
#include <variant>

#include "runtime/ranks/messages.h"

namespace tardigrad {

AllReduceServer::AllReduceServer(Transport& transport, RankMail& mail, StreamRef stream,
                                 std::size_t dimension, int workers, const ServerOptions& options)
    : ServerOfRanks(transport, mail),
      server_(stream, dimension, workers, {.tables = 0, .mean = true}, options) {
  if (on_gpu()) order_all({.kind = RankOrder::Kind::join});
  sum_ = make_sum_over_ranks(transport, stream, dimension);
}

AllReduceServer::~AllReduceServer() {
  part_if_failed();
  try {
    part(false);
  } catch (const std::exception&) {  // the job is at its end, whatever else fails
  }
  if (on_gpu()) server_.stream().drain();
}

void AllReduceServer::part_if_failed() noexcept {
  try {
    if (has_failed()) part(true);
  } catch (const std::exception&) {  // likewise
  }
}

/// NCCL destroys what it has of the ranks when all of them ask for it.
void AllReduceServer::part(bool at_once) {
  if (!on_gpu() || std::exchange(parted_, true)) return;
  order_all({.kind = RankOrder::Kind::part, .number = at_once ? 1.0 : 0.0});
  mail_.send_all();
  if (at_once) sum_->abort();
}

bool AllReduceServer::has_failed() const {
  try {
    server_.stream().check();
    sum_->check();
    return false;
  } catch (const DeviceError&) {
    return true;
  }
}

void AllReduceServer::set_model(std::span<const float> values) {
  server_.set_model(values);
  send_state();
}

void AllReduceServer::restore(VectorSource& vectors, std::uint64_t version, Restored what) {
  server_.restore(vectors, version, what);
  send_state();
}

void AllReduceServer::order_all(const RankOrder& order) {
  for (int rank = 1; rank < transport_.size(); ++rank) mail_.order(rank, order);
}

void AllReduceServer::send_state() {
  order_all({.kind = RankOrder::Kind::set_state, .job = server_.version()});
  for (const BufferRef<float> vector : server_.step_state()) sum_->broadcast(vector);
  wait_while([this] { return sum_->busy(); });
}

void AllReduceServer::add_up() {
  if (!std::exchange(has_own_sum_, false)) server_.stream().zero(server_.mean());
  sum_->add_up(server_.mean());
  wait_while([this] { return sum_->busy(); });
}

/// Deals out actions: what is about gradients to the ranks that have them, steps to all, hand-overs to this
/// one, whose replicas checkpoints save. Every other rank hands over to its own jobs as they start.
class AllReduceServer::Distribution {
 public:
  Distribution(AllReduceServer& owner, double lr, const ArrivedGradient* own)
      : owner_(owner), lr_(lr), own_(own) {}

  void add(const Accumulate& accumulate) {
    if (accumulate.restart != owner_.added_up_) {
      throw std::logic_error("a sum on several ranks begins behind a step, and nowhere else");
    }
    owner_.added_up_ = false;
    const auto arrived = owner_.arrived();
    if (!arrived) return add_own(accumulate.weight);
    owner_.mail_.order(arrived->rank, {.kind = RankOrder::Kind::add_to_sum,
                                       .worker = arrived->worker,
                                       .job = arrived->job,
                                       .number = static_cast<double>(accumulate.weight)});
  }

  void add(const ScaleMean& scale) {
    owner_.order_all({.kind = RankOrder::Kind::scale_sum, .number = scale.factor});
    if (owner_.has_own_sum_) owner_.server_.apply({scale}, lr_, {}, nullptr);
  }

  void add(const Step& step) {
    if (std::exchange(owner_.added_up_, true)) throw std::logic_error("a second step along one sum");
    owner_.order_all({.kind = RankOrder::Kind::step, .number = lr_ * step.scale});
    owner_.add_up();
    here_.emplace_back(step);
  }

  void add(const HandOver& hand_over) { here_.emplace_back(hand_over); }

  void add(const Discard&) {}

  template <typename Other>
  void add(const Other&) {
    throw std::logic_error("models on several ranks are kept by sums alone, without tables");
  }

  void carry_out(std::span<Replica* const> replicas) { owner_.server_.apply(here_, lr_, replicas, nullptr); }

 private:
  void add_own(float weight) {
    if (!own_) throw std::logic_error("no gradient to accumulate");
    const bool restart = !std::exchange(owner_.has_own_sum_, true);
    owner_.server_.apply({Accumulate{.weight = weight, .restart = restart}}, lr_, {}, own_);
  }

  AllReduceServer& owner_;
  double lr_;
  const ArrivedGradient* own_;  // of this rank
  Actions here_;
};

void AllReduceServer::apply(const Actions& actions, double lr, std::span<Replica* const> replicas,
                            const ArrivedGradient* gradient) {
  Distribution distribution(*this, lr, gradient);
  for (const Action& action : actions) std::visit([&](const auto& one) { distribution.add(one); }, action);
  distribution.carry_out(replicas);
  if (const auto unused = arrived()) drop(*unused);
}

void AllReduceServer::drop(const Arrived& arrived) {
  mail_.order(arrived.rank, {.kind = RankOrder::Kind::drop, .worker = arrived.worker, .job = arrived.job});
}

}  // namespace tardigrad
