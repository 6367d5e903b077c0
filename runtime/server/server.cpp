#include "runtime/server/server.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <thread>
#include <utility>

#include "kernels/clip_scale.h"

namespace tardigrad {
namespace {

constexpr const char* table_names[] = {"table.main", "table.next"};
constexpr const char* kept_name = "table.kept";

}  // namespace

template <typename T>
Server::Rows<T>::Rows(StreamRef stream, std::size_t dimension, std::size_t rows)
    : memory(stream, vector_stride(dimension) * rows), pointers(rows) {
  stream.zero(memory.ref());
  for (std::size_t i = 0; i < pointers.size(); ++i) {
    pointers[i] = memory.ref().data() + vector_stride(dimension) * i;
  }
  if (stream.device().backend == Backend::cuda) {
    on_gpu.emplace(stream, pointers.size());
    stream.copy(on_gpu->ref(), host_view(pointers.data(), pointers.size()));
  }
}

template <typename T>
const T* const* Server::Rows<T>::all() const {
  return on_gpu ? on_gpu->ref().data() : pointers.data();
}

/// The rows that count, for a kernel to be enqueued. The list of the last time is the right one until workers
/// are lost or come back (or, on an immediate stream, rows are exchanged); then the kernels that read it must
/// be over before it is made anew.
template <typename T>
const T* const* Server::Rows<T>::those(const std::vector<bool>& count, StreamRef stream) {
  std::vector<T*> now;
  for (std::size_t i = 0; i < pointers.size(); ++i) {
    if (count[i]) now.push_back(pointers[i]);
  }
  if (now != some) {
    stream.synchronize();
    some = std::move(now);
    if (on_gpu) {
      some_on_gpu.emplace(stream, some.size());
      stream.copy(some_on_gpu->ref(), host_view(some.data(), some.size()));
    }
  }
  return some_on_gpu ? some_on_gpu->ref().data() : some.data();
}

void Server::GradientTable::count_row(std::size_t worker, bool row_counts) {
  counting += row_counts ? 1 : 0;
  counting -= counts.at(worker) ? 1 : 0;
  counts[worker] = row_counts;
}

Server::Server(StreamRef stream, std::size_t dimension, int workers, ServerMemory memory,
               const ServerOptions& options, ParallelFor parallel_for)
    : stream_(stream),
      memory_(memory),
      options_(options),
      workers_(workers),
      parallel_for_(std::move(parallel_for)),
      model_(stream, dimension),
      drift_(stream.device(), 2),
      resummed_(stream.device()) {
  if (options.resum_every && (memory.tables == 0 || !memory.mean)) {
    throw std::logic_error("a mean is to be summed anew from its rows, but there is no table");
  }
  if (memory.mean) {
    mean_.emplace(stream_, dimension);
    stream_.zero(mean_->ref());
  }
  const auto rows = static_cast<std::size_t>(workers);
  for (int i = 0; i < memory.tables; ++i) tables_.push_back(make_table(rows, options.table_type));
  if (memory.corrected) {
    corrected_.emplace(stream_, dimension);
    stream_.zero(corrected_->ref());
  }
  const auto kept_rows = static_cast<std::size_t>(memory.kept_rows);
  if (kept_rows > 0) kept_ = make_table(kept_rows, TableType::f32);
  const bool adamw = options.optimizer == Optimizer::adamw;
  if (options.momentum != 0 || adamw) {
    momentum_.emplace(stream_, dimension);
    stream_.zero(momentum_->ref());
  }
  if (adamw) {
    second_moment_.emplace(stream_, dimension);
    stream_.zero(second_moment_->ref());
  }
  if (options.clip_norm) {
    clip_scale_.emplace(stream_, 1);
    clip_sums_.emplace(stream_, ClipScale::chunks(dimension));
  }
}

std::unique_ptr<Server::GradientTable> Server::make_table(std::size_t rows, TableType type) const {
  auto table = std::make_unique<GradientTable>();
  table->counts.assign(rows, true);
  table->counting = rows;
  if (type == TableType::bf16) {
    table->bf16.emplace(stream_, model_.size(), rows);
  } else {
    table->f32.emplace(stream_, model_.size(), rows);
  }
  table->states = std::vector<std::atomic<RowState>>(rows);
  return table;
}

void Server::set_model(std::span<const float> values) {
  stream_.copy(model_.ref(), host_view(values.data(), values.size()));
  stream_.synchronize();
}

void Server::read_model(std::span<float> values) {
  stream_.copy(host_view(values.data(), values.size()), model_.ref());
  stream_.synchronize();
}

Server::GradientTable& Server::table(Table which) const {
  const std::size_t index = which == Table::main ? 0 : 1;
  if (index >= tables_.size()) throw std::logic_error("the server keeps no such table");
  return *tables_[index];
}

std::size_t Server::kept_row(int index) const {
  if (!kept_ || index < 0 || index >= memory_.kept_rows) {
    throw std::logic_error("the server keeps no such row");
  }
  return static_cast<std::size_t>(index);
}

/// Returns what a step goes along where that gradient has arrived.
const float* Server::direction(const float* gradient) {
  if (corrected_) return corrected_->ref().data();
  return mean_ ? mean_->ref().data() : gradient;
}

/// Whether this stream's kernels use memory of the other device as their own.
bool Server::reaches(Device other) const {
  if (other.backend == Backend::cpu || other == stream_.device()) return true;
  const auto route = options_.routes.find(other);
  return route != options_.routes.end() && route->second == GradientRoute::peer;
}

/// What kernels don't reach is copied here first; the copy is part of this stream, so it orders just as the
/// kernel's own reads would.
const float* Server::on_server_device(BufferRef<const float> gradient) {
  if (reaches(gradient.device())) return gradient.data();
  if (!staging_) staging_.emplace(stream_, gradient.size());
  stream_.copy(staging_->ref(), gradient);
  return staging_->ref().data();
}

void Server::average_rows(double* drift) {
  GradientTable& main = *tables_.front();
  if (main.counting == 0) return average_no_rows(drift);
  const auto counting = [&](auto& rows) {
    return main.all_count() ? rows.all() : rows.those(main.counts, stream_);
  };
  MeanOfRows mean;
  mean.dimension = model_.size();
  mean.count = main.counting;
  if (main.f32) mean.rows = counting(*main.f32);
  if (main.bf16) mean.rows_bf16 = counting(*main.bf16);
  mean.mean = mean_->ref().data();
  mean.drift = drift;
  if (parallel_for_) {
    average_rows_in_parallel(mean);
  } else {
    stream_.enqueue(mean);
  }
}

/// Nothing can be said of how far 0 is off.
void Server::average_no_rows(double* drift) {
  stream_.zero(mean_->ref());
  if (drift) stream_.zero(drift_sums_->ref());
}

/// By columns, in parts that do not depend on the number of threads.
void Server::average_rows_in_parallel(const MeanOfRows& whole) {
  constexpr std::size_t part_size = 8192;
  const std::size_t parts = (whole.dimension + part_size - 1) / part_size;
  std::vector<std::array<double, 2>> drifts(whole.drift ? parts : 0);
  parallel_for_(parts, [&](std::size_t i) {
    MeanOfRows part = whole;
    part.offset = i * part_size;
    part.dimension = std::min(part_size, whole.dimension - part.offset);
    if (whole.drift) part.drift = drifts[i].data();
    part.run();
  });
  if (!whole.drift) return;
  std::fill_n(whole.drift, 2, 0.0);
  for (const auto& drift : drifts) {
    whole.drift[0] += drift[0];
    whole.drift[1] += drift[1];
  }
}

/// The sums are looked at when the next resum comes, long after; the host does not wait for the device here.
void Server::resum() {
  note_drift();
  if (!drift_sums_) drift_sums_.emplace(stream_, 2);
  average_rows(drift_sums_->ref().data());
  stream_.copy(host_view(drift_.data(), 2), drift_sums_->ref());
  stream_.record(resummed_);
  drift_pending_ = true;
}

void Server::note_drift() {
  if (!drift_pending_) return;
  resummed_.synchronize();
  drift_pending_ = false;
  const double norm = drift_.data()[1];
  const double drift = norm > 0 ? std::sqrt(drift_.data()[0] / norm) : 0;
  largest_drift_ = std::max(largest_drift_.value_or(0), drift);
}

std::optional<double> Server::largest_drift() {
  note_drift();
  return largest_drift_;
}

void Server::read_mean_and_rows(const VectorVisitor& mean, const VectorVisitor& row) {
  if (tables_.empty() || !mean_) return;
  std::vector<float> values(model_.size());
  const auto read = [this](auto& target, const auto* source) {
    stream_.copy(host_view(target.data(), target.size()), BufferRef(source, target.size(), stream_.device()));
    stream_.synchronize();
  };
  read(values, static_cast<const float*>(mean_->ref().data()));
  mean(values);
  const GradientTable& main = *tables_.front();
  std::vector<Bf16> narrow(main.bf16 ? values.size() : 0);
  for (std::size_t i = 0; i < main.counts.size(); ++i) {
    if (!main.counts[i]) continue;
    if (main.f32) {
      read(values, static_cast<const float*>(main.f32->pointers[i]));
    } else {
      read(narrow, static_cast<const Bf16*>(main.bf16->pointers[i]));
      std::ranges::transform(narrow, values.begin(), [](Bf16 value) { return widen(value); });
    }
    row(values);
  }
}

void Server::begin_snapshot(Snapshot& snapshot) {
  const auto save = [&](BufferRef<const float> vector, Snapshot::Place place) {
    snapshot.save(stream_, vector, place);
  };
  save(model_.ref(), Snapshot::model());
  if (mean_) save(mean_->ref(), snapshot.add("mean"));
  if (corrected_) save(corrected_->ref(), snapshot.add("corrected"));
  if (momentum_) save(momentum_->ref(), snapshot.add("momentum"));
  if (second_moment_) save(second_moment_->ref(), snapshot.add("second_moment"));
  snapshot_ = &snapshot;
  snapshot_tables_.clear();
  looked_at_ = 0;
  const auto begin = [&](GradientTable& table, const char* name) {
    table.place = snapshot.add(name, table.type(), table.states.size());
    for (auto& state : table.states) state.store(RowState::unsaved);
    snapshot_tables_.push_back(&table);
  };
  for (std::size_t i = 0; i < tables_.size(); ++i) begin(*tables_[i], table_names[i]);
  if (kept_) begin(*kept_, kept_name);
}

std::size_t Server::save_more(std::size_t vectors) {
  std::size_t saved = 0;
  while (saved < vectors && !snapshot_tables_.empty()) {
    GradientTable& table = *snapshot_tables_.back();
    if (looked_at_ < table.states.size()) {
      if (save_row(table, looked_at_++)) ++saved;
    } else {
      snapshot_tables_.pop_back();
      looked_at_ = 0;
    }
  }
  return saved;
}

/// Whether it was not saved before. Returns when it is.
bool Server::save_row(GradientTable& table, std::size_t row) {
  std::atomic<RowState>& state = table.states[row];
  if (state.load(std::memory_order_acquire) == RowState::saved) return false;
  RowState expected = RowState::unsaved;
  if (!state.compare_exchange_strong(expected, RowState::saving)) {
    while (state.load(std::memory_order_acquire) != RowState::saved) std::this_thread::yield();
    return false;
  }
  const Snapshot::Place place = snapshot_->row(table.place, table.type(), row);
  const auto save = [&](const auto* values) {
    snapshot_->save(stream_, BufferRef(values, model_.size(), stream_.device()), place);
  };
  if (table.f32) {
    save(static_cast<const float*>(table.f32->pointers[row]));
  } else {
    save(static_cast<const Bf16*>(table.bf16->pointers[row]));
  }
  state.store(RowState::saved, std::memory_order_release);
  return true;
}

void Server::visit_state(StateArchive& state) {
  note_drift();
  state.real("largest_drift", largest_drift_);
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    GradientTable& table = *tables_[i];
    state.flags(table_names[i], table.counts, table.counts.size());
    table.counting = static_cast<std::size_t>(std::ranges::count(table.counts, true));
  }
}

std::vector<BufferRef<float>> Server::step_state() {
  std::vector<BufferRef<float>> state = {model_.ref()};
  if (momentum_) state.push_back(momentum_->ref());
  if (second_moment_) state.push_back(second_moment_->ref());
  return state;
}

void Server::restore(VectorFile& vectors, std::uint64_t version, Restored what) {
  version_ = version;
  std::vector<float> values(model_.size());
  const auto read = [&](const char* name, BufferRef<float> target) {
    vectors.read(name, 0, values);
    stream_.copy(target, host_view(values.data(), values.size()));
    stream_.synchronize();
  };
  if (momentum_) read("momentum", momentum_->ref());
  if (second_moment_) read("second_moment", second_moment_->ref());
  if (what == Restored::momentum_alone) return;
  if (mean_) read("mean", mean_->ref());
  if (corrected_) read("corrected", corrected_->ref());
  for (std::size_t i = 0; i < tables_.size(); ++i) restore_table(*tables_[i], table_names[i], vectors);
  if (kept_) restore_table(*kept_, kept_name, vectors);
}

void Server::restore_table(GradientTable& table, const std::string& name, VectorFile& vectors) {
  const auto restore = [&](auto& rows, auto zero) {
    std::vector<decltype(zero)> values(model_.size());
    for (std::size_t i = 0; i < rows.pointers.size(); ++i) {
      vectors.read(name, i, values);
      stream_.copy(BufferRef(rows.pointers[i], values.size(), stream_.device()),
                   host_view(values.data(), values.size()));
      stream_.synchronize();
    }
  };
  if (table.f32) {
    restore(*table.f32, float{});
  } else {
    restore(*table.bf16, Bf16{});
  }
}

}  // namespace tardigrad
