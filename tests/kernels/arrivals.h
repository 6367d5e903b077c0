#pragma once

#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "tests/kernels/server_update_cases.h"

namespace tardigrad::testing {

inline constexpr std::size_t row_count = 3;

/// A server's vectors on a backend, from which updates are made in the order of arrivals.
class Arrivals {
 public:
  Arrivals(Backend backend, std::size_t dimension, std::size_t offset)
      : backend_(backend), dimension_(dimension), offset_(offset), random_(7) {
    for (auto* one : {&mean_, &model_, &corrected_, &kept_}) *one = vector();
    for (std::size_t i = 0; i < row_count; ++i) {
      const std::vector<float> values = random_vectors(dimension + i, dude_in_bf16).row;
      rows_bf16_.push_back(std::make_unique<Guarded<Bf16>>(
          backend, narrow_all({values.begin(), values.begin() + static_cast<std::ptrdiff_t>(dimension)})));
      rows_.push_back(vector());
    }
  }

  /// Describes the next arrival, of a gradient and a replica of its own. As the server does, it makes the
  /// gradient of an exchange the row.
  ServerUpdate next(std::size_t worker, const Combination& c) {
    ServerUpdate update;
    update.dimension = dimension_;
    gradients_.push_back(vector());
    replicas_.push_back(vector());
    update.gradient = gradients_.back()->data();
    if (c.bf16_row) {
      update.row_bf16 = rows_bf16_[worker]->data();
    } else {
      update.row = rows_[worker]->data();
    }
    update.mean = c.step && !c.along_mean ? nullptr : mean_->data();
    update.model = model_->data();
    update.hand_over = c.hand_over ? replicas_.back()->data() : nullptr;
    update.corrected = corrected_->data();
    update.kept = kept_->data();
    update.fold = c.fold;
    update.mean_update = c.mean;
    update.correction = c.correction;
    update.step = c.step;
    update.fold_weight = 0.3F;
    update.mean_weight = 0.1F + 0.01F * static_cast<float>(gradients_.size());
    update.correction_weight = 0.2F;
    update.step_size = 0.007F * static_cast<float>(gradients_.size());
    if (c.fold == Fold::exchange) std::swap(rows_[worker], gradients_.back());
    return update;
  }

  std::vector<std::vector<float>> values() const {
    std::vector<std::vector<float>> all;
    for (const auto* one : {&mean_, &model_, &corrected_, &kept_}) all.push_back((*one)->values());
    for (const auto* some : {&rows_, &gradients_, &replicas_}) {
      for (const auto& one : *some) all.push_back(one->values());
    }
    for (const auto& row : rows_bf16_) all.push_back(widen_all(row->values()));
    return all;
  }

 private:
  using Vector = std::unique_ptr<Guarded<float>>;
  static constexpr Combination dude_in_bf16{Fold::replace, Mean::accumulate, true, true, true, true};

  Vector vector() {
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::vector<float> values(dimension_);
    for (float& value : values) value = uniform(random_);
    return std::make_unique<Guarded<float>>(backend_, values, offset_);
  }

  Backend backend_;
  std::size_t dimension_;
  std::size_t offset_;
  std::mt19937 random_;
  Vector mean_, model_, corrected_, kept_;
  std::vector<Vector> rows_, gradients_, replicas_;
  std::vector<std::unique_ptr<Guarded<Bf16>>> rows_bf16_;
};

}  // namespace tardigrad::testing
