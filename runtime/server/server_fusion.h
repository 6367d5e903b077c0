#pragma once

#include <span>
#include <variant>

#include "kernels/adamw_step.h"
#include "kernels/server_update.h"
#include "kernels/sgd_step.h"
#include "runtime/server/server.h"

namespace tardigrad {

/// Carries out the actions on one arrival. It gathers consecutive ones into one ServerUpdate for as long as
/// one kernel can do them in their order: fold or accumulate, then step, then hand over. Steps with momentum,
/// weight decay or clipping, and AdamW's, are kernels of their own.
///
/// Whoever adds the actions sees to what a step needs of all shards, as add_all() does for one: with
/// ServerOptions::clip_norm sum_squares() comes before it, and then the scale, of clip() where there is one
/// shard; resum() comes behind it where one is due.
class Server::Fusion {
 public:
  /// `gradient` is looked at here alone; all else outlives the fusion. With `pass`, updates are gathered
  /// there: whoever gave it enqueues it.
  Fusion(Server& server, double lr, std::span<Replica* const> replicas, const ArrivedGradient* gradient,
         UpdatePass* pass = nullptr);

  void add(const Action& action) {
    std::visit([this](const auto& one) { add(one); }, action);
  }

  /// Adds actions in their order. `clip` sees to the scale of a step, behind sum_squares(), and `resum` is
  /// called where a resum is due.
  template <typename Clip, typename Resum>
  void add_all(const Actions& actions, const Clip& clip, const Resum& resum) {
    for (const Action& action : actions) {
      const bool steps = std::holds_alternative<Step>(action);
      if (steps && server_.options_.clip_norm) {
        sum_squares();
        clip();
      }
      add(action);
      if (steps && server_.resum_is_due()) resum();
    }
  }

  /// Enqueues the sums of squares of the direction that the next step goes along.
  void sum_squares();

  /// Enqueues the scale of the next step, from these sums alone.
  void clip();

  /// Sums the mean anew from its rows.
  void resum();

  /// Enqueues what is gathered, and records that the gradient has been read.
  void finish();

 private:
  void add(const FoldRow& fold);
  void add(const AverageRows&);
  void add(const CountRow& row);
  void add(const SwapTables&);
  void add(const Accumulate& accumulate);
  void add(const Correct& correct);
  void add(const ScaleMean& scale);
  void add(const Step& step);
  void add(const HandOver&);
  void add(const Discard&) {}  // jobs are not the server's concern

  void begin();
  float*& hand_over_of_kernel();
  void take_row(GradientTable& table, std::size_t worker);
  void move_mean(GradientTable& table, std::size_t worker);
  bool has_just_replaced(const GradientTable& table, std::size_t worker) const;
  bool steps_with_what_is_gathered() const;
  void begin_own_step(double step_size);
  void flush_if(bool needed);
  bool only_exchanges() const;
  void exchange();

  Server& server_;
  double lr_;
  UpdatePass& pass_;
  std::span<Replica* const> replicas_;  // of the hand-overs still to come
  const float* gradient_ = nullptr;
  float** exchangeable_ = nullptr;
  Event* taken_ = nullptr;
  float** exchange_ = nullptr;  // the row that update_ exchanges
  Replica* target_ = nullptr;   // that it, or own_step_, writes
  ServerUpdate update_;
  std::variant<std::monostate, SgdStep, AdamWStep> own_step_;  // in place of update_
  bool touched_ = false;                                       // one of them has something to do
};

}  // namespace tardigrad
