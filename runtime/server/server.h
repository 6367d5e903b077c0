#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kernels/bf16.h"
#include "kernels/mean_of_rows.h"
#include "kernels/server_update.h"
#include "runtime/checkpoint/snapshot.h"
#include "runtime/device/buffer.h"
#include "runtime/device/event.h"
#include "runtime/device/stream.h"
#include "runtime/methods/method.h"
#include "runtime/server/drift.h"
#include "runtime/server/gradient_route.h"
#include "runtime/server/parameter_server.h"
#include "runtime/server/replica.h"
#include "runtime/server/shard.h"
#include "runtime/server/update_pass.h"

namespace tardigrad {

/// Says how rows of gradient tables are stored.
enum class TableType { f32, bf16 };

/// Says how the server steps along a direction: as PyTorch's SGD or AdamW (kernels/sgd_step.h, adamw_step.h).
enum class Optimizer { sgd, adamw };

/// Says what the server does besides what a method asks for. It works with every method that has what it is
/// about.
struct ServerOptions {
  Optimizer optimizer = Optimizer::sgd;
  double momentum = 0;      ///< μ: m ← μ m + p, x ← x − γ m (PyTorch's SGD)
  double weight_decay = 0;  ///< λ: p = direction + λ x; of AdamW x ← (1 − γ λ) x before the step
  double beta1 = 0.9;       ///< β₁ of AdamW, β₂ and ε likewise
  double beta2 = 0.999;
  double epsilon = 1e-8;
  std::optional<double> clip_norm = {};  ///< the direction is scaled down to this norm where it is longer
  TableType table_type = TableType::f32;
  std::optional<std::uint64_t> resum_every = {};  ///< updates after which ū is summed anew from the rows
  GradientRoutes routes = {};                     ///< to the memory of other GPUs

  /// Tells whether a step is no more than x ← x − γ·direction.
  bool plain_step() const {
    return optimizer == Optimizer::sgd && momentum == 0 && weight_decay == 0 && !clip_norm;
  }
};

/// Does the arithmetic of all methods: keeps the model and what the method needs besides, in the memory of
/// one device, and carries out actions as fused kernels on one stream. Vectors are whole ones [d], or those
/// elements that are its shard.
class Server final : public ParameterServer {
 public:
  /// Makes a server on a stream, which outlives it. Throws std::logic_error for a resum of a table that there
  /// is not. With `parallel_for`, which needs an immediate stream, long work is shared out; that changes no
  /// bit.
  Server(StreamRef stream, Shard shard, int workers, ServerMemory memory, const ServerOptions& options,
         ParallelFor parallel_for = {});

  void set_model(std::span<const float> values) override;

  /// Carries out actions in the order of stream().
  void apply(const Actions& actions, double lr, std::span<Replica* const> replicas,
             const ArrivedGradient* gradient) override;
  void apply_all(std::span<const ArrivalActions> arrivals) override;

  /// Returns the kernel that carries out actions, for somebody else to enqueue; set_version() takes note of
  /// its step. Throws std::logic_error where they take more than one kernel.
  ServerUpdate as_one_update(const ArrivalActions& arrival);

  /// Carries out one lazy fold by itself, on an immediate stream. It may run beside other calls that don't
  /// touch that row.
  void fold(const FoldRow& fold, const ArrivedGradient& gradient);

  void read_model(std::span<float> values) override;
  std::optional<double> largest_drift() override;
  void read_mean_and_rows(const VectorVisitor& mean, const VectorVisitor& row) override;
  std::uint64_t version() const override { return version_; }
  void begin_snapshot(Snapshot& snapshot) override;
  std::size_t save_more(std::size_t vectors) override;
  void save_replica(Snapshot& snapshot, const Replica& replica, Snapshot::Place place) override;
  void visit_state(StateArchive& state) override;
  void restore(VectorSource& vectors, std::uint64_t version, Restored what) override;

  StreamRef stream() const { return stream_; }

  // What follows is for whoever keeps several servers, of devices or of shards, and drives them together.

  class Fusion;

  /// Return x itself, ū itself, the sums of Fusion::sum_squares() and the scale [1] that steps take with
  /// ServerOptions::clip_norm, all to be used on stream(). They throw std::bad_optional_access where there is
  /// none.
  BufferRef<float> model() { return model_.ref(); }
  BufferRef<float> mean() { return mean_.value().ref(); }
  BufferRef<const double> square_sums() const { return square_sums_.value().ref(); }
  BufferRef<float> clip_scale() { return clip_scale_.value().ref(); }

  /// Returns what a step depends on besides its direction, itself, to be used on stream(): x [d], and then
  /// what the optimizer keeps, each [d].
  std::vector<BufferRef<float>> step_state();
  void set_version(std::uint64_t version) { version_ = version; }

  /// Tells whether a resum belongs behind the latest step.
  bool resum_is_due() const { return options_.resum_every && version_ % *options_.resum_every == 0; }

  /// Returns what the latest resum found (MeanOfRows::drift). Blocks until it is done.
  std::span<const double> drift_sums() const;

  /// Tells whether ū is that of a table's rows.
  bool has_mean_of_rows() const { return mean_ && !tables_.empty(); }

  /// Returns the rows of the main table that count in ū.
  std::vector<std::size_t> rows_in_mean() const;

  /// Read ū, and a row of the main table, as of all actions so far into `values`, in host memory. They block
  /// until those are done.
  void read_mean(std::span<float> values) const;
  void read_row(std::size_t row, std::span<float> values) const;

  /// Visits what belongs to the tables alone.
  void visit_tables(StateArchive& state);

 private:
  /// Keeps a gradient table: rows where they lie, and the same as the device reads it.
  template <typename T>
  struct Rows {
    Rows(StreamRef stream, std::size_t dimension, std::size_t rows);
    const T* const* all() const;
    const T* const* those(const std::vector<bool>& count, StreamRef stream);
    Buffer<T> memory;
    std::vector<T*> pointers;          // where they lie
    std::optional<Buffer<T*>> on_gpu;  // the same; nothing exchanges rows there
    std::vector<T*> some;              // those asked for last, where they are not all
    std::optional<Buffer<T*>> some_on_gpu;
  };
  /// Says what a snapshot has of a row: whoever is about to change one that is not saved saves it first. Rows
  /// may be folded into by several threads at once, each of them by one.
  enum class RowState : std::uint8_t { saved, saving, unsaved };
  struct GradientTable {
    void count_row(std::size_t worker, bool counts);
    bool all_count() const { return counting == counts.size(); }
    std::vector<bool> counts;  // in the mean
    std::size_t counting = 0;  // how many do
    std::optional<Rows<float>> f32;
    std::optional<Rows<Bf16>> bf16;
    std::vector<std::atomic<RowState>> states;
    Snapshot::Place place;  // of its first row
    ElementType type() const { return f32 ? ElementType::f32 : ElementType::bf16; }
  };

  std::unique_ptr<GradientTable> make_table(std::size_t rows, TableType type) const;
  bool save_row(GradientTable& table, std::size_t row);
  void restore_table(GradientTable& table, const std::string& name, VectorSource& vectors);
  void apply(const ArrivalActions& arrival, UpdatePass* pass);
  bool reaches(Device other) const;
  GradientTable& table(Table which) const;
  std::size_t kept_row(int index) const;
  const float* direction(const float* gradient);
  const float* on_server_device(BufferRef<const float> gradient);
  void average_rows(double* drift);
  void average_no_rows(double* drift);
  void average_rows_in_parallel(const MeanOfRows& whole);
  void resum();
  void note_drift();

  StreamRef stream_;
  Shard shard_;
  ServerMemory memory_;
  ServerOptions options_;
  int workers_;
  ParallelFor parallel_for_;
  UpdatePass pass_;     // of apply_all()
  UpdatePass at_once_;  // of all else
  std::uint64_t version_ = 0;
  Buffer<float> model_;
  std::optional<Buffer<float>> mean_;
  std::optional<Buffer<float>> momentum_;  // or AdamW's first moment
  std::optional<Buffer<float>> second_moment_;
  std::optional<Buffer<float>> clip_scale_;             // one number
  std::optional<Buffer<double>> square_sums_;           // of the direction
  std::vector<std::unique_ptr<GradientTable>> tables_;  // main, next
  std::optional<Buffer<float>> corrected_;              // s
  std::unique_ptr<GradientTable> kept_;                 // K, in fp32
  Snapshot* snapshot_ = nullptr;                        // while any row is not saved
  std::vector<GradientTable*> snapshot_tables_;         // as they were then, those not looked through yet
  std::size_t looked_at_ = 0;                           // rows of the last of them
  std::optional<Buffer<float>> staging_;                // for gradients of other devices

  std::optional<Buffer<double>> drift_sums_;   // of a resum
  std::optional<PinnedBuffer<double>> drift_;  // the latest, for the host
  Event resummed_;
  bool drift_pending_ = false;
  std::optional<double> largest_drift_;
};

}  // namespace tardigrad
