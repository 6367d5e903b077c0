#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "kernels/bf16.h"
#include "kernels/operation.h"
#include "kernels/part_of.h"

namespace tardigrad {

/// Says what happens to row i of the gradient table, T.
enum class Fold {
  none,     ///< there is no row, or it stays as it is
  replace,  ///< T' = g, bit for bit (DuDe, IA²SGD)
  average,  ///< T' = T + a (g − T); a = 1/(b+1) makes T the mean of the b + 1 gradients so far (Ringleader,
            ///< Malenia)
  exchange,  ///< T' = g without a copy: only the mean is moved here, and afterwards the caller, who owns the
             ///< memory, makes the gradient's vector the row and the row's the next gradient
  keep,      ///< T' = T: the row enters the mean, or leaves it (ACED); it goes with Mean::average alone
};

/// Says what happens to the direction ū. The arrival's change c is T' − T with a fold and g without.
enum class Mean {
  none,        ///< ū stays as it is
  start,       ///< ū' = w c; what ū held is not read
  accumulate,  ///< ū' = ū + w c; w = 1/n keeps ū the mean of n rows
  average,     ///< ū' = ū + w (T' − ū); w = 1/m makes T' one of m rows, −1/m takes it out of m + 1
};

/// Says what happens to the corrected mean s (CA²FL), a direction besides ū, with the row as it was before.
/// With the two that keep, K' = T, so that the same worker is measured against that row once more.
enum class Correction {
  none,             ///< s stays as it is
  start,            ///< s' = ū + c (g − T); what s held is not read
  start_keeping,    ///< the same, and K' = T
  correct,          ///< s' = s + c (g − T)
  correct_keeping,  ///< the same, and K' = T
  correct_again,    ///< s' = s + c (g − K)
};

/// Does the server's whole work for one arrival, in one pass over memory. It is one kernel for all methods,
/// fused from their actions (runtime/methods/method.h):
///
///     T'    = g, or T + a (g − T)       fold; an exchange reads T and writes nothing
///     ū'    = ū + w (T' − T)            mean_update; w g without a fold; Mean::start takes ū as 0
///     s'    = s + c (g − T)             correction, of a direction that is not ū itself
///     x'    = x − γ s'                  step with a correction
///     x'    = x − γ ū'                  step along the mean, if `mean` is given (ū' = ū under Mean::none)
///     x'    = x − γ g                   step along the gradient, if `mean` is null
///     out_i = x'                        hand-over; x' = x without a step
///
/// The first two switches, the step and the hand-over are free of each other: every combination is valid but
/// the one that does nothing at all, with these exceptions. Mean::average goes with Fold::replace and
/// Fold::exchange, and is all that goes with Fold::keep, which neither steps nor hands over. A correction
/// goes with Fold::replace or Fold::exchange under Mean::accumulate; one that keeps makes no step. A fold
/// with Mean::none is lazy: the table moves and the direction does not. With an exchange, which gives ū', s',
/// x' and out_i the bits that Fold::replace gives them, that leaves nothing of the fold.
///
/// Every vector has shape [dimension], and no two may overlap. All are fp32 but the row, which may be bf16
/// instead: then T' is rounded to the nearest (the even one of two, NaN to NaN), everything is computed in
/// fp32, and the mean moves by the T' that is stored, so that it stays the mean of the rows as they are.
/// There is no exchange with a row in bf16.
///
/// A vector that the switches do not use is ignored and may be null; only `mean` says something by being
/// there (the direction of a step). Any alignment of whole elements works; vectors aligned to 64 bytes (on a
/// GPU to 16, a row in bf16 to 8) are fast. Each element depends only on its own inputs: neither its position
/// nor the dimension changes its bits, and a GPU gives the bits of a CPU with fused multiply-add. The result
/// on a CPU may bypass its caches, and is visible to any thread that synchronises with this one.
///
/// Errors: std::logic_error if nothing is to be done, a vector that is needed is null, a fold is given both
/// kinds of row, or an exchange one in bf16; launch() also throws std::runtime_error with CUDA's text.
/// dimension = 0 does nothing and asks for nothing.
struct ServerUpdate {
  static constexpr const char* name = "server_update";

  std::size_t dimension = 0;
  const float* gradient = nullptr;  ///< g: needed by a fold, by a mean_update and by a step without `mean`
  float* row = nullptr;             ///< T: needed by a fold, if it writes the row or moves the mean
  Bf16* row_bf16 = nullptr;         ///< T in bf16, in the place of `row`
  float* mean = nullptr;       ///< ū: needed by a mean_update; otherwise the direction of a step, if given
  float* corrected = nullptr;  ///< s: needed by a correction
  float* kept = nullptr;       ///< K, in fp32: needed by a correction that keeps a row, or goes back to it
  float* model = nullptr;      ///< x: needed by a step and by a hand-over
  float* hand_over = nullptr;  ///< out_i: a worker's replica, or null for no hand-over

  Fold fold = Fold::none;
  Mean mean_update = Mean::none;
  Correction correction = Correction::none;
  bool step = false;

  float fold_weight = 1;        ///< a, of Fold::average
  float mean_weight = 1;        ///< w
  float correction_weight = 1;  ///< c
  float step_size = 0;          ///< γ, with any scale of the method in it

  /// Returns the same of the elements from `begin` on, `size` of them.
  ServerUpdate part(std::size_t begin, std::size_t size) const {
    return part_of(*this, begin, size, &ServerUpdate::gradient, &ServerUpdate::row, &ServerUpdate::row_bf16,
                   &ServerUpdate::mean, &ServerUpdate::corrected, &ServerUpdate::kept, &ServerUpdate::model,
                   &ServerUpdate::hand_over);
  }

  /// Computes on the calling thread.
  void run() const;

  /// Enqueues one kernel. The current device must be the stream's.
  void launch(CudaStream stream) const;

  /// Returns the bytes that one pass must move, for each vector read and for each vector written: 4 bytes an
  /// element, or 2 for a row in bf16; for all of DuDe 32·d, and 28·d with an exchange or rows in bf16.
  double bytes() const;
  double flops() const;
};

/// Does the work of several arrivals, one after another, in one pass over memory: an element goes through all
/// updates, in their order, before the next ones are looked at. So the model and the mean, which every
/// arrival reads and writes, come from memory and go back once, and every bit is that of one by one.
///
/// The updates have one dimension, and each keeps to what ServerUpdate says. They may share a vector that is
/// in the same place in all of them, as a row is where a worker arrives twice; and a gradient may be the row
/// of a later update, as an exchange makes it.
///
/// A GPU takes as many by one kernel as follow each other with the same switches, mean and model, and without
/// a correction; others have kernels of their own.
///
/// Errors: those of ServerUpdate; std::logic_error also if their dimensions differ.
struct ServerUpdates {
  static constexpr const char* name = "server_updates";

  /// Is how many updates one pass has: what they need fits into the arguments of a kernel.
  static constexpr std::size_t most = 16;

  std::array<ServerUpdate, most> updates = {};
  std::size_t count = 0;

  std::span<const ServerUpdate> all() const { return std::span(updates).first(count); }

  /// Throws what run() throws, and does nothing else.
  void check() const;

  /// Computes on the calling thread.
  void run() const;

  /// Computes the elements from `begin` on, up to `end`, on the calling thread, of updates that have been
  /// checked. `begin` is a multiple of 16.
  void run(std::size_t begin, std::size_t end) const;

  /// Enqueues the kernels. The current device must be the stream's.
  void launch(CudaStream stream) const;

  /// Return the sums over the updates, but mean and model, where neighbours share them, count once.
  double bytes() const;
  double flops() const;
};

}  // namespace tardigrad
