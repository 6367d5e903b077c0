#pragma once

#include <optional>
#include <span>
#include <vector>

#include "kernels/server_update.h"
#include "runtime/buffer.h"
#include "runtime/event.h"
#include "runtime/methods/method.h"
#include "runtime/stream.h"

namespace tardigrad {

/// The arithmetic of all methods: keeps the model and what the method needs besides, in the memory of one
/// device, and carries out actions as fused kernels on a stream of its own. It decides nothing.
class Server {
 public:
  /// `lr` is γ. `replicas[i]` [d] is where hand-overs to worker i go; it must be allocated already (no work
  /// pending that touches it) and must outlive the server.
  Server(Device device, std::size_t dimension, ServerMemory memory, double lr,
         std::vector<BufferRef<float>> replicas);

  /// x ← values [d], from host memory; before the first action. Returns when done.
  void set_model(std::span<const float> values);

  /// Carries out actions that need no gradient (hand-overs at the start).
  void apply(const Actions& actions);

  /// Carries out actions on a gradient [d], on any device of the backend, once `gradient_ready` is reached.
  /// The worker may overwrite the gradient after its next model_ready(). Returns at once; the work is ordered
  /// on stream().
  void apply(const Actions& actions, BufferRef<const float> gradient, const Event& gradient_ready);

  /// Reached when the latest hand-over to the worker is written.
  const Event& model_ready(int worker) const { return model_ready_.at(static_cast<std::size_t>(worker)); }

  /// The model as of all actions so far [d], in host memory. Blocks until they are done.
  void read_model(std::span<float> values);

  StreamRef stream() const { return stream_; }

  /// Blocks until the work enqueued so far is over, whether it failed or not.
  void drain() const noexcept { stream_.drain(); }

 private:
  class Fusion;
  void carry_out(const Actions& actions, const float* gradient);
  const float* on_server_device(BufferRef<const float> gradient);

  Stream stream_;
  ServerMemory memory_;
  double lr_;
  std::vector<BufferRef<float>> replicas_;
  std::vector<Event> model_ready_;
  std::size_t row_stride_;
  Buffer<float> model_;
  std::optional<Buffer<float>> mean_;
  std::optional<Buffer<float>> table_;    // row i begins at element i·row_stride_
  std::optional<Buffer<float>> staging_;  // for gradients of other devices
};

}  // namespace tardigrad
