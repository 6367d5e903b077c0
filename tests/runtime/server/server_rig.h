#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/server/server.h"

namespace tardigrad::testing {

using Vector = std::vector<double>;

inline constexpr std::size_t server_dimension = 37;  // no multiple of a vector register

/// What a Server is to do, by plain loops in double. With small dyadic numbers both are exact.
class ServerReference {
 public:
  ServerReference(std::size_t dimension, int workers, const ServerMemory& memory,
                  const ServerOptions& options)
      : memory_(memory),
        options_(options),
        model(dimension),
        mean_(dimension),
        momentum_(dimension),
        corrected_(dimension),
        main_(static_cast<std::size_t>(workers), mean_),
        next_(main_),
        kept_(main_),
        main_counts_(main_.size(), true),
        next_counts_(main_counts_) {}

  void apply(const Actions& actions, double lr, const Vector& gradient) {
    handed_over.clear();
    for (const Action& action : actions) {
      if (const auto* fold = std::get_if<FoldRow>(&action)) {
        this->fold(*fold, gradient);
      } else if (std::holds_alternative<AverageRows>(action)) {
        average();
      } else if (std::holds_alternative<SwapTables>(action)) {
        std::swap(main_, next_);
        std::swap(main_counts_, next_counts_);
      } else if (const auto* row = std::get_if<CountRow>(&action)) {
        count_row(*row);
      } else if (const auto* correct = std::get_if<Correct>(&action)) {
        this->correct(*correct, gradient);
      } else if (const auto* scale = std::get_if<ScaleMean>(&action)) {
        for (double& element : mean_) element *= scale->factor;
      } else if (const auto* accumulate = std::get_if<Accumulate>(&action)) {
        for (std::size_t e = 0; e < mean_.size(); ++e) {
          if (accumulate->restart) mean_[e] = 0;
          mean_[e] += static_cast<double>(accumulate->weight) * gradient[e];
        }
      } else if (const auto* one = std::get_if<Step>(&action)) {
        step(lr * one->scale, memory_.corrected ? corrected_ : memory_.mean ? mean_ : gradient);
        if (options_.resum_every && ++version_ % *options_.resum_every == 0) average();
      } else if (std::holds_alternative<HandOver>(action)) {
        handed_over.push_back(model);
      }
    }
  }

 private:
  void count_row(const CountRow& count) {
    const auto row = static_cast<std::size_t>(count.worker);
    const double before = counting();
    const bool changes = main_counts_.at(row) != count.counts;
    main_counts_[row] = count.counts;
    if (!changes || !count.update_mean) return;
    for (std::size_t e = 0; e < mean_.size(); ++e) {
      const double sum = before * mean_[e] + (count.counts ? main_[row][e] : -main_[row][e]);
      mean_[e] = counting() > 0 ? sum / counting() : 0;
    }
  }

  void correct(const Correct& correct, const Vector& gradient) {
    const Vector row = main_[static_cast<std::size_t>(correct.worker)];
    if (correct.keep) kept_.at(static_cast<std::size_t>(*correct.keep)) = row;
    const Vector base = correct.kept ? kept_.at(static_cast<std::size_t>(*correct.kept)) : row;
    if (correct.restart) corrected_ = mean_;
    for (std::size_t e = 0; e < row.size(); ++e) {
      corrected_[e] += static_cast<double>(correct.weight) * (gradient[e] - base[e]);
    }
    fold(FoldRow{correct.worker}, gradient);
  }

  void fold(const FoldRow& fold, const Vector& gradient) {
    Vector& row = (fold.table == Table::main ? main_ : next_)[static_cast<std::size_t>(fold.worker)];
    for (std::size_t e = 0; e < row.size(); ++e) {
      const double change = static_cast<double>(fold.weight) * (gradient[e] - row[e]);
      row[e] += change;
      if (fold.update_mean) mean_[e] += change / counting();
    }
  }

  void average() {
    for (std::size_t e = 0; e < mean_.size(); ++e) {
      double sum = 0;
      for (std::size_t row = 0; row < main_.size(); ++row) sum += main_counts_[row] ? main_[row][e] : 0;
      mean_[e] = counting() > 0 ? sum / counting() : 0;
    }
  }

  double counting() const { return static_cast<double>(std::ranges::count(main_counts_, true)); }

  void step(double step_size, const Vector& direction) {
    double square = 0;
    for (const double one : direction) square += one * one;
    const double norm = std::sqrt(square);
    const double scale = options_.clip_norm && norm > *options_.clip_norm ? *options_.clip_norm / norm : 1;
    for (std::size_t e = 0; e < model.size(); ++e) {
      momentum_[e] =
          options_.momentum * momentum_[e] + scale * direction[e] + options_.weight_decay * model[e];
      model[e] -= step_size * momentum_[e];
    }
  }

  ServerMemory memory_;
  ServerOptions options_;

 public:
  Vector model;
  std::vector<Vector> handed_over;  ///< by the latest actions

 private:
  std::uint64_t version_ = 0;
  Vector mean_;
  Vector momentum_;
  Vector corrected_;
  std::vector<Vector> main_;
  std::vector<Vector> next_;
  std::vector<Vector> kept_;
  std::vector<bool> main_counts_;
  std::vector<bool> next_counts_;
};

/// Is a ParallelFor that does parts in another order, each on a thread of its own.
inline void parts_backwards(std::size_t count, const std::function<void(std::size_t)>& body) {
  for (std::size_t i = count; i-- > 0;) std::jthread([&] { body(i); });
}

/// A server on one stream of a device, and what it needs of others.
class ServerRig {
 public:
  ServerRig(Stream stream, std::size_t dimension, int workers, ServerMemory memory,
            const ServerOptions& options = {}, ParallelFor parallel_for = {})
      : stream_(std::move(stream)),
        gradient_(stream_, dimension),
        memory_(gradient_.ref().data()),
        server(stream_, dimension, workers, memory, options, std::move(parallel_for)) {}

  void set_model(const Vector& values) { server.set_model(rounded(values)); }

  /// Carries out the actions on a gradient and waits for them. A hand-over is left out, as one whose replica
  /// holds the model already is, where `left_out` says so. Only with `exchange` may the server keep the
  /// gradient's buffer.
  void apply(const Actions& actions, double lr, const Vector& gradient, bool exchange = false,
             const std::vector<bool>& left_out = {}) {
    std::vector<Replica*> replicas;
    for (const Action& action : actions) {
      if (!std::holds_alternative<HandOver>(action)) continue;
      const std::size_t i = replicas.size();
      if (i == replicas_.size()) {
        models_.emplace_back(stream_, gradient_.size());
        stream_.ref().zero(models_.back().ref());
        const std::size_t part = i % 2 == 0 ? 10 : 0;  // four of them, where the dimension is 37
        replicas_.push_back(std::make_unique<Replica>(models_.back().ref(), stream_.device(), part));
      }
      replicas.push_back(i < left_out.size() && left_out[i] ? nullptr : replicas_[i].get());
    }
    const std::vector<float> values = rounded(gradient);
    const struct Drain {  // also where actions are refused: the copy of the gradient is under way then
      const Stream& stream;
      ~Drain() { stream.ref().drain(); }
    } before_values_go{stream_};
    const ArrivedGradient arrived = arrive(values, exchange);
    server.apply(actions, lr, replicas, &arrived);
    stream_.ref().synchronize();
  }

  /// The lazy fold by itself.
  void fold(const FoldRow& fold, const Vector& gradient, bool exchange) {
    const std::vector<float> values = rounded(gradient);
    server.fold(fold, arrive(values, exchange));
  }

  Vector model() {
    std::vector<float> values(gradient_.size());
    server.read_model(values);
    return {values.begin(), values.end()};
  }

  /// What the hand-over of this index wrote last, among those of one call of apply(); empty if nothing yet.
  Vector replica(std::size_t index) {
    if (index >= replicas_.size()) return {};
    std::vector<float> values(gradient_.size());
    stream_.ref().copy(host_view(values.data(), values.size()), replicas_[index]->model);
    stream_.ref().synchronize();
    return {values.begin(), values.end()};
  }

  /// Where gradients arrive; an exchange changes it.
  const float* gradient_memory() const { return memory_; }

 private:
  /// The values stay until the stream has copied them.
  ArrivedGradient arrive(const std::vector<float>& values, bool exchange) {
    const BufferRef<float> arriving(memory_, values.size(), stream_.device());
    stream_.ref().copy(arriving, host_view(values.data(), values.size()));
    return {arriving, nullptr, exchange ? &memory_ : nullptr};
  }

  static std::vector<float> rounded(const Vector& values) {
    std::vector<float> floats(values.size());
    for (std::size_t e = 0; e < values.size(); ++e) floats[e] = static_cast<float>(values[e]);
    return floats;
  }

  Stream stream_;
  Buffer<float> gradient_;
  float* memory_;
  std::vector<Buffer<float>> models_;
  std::vector<std::unique_ptr<Replica>> replicas_;

 public:
  Server server;
};

}  // namespace tardigrad::testing
