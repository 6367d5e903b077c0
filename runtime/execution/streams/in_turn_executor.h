#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "runtime/execution/streams/wall_stream_executor.h"
#include "runtime/execution/streams/worker_turns.h"

namespace tardigrad {

/// Computes in wall time, as a WallStreamExecutor does, but without the host between a gradient and the next
/// model once it is known what each arrival leads to (Orders::each_arrival): behind its gradient a worker's
/// stream makes the update itself, in turn with the others, hands itself the model and goes on with the next
/// job, which is enqueued already. The host hears of all this afterwards, and enqueues the job after that.
///
/// What was made ahead of the orders is what they will say, or std::logic_error. Where the host is to decide
/// first, it allows no more arrivals or holds: the update of a gradient that comes then is refused, and made
/// again when it is allowed. The job behind it had no model to begin with: it is cancelled, and computed
/// anew.
///
/// The server is a Server on the workers' only device, or all are on CPU devices, and its steps are plain
/// ones (ServerOptions::plain_step); there are no snapshots; a worker that fails ends the run.
class InTurnExecutor final : public WallStreamExecutor {
 public:
  /// Is how many jobs of a worker have gradients at a time: one that runs, and the next.
  static constexpr std::size_t slots = 2;

  /// The objective outlives the executor. Throws std::logic_error for a server that it cannot have; so does
  /// what it cannot do.
  InTurnExecutor(Objective& objective, const Devices& devices, ServerMemory memory,
                 const ServerOptions& server, const JobOptions& job, Wall wall);
  ~InTurnExecutor() override;
  InTurnExecutor(const InTurnExecutor&) = delete;
  InTurnExecutor& operator=(const InTurnExecutor&) = delete;

  void carry_out(const Orders& orders, double lr) override;
  void arrive(int worker, const Job& job, Orders& orders, double lr) override;
  void apply_planned() override;
  void lose(int worker, bool computes) override;
  std::vector<std::uint64_t> begin_snapshot(Snapshot& snapshot) override;
  void restore_jobs(std::span<const std::vector<Job>> jobs, VectorFile& vectors,
                    std::span<const std::uint64_t> models) override;
  void allow_arrivals(std::uint64_t count) override;
  bool hold() override;
  bool drain(const DrainTimeout& timeout) noexcept override;

 private:
  /// Is a worker that takes turns.
  struct InTurn {
    Replica* own;                       // which its updates write, and its jobs read
    std::vector<ServerUpdate> updates;  // of each slot
    std::uint64_t enqueued;             // the latest job
    double began;                       // the job whose turn comes next
  };

  std::optional<InTurn>& in_turn(int worker) { return in_turn_[static_cast<std::size_t>(worker)]; }
  Replica& place_model(int worker, std::uint64_t version, bool& fresh) override;
  void begin_job(int worker) override;
  std::function<void()> notice(int worker) override;
  void poll() override;
  void tell(int worker) override;
  [[noreturn]] void fail(int worker, const DeviceError& error) override;
  void take_turn(int worker, const Job& job, const Orders& orders, double lr);
  void enqueue(int worker, std::uint64_t number);
  void enqueue_update(int worker, std::uint64_t number, bool again);
  void enqueue_refused();
  void tell_of_turns();

  Server& server_;
  WorkerTurns turns_;
  std::vector<std::optional<InTurn>> in_turn_;
  std::optional<EachArrival> each_arrival_;  // as the latest orders have it
  double lr_ = 0;                            // likewise
  std::uint64_t ordered_ = 0;                // turns whose arrivals have been
  std::uint64_t allowed_ = 0;                // turns, where it is not held
  int told_of_ = 0;                          // arrivals not in turn that are still to be ordered
  bool held_ = true;
};

}  // namespace tardigrad
