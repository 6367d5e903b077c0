#pragma once

#include <memory>
#include <span>

#include "runtime/ranks/rank_mail.h"
#include "runtime/ranks/servers/server_of_ranks.h"
#include "runtime/ranks/servers/sum_over_ranks.h"
#include "runtime/ranks/transport.h"
#include "runtime/server/server.h"

namespace tardigrad {

/// Keeps the model on every rank (data parallelism), and is rank 0's: all take the same steps. A gradient
/// stays on the rank that has computed it, which adds it up there (RankServer); before a step, one all-reduce
/// adds up what the ranks have: by messages between CPUs, by NCCL between GPUs. It is for methods whose steps
/// are along sums that begin anew after each, as ReplicatedServer is: Accumulate, ScaleMean, one Step and
/// HandOver. The sum is rounded in another order than one server's.
class AllReduceServer final : public ServerOfRanks {
 public:
  /// Transport, mail and stream outlive it. On a stream of a GPU it blocks until every rank has joined.
  AllReduceServer(Transport& transport, RankMail& mail, StreamRef stream, std::size_t dimension, int workers,
                  const ServerOptions& options);

  /// Lets the other ranks part from it.
  ~AllReduceServer() override;

  /// Lets them part from it now where this rank's GPU has failed: they wait for it in a sum.
  void part_if_failed() noexcept;

  void drop(const Arrived& arrived) override;

  /// Blocks until every rank has the model.
  void set_model(std::span<const float> values) override;

  /// Carries out actions, of which a step blocks on a CPU until every rank has come to it. `gradient` is one
  /// that was computed on this rank; for others see take_arrival(). Throws std::logic_error for other
  /// actions.
  void apply(const Actions& actions, double lr, std::span<Replica* const> replicas,
             const ArrivedGradient* gradient) override;

  void read_model(std::span<float> values) override { server_.read_model(values); }
  std::optional<double> largest_drift() override { return std::nullopt; }
  bool at_rest() const override { return added_up_; }
  void begin_snapshot(Snapshot& snapshot) override { server_.begin_snapshot(snapshot); }
  std::size_t save_more(std::size_t) override { return 0; }
  void save_replica(Snapshot& snapshot, const Replica& replica, Snapshot::Place place) override {
    server_.save_replica(snapshot, replica, place);
  }

  /// Blocks until every rank has what was saved.
  void restore(VectorSource& vectors, std::uint64_t version, Restored what) override;

  std::uint64_t version() const override { return server_.version(); }
  void check() const override { sum_->check(); }

 private:
  class Distribution;

  void order_all(const RankOrder& order);
  void part(bool at_once);
  bool has_failed() const;
  void send_state();
  void add_up();

  bool on_gpu() const { return server_.stream().device().backend == Backend::cuda; }

  Server server_;
  std::unique_ptr<SumOverRanks> sum_;
  bool parted_ = false;
  bool has_own_sum_ = false;  // of gradients of this rank
  bool added_up_ = true;      // there is no sum, or a step has been taken along it: the next begins anew
};

}  // namespace tardigrad
