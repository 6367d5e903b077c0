#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "runtime/base/fifo.h"
#include "runtime/device/stream.h"
#include "runtime/execution/executor.h"
#include "runtime/execution/gradient_jobs.h"
#include "runtime/execution/job_options.h"
#include "runtime/objective/objective.h"
#include "runtime/server/replica.h"
#include "runtime/server/replica_snapshot.h"
#include "runtime/server/server.h"

namespace tardigrad {

/// Virtual time on the CPU, where the order of arrivals is known before any number is.
///
/// Arrivals are planned in a ring. Helper threads compute gradients of planned arrivals, the earliest first
/// whose model has been handed over, and the calling thread does the same until some arrivals, one behind the
/// other, have theirs. It carries out their actions, always in order, plain steps in one pass over model and
/// mean, which helpers share. Nothing else is computed: a job that is thrown away never arrives. A lazy fold,
/// which moves a row and no more, is done by the thread that computed the gradient, while its caches hold it.
/// Who computes what changes no bit.
///
/// With one device there is no helper, and everything runs on the calling thread.
class LookaheadExecutor final : public Executor {
 public:
  /// One thread for each of the CPU devices, the caller's included; fewer where they are not to be had. The
  /// objective outlives it.
  LookaheadExecutor(Objective& objective, const std::vector<Device>& devices, ServerMemory memory,
                    const ServerOptions& server, const JobOptions& job);
  ~LookaheadExecutor() override;

  /// Arrivals in the ring, and so gradients: enough that helpers find work while the caller is busy, few
  /// enough that gradients are still in the caches when they are folded in.
  static constexpr std::size_t arrivals_ahead(std::size_t threads) { return threads == 1 ? 1 : 4 * threads; }

  ParameterServer& server() override { return server_; }
  void carry_out(const Orders& orders, double lr) override;
  void arrive(int worker, const Job& job, Orders& orders, double lr) override;
  std::size_t capacity() const override { return capacity_; }
  void apply_planned() override;
  float collect() override;
  void lose(int worker, bool computes) override;
  std::vector<std::uint64_t> begin_snapshot(Snapshot& snapshot) override;
  std::size_t save_more(std::size_t vectors) override {
    return replica_snapshot_.save_more(vectors, server_);
  }
  void restore_jobs(std::span<const std::vector<Job>> jobs, VectorFile& vectors,
                    std::span<const std::uint64_t> models) override;
  Device device(int) const override { return server_.stream().device(); }
  bool drain(const DrainTimeout& = {}) noexcept override;

 private:
  /// What computes gradients on one thread.
  struct Lane {
    Lane(Objective& objective, Device device, const JobOptions& options)
        : stream(Stream::immediate(device, "workers " + device.name())), jobs(objective, stream, options) {}
    Stream stream;
    GradientJobs jobs;
    std::vector<float*> free_gradients = {};  // memory last used here, the latest on top
  };

  struct WorkerJobs {
    /// Of each job. A replica's `order` is the number of arrivals that must be applied before it is written.
    Fifo<Replica*> models;
    std::uint64_t applied_after = 0;  // count of arrivals up to its latest
  };

  /// An arrival in the ring. `ticket` says which one (its number) and how far it is; only the thread that
  /// moved it to `computing` touches the gradient before it is `computed`.
  struct Arrival {
    std::atomic<std::uint64_t> ticket = ~std::uint64_t{0};
    std::atomic<std::uint64_t> ready_after = 0;
    int worker = 0;
    std::uint64_t job = 0;
    const Replica* model = nullptr;
    std::optional<FoldRow> fold;    // lazy, and the first of the actions
    Actions actions;                // the others
    std::vector<Replica*> targets;  // of hand-overs; null: the model is there already
    double lr = 0;
    Lane* lane = nullptr;  // that computes it
    float* gradient = nullptr;
    float loss = 0;
    std::exception_ptr error;
  };
  enum Progress : std::uint64_t { planned, computing, computed };
  static std::uint64_t ticket(std::uint64_t number, Progress progress) { return 4 * number + progress; }

  Arrival& arrival(std::uint64_t number) const { return ring_[number % capacity_]; }
  void place_jobs(const Orders& orders, std::uint64_t number, std::vector<Replica*>& targets);
  void release(Replica& replica);
  bool reads_tables(const Orders& orders) const;
  void apply_until(std::uint64_t count);
  std::uint64_t computed_until() const;
  void apply(std::uint64_t begin, std::uint64_t end);
  bool claim(std::uint64_t number);
  bool compute_one(Lane& lane);
  void compute(std::uint64_t number, Lane& lane);
  float* take_gradient(Lane& lane);
  void give_back_gradient(Arrival& one);
  ArrivedGradient arrived(Arrival& one);
  void help(Lane& lane);
  std::unique_lock<std::mutex> lock_gradients();
  void publish(std::atomic<std::uint64_t>& count, std::uint64_t value);
  void wake_helpers();
  void share(std::size_t count, const std::function<void(std::size_t)>& body);
  bool help_with_shared();

  std::size_t dimension_;
  std::size_t capacity_;
  ServerOptions server_options_;
  Stream server_stream_;
  Buffer<float> gradient_memory_;  // the server may exchange parts of it with rows of its tables
  Server server_;
  std::uint64_t tables_settled_ = 0;  // arrivals up to the latest planned that reads whole tables
  ReplicaPool replicas_;
  ReplicaSnapshot replica_snapshot_;
  std::vector<WorkerJobs> workers_;
  std::vector<Replica*> targets_;  // of orders without an arrival

  std::unique_ptr<Arrival[]> ring_;
  std::uint64_t collected_ = 0;
  std::atomic<std::uint64_t> planned_ = 0;
  bool failed_ = false;  // an arrival's gradient: nothing more is applied
  std::atomic<std::uint64_t> applied_ = 0;
  std::vector<ArrivedGradient> gradients_;   // of the arrivals that are being applied
  std::vector<ArrivalActions> of_arrivals_;  // likewise

  std::mutex gradients_mutex_;  // of what lanes have free

  /// Work that the caller shares out.
  struct Shared {
    std::size_t count;
    const std::function<void(std::size_t)>& body;
    std::atomic<std::size_t> next = 0;
    std::atomic<std::size_t> done = 0;
    void work();
  };
  std::atomic<Shared*> shared_ = nullptr;
  std::atomic<int> sharing_ = 0;  // helpers that hold the pointer

  std::atomic<bool> ending_ = false;
  std::atomic<int> sleeping_ = 0;
  std::atomic<int> idle_helpers_ = 0;  // that look for work, or sleep
  std::atomic<std::uint32_t> wake_ups_ = 0;
  std::vector<std::unique_ptr<Lane>> lanes_;  // the caller's first
  std::vector<std::jthread> helpers_;
  bool alone_ = false;  // there are none
};

}  // namespace tardigrad
