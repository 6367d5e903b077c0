// What a Server does with a method's actions: as few kernels as can do them in their order.

#include "runtime/server/server_fusion.h"

#include <stdexcept>
#include <utility>

#include "kernels/clip_scale.h"
#include "kernels/square_sums.h"

namespace tardigrad {
namespace {

Correction kind_of(const Correct& correct) {
  if (correct.kept) return Correction::correct_again;
  if (correct.restart) return correct.keep ? Correction::start_keeping : Correction::start;
  return correct.keep ? Correction::correct_keeping : Correction::correct;
}

/// In the parts of the replica that a kernel writes, if that has any.
template <typename Kernel>
void enqueue(StreamRef stream, const Kernel& kernel, Replica* target) {
  std::size_t begin = 0;
  if (target) {
    for (Event& written : target->parts_written) {
      stream.enqueue(kernel.part(begin, target->part));
      stream.record(written);
      begin += target->part;
    }
  }
  stream.enqueue(begin == 0 ? kernel : kernel.part(begin, kernel.dimension - begin));
}

}  // namespace

Server::Fusion::Fusion(Server& server, double lr, std::span<Replica* const> replicas,
                       const ArrivedGradient* gradient, UpdatePass* pass)
    : server_(server), lr_(lr), pass_(pass ? *pass : server.at_once_), replicas_(replicas) {
  if (gradient) {
    if (gradient->ready) server.stream_.wait(*gradient->ready);
    if (!server.reaches(gradient->values.device())) pass_.enqueue();  // it may read the last copy
    gradient_ = server.on_server_device(gradient->values);
    exchangeable_ = gradient->exchangeable;
    taken_ = gradient->taken;
  }
  begin();
}

void Server::Fusion::add(const FoldRow& fold) {
  flush_if(touched_);
  GradientTable& table = server_.table(fold.table);
  const auto worker = static_cast<std::size_t>(fold.worker);
  server_.save_row(table, worker);
  if (fold.update_mean) {
    if (!table.counts[worker]) throw std::logic_error("a row that does not count cannot move the mean");
    update_.mean_update = Mean::accumulate;
    update_.mean_weight = 1.0F / static_cast<float>(table.counting);
  }
  take_row(table, worker);
  if (fold.weight != 1) {
    update_.fold = Fold::average;
    update_.fold_weight = fold.weight;
  } else if (exchangeable_ && table.f32) {
    // The gradient becomes the row, and the row's old memory the worker's next gradient.
    update_.fold = Fold::exchange;
    exchange_ = &table.f32->pointers[worker];
  } else {
    update_.fold = Fold::replace;
  }
  touched_ = true;
}

void Server::Fusion::add(const AverageRows&) {
  flush_if(touched_);
  pass_.enqueue();
  server_.average_rows(nullptr);
}

/// What is gathered so far has its weights already.
void Server::Fusion::add(const CountRow& row) {
  GradientTable& main = server_.table(Table::main);
  const auto worker = static_cast<std::size_t>(row.worker);
  const bool changes = main.counts.at(worker) != row.counts;
  main.count_row(worker, row.counts);
  if (row.update_mean && changes) move_mean(main, worker);
}

void Server::Fusion::add(const SwapTables&) {
  flush_if(touched_);
  std::swap(server_.tables_[0], server_.tables_[1]);
}

void Server::Fusion::add(const Accumulate& accumulate) {
  flush_if(touched_);
  update_.mean_update = accumulate.restart ? Mean::start : Mean::accumulate;
  update_.mean_weight = accumulate.weight;
  touched_ = true;
}

/// A fold that moves the corrected mean along with the mean.
void Server::Fusion::add(const Correct& correct) {
  flush_if(touched_);
  if (!server_.corrected_) throw std::logic_error("the server keeps no corrected mean");
  if (correct.kept && (correct.keep || correct.restart)) {
    throw std::logic_error("a row that was kept is neither kept again nor what a correction starts with");
  }
  add(FoldRow{correct.worker});
  update_.correction = kind_of(correct);
  update_.correction_weight = correct.weight;
  update_.corrected = server_.corrected_->ref().data();
  if (const auto& index = correct.keep ? correct.keep : correct.kept) {
    const std::size_t row = server_.kept_row(*index);
    if (correct.keep) server_.save_row(*server_.kept_, row);
    update_.kept = server_.kept_->f32->pointers[row];
  }
}

/// As a fold of zeros into ū: ū + (1 − factor)·(0 − ū). It is rare, a kernel of its own would be idle.
void Server::Fusion::add(const ScaleMean& scale) {
  flush_if(touched_);
  const StreamRef stream = pass_.stream();
  Buffer<float> zeros(stream, server_.model_.size());
  stream.zero(zeros.ref());
  ServerUpdate scaling;
  scaling.dimension = server_.model_.size();
  scaling.gradient = zeros.ref().data();
  scaling.row = server_.mean_.value().ref().data();
  scaling.fold = Fold::average;
  scaling.fold_weight = static_cast<float>(1 - scale.factor);
  stream.enqueue(scaling);
}

void Server::Fusion::add(const Step& step) {
  ++server_.version_;
  if (server_.options_.plain_step()) {
    flush_if(update_.step || !steps_with_what_is_gathered());
    if (server_.corrected_ && !touched_) update_.mean = server_.corrected_->ref().data();
    update_.step = true;
    update_.step_size = static_cast<float>(lr_ * step.scale);
    touched_ = true;
  } else {
    flush_if(touched_);
    begin_own_step(lr_ * step.scale);
  }
}

/// The first hand-over after other work is written by its kernel; further ones, to other workers, are
/// copies.
void Server::Fusion::add(const HandOver&) {
  Replica* replica = replicas_.front();
  replicas_ = replicas_.subspan(1);
  if (!replica) return;
  const BufferRef<float> target = replica->model;
  if (touched_ && server_.reaches(target.device())) {
    hand_over_of_kernel() = target.data();
    target_ = replica;
    flush_if(true);
  } else {
    flush_if(touched_);
    pass_.stream().copy(target, server_.model_.ref());
    for (Event& part : replica->parts_written) pass_.record(part);
  }
  pass_.record(replica->written);
}

void Server::Fusion::sum_squares() {
  flush_if(touched_);
  SquareSums squares;
  squares.dimension = server_.model_.size();
  squares.vector = server_.direction(gradient_);
  squares.sums = server_.square_sums_.value().ref().data();
  pass_.stream().enqueue(squares);
}

void Server::Fusion::clip() {
  ClipScale clip;
  clip.count = server_.square_sums_->size();
  clip.square_sums = server_.square_sums_->ref().data();
  clip.max_norm = static_cast<float>(*server_.options_.clip_norm);
  clip.scale = server_.clip_scale_->ref().data();
  pass_.stream().enqueue(clip);
}

void Server::Fusion::resum() {
  flush_if(touched_);
  pass_.enqueue();
  server_.resum();
}

void Server::Fusion::finish() {
  flush_if(touched_);
  if (taken_) pass_.record(*taken_);
}

void Server::Fusion::begin() {
  update_ = {};
  update_.dimension = server_.model_.size();
  update_.gradient = gradient_;
  update_.model = server_.model_.ref().data();
  update_.mean = server_.mean_ ? server_.mean_->ref().data() : nullptr;
  own_step_ = {};
  exchange_ = nullptr;
  target_ = nullptr;
  touched_ = false;
}

float*& Server::Fusion::hand_over_of_kernel() {
  if (auto* step = std::get_if<SgdStep>(&own_step_)) return step->hand_over;
  if (auto* step = std::get_if<AdamWStep>(&own_step_)) return step->hand_over;
  return update_.hand_over;
}

void Server::Fusion::take_row(GradientTable& table, std::size_t worker) {
  if (table.bf16) {
    update_.row_bf16 = table.bf16->pointers[worker];
  } else {
    update_.row = table.f32->pointers[worker];
  }
}

/// Moves ū as a row enters the mean, in the kernel that replaces the row where that comes right before, or
/// as one leaves it.
void Server::Fusion::move_mean(GradientTable& table, std::size_t worker) {
  if (table.counting == 0) return add(AverageRows{});
  const bool enters = table.counts[worker];
  if (!enters || !has_just_replaced(table, worker)) {
    flush_if(touched_);
    take_row(table, worker);
    update_.fold = Fold::keep;
  }
  update_.mean_update = Mean::average;
  update_.mean_weight = (enters ? 1.0F : -1.0F) / static_cast<float>(table.counting);
  touched_ = true;
  flush_if(update_.fold == Fold::keep);
}

bool Server::Fusion::has_just_replaced(const GradientTable& table, std::size_t worker) const {
  const bool replaces = update_.fold == Fold::replace || update_.fold == Fold::exchange;
  const bool lazily = update_.mean_update == Mean::none && !update_.step;
  const bool this_row = table.bf16 ? update_.row_bf16 == table.bf16->pointers[worker]
                                   : update_.row == table.f32->pointers[worker];
  return replaces && lazily && this_row;
}

/// Tells whether a step can be of the same kernel: along s only where that corrects it, and keeps no row.
bool Server::Fusion::steps_with_what_is_gathered() const {
  const Correction correction = update_.correction;
  const bool keeps = correction == Correction::start_keeping || correction == Correction::correct_keeping;
  return !server_.corrected_ || !touched_ || (correction != Correction::none && !keeps);
}

void Server::Fusion::begin_own_step(double step_size) {
  const float* direction = server_.direction(gradient_);
  const ServerOptions& options = server_.options_;
  const auto describe = [&](auto& step) {
    step.dimension = server_.model_.size();
    step.direction = direction;
    step.scale = server_.clip_scale_ ? server_.clip_scale_->ref().data() : nullptr;
    step.model = server_.model_.ref().data();
  };
  if (options.optimizer == Optimizer::adamw) {
    auto& step = own_step_.emplace<AdamWStep>();
    describe(step);
    step.first_moment = server_.momentum_.value().ref().data();
    step.second_moment = server_.second_moment_.value().ref().data();
    step.step = server_.version_;
    step.step_size = step_size;
    step.beta1 = options.beta1;
    step.beta2 = options.beta2;
    step.epsilon = options.epsilon;
    step.weight_decay = options.weight_decay;
  } else {
    auto& step = own_step_.emplace<SgdStep>();
    describe(step);
    step.momentum = server_.momentum_ ? server_.momentum_->ref().data() : nullptr;
    step.momentum_weight = static_cast<float>(options.momentum);
    step.weight_decay = static_cast<float>(options.weight_decay);
    step.step_size = static_cast<float>(step_size);
  }
  touched_ = true;
}

void Server::Fusion::flush_if(bool needed) {
  if (!needed) return;
  if (const auto* sgd = std::get_if<SgdStep>(&own_step_)) {
    enqueue(pass_.stream(), *sgd, target_);
  } else if (const auto* adamw = std::get_if<AdamWStep>(&own_step_)) {
    enqueue(pass_.stream(), *adamw, target_);
  } else if (!only_exchanges()) {
    const bool in_parts = target_ && !target_->parts_written.empty();
    in_parts ? enqueue(pass_.stream(), update_, target_) : pass_.add(update_);
  }
  if (exchange_) exchange();
  begin();
}

bool Server::Fusion::only_exchanges() const {
  return update_.fold == Fold::exchange && update_.mean_update == Mean::none && !update_.step &&
         !update_.hand_over;
}

/// What follows in the list finds no gradient any more.
void Server::Fusion::exchange() {
  std::swap(*exchange_, *exchangeable_);
  gradient_ = nullptr;
  exchangeable_ = nullptr;
}

void Server::fold(const FoldRow& fold, const ArrivedGradient& gradient) {
  Fusion fusion(*this, 0, {}, &gradient);
  fusion.add(Action(fold));
  fusion.finish();
}

void Server::apply(const Actions& actions, double lr, std::span<Replica* const> replicas,
                   const ArrivedGradient* gradient) {
  apply({actions, lr, replicas, gradient}, nullptr);
}

void Server::apply_all(std::span<const ArrivalActions> arrivals) {
  try {
    for (const ArrivalActions& arrival : arrivals) apply(arrival, &pass_);
    pass_.enqueue();
  } catch (...) {
    pass_.drop();
    throw;
  }
}

ServerUpdate Server::as_one_update(const ArrivalActions& arrival) {
  const std::uint64_t version = version_;
  UpdatePass pass(stream_, parallel_for_);
  apply(arrival, &pass);
  version_ = version;
  return pass.only();
}

void Server::apply(const ArrivalActions& arrival, UpdatePass* pass) {
  Fusion fusion(*this, arrival.lr, arrival.replicas, arrival.gradient, pass);
  fusion.add_all(
      arrival.actions, [&] { fusion.clip(); },
      [&] {
        note_drift();
        fusion.resum();
      });
  fusion.finish();
}

}  // namespace tardigrad
