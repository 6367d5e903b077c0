#include "runtime/server/server.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <thread>
#include <utility>

#include "kernels/square_sums.h"

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

Server::Server(StreamRef stream, Shard shard, int workers, ServerMemory memory, const ServerOptions& options,
               ParallelFor parallel_for)
    : stream_(stream),
      shard_(shard),
      memory_(memory),
      options_(options),
      workers_(workers),
      parallel_for_(std::move(parallel_for)),
      pass_(stream, parallel_for_),
      at_once_(stream),
      model_(stream, shard.size),
      resummed_(stream.device()) {
  if (options.resum_every && (memory.tables == 0 || !memory.mean)) {
    throw std::logic_error("a mean is to be summed anew from its rows, but there is no table");
  }
  const auto make_zeros = [&](std::optional<Buffer<float>>& vector) {
    vector.emplace(stream_, shard.size);
    stream_.zero(vector->ref());
  };
  if (memory.mean) make_zeros(mean_);
  const auto rows = static_cast<std::size_t>(workers);
  for (int i = 0; i < memory.tables; ++i) tables_.push_back(make_table(rows, options.table_type));
  if (memory.corrected) make_zeros(corrected_);
  const auto kept_rows = static_cast<std::size_t>(memory.kept_rows);
  if (kept_rows > 0) kept_ = make_table(kept_rows, TableType::f32);
  const bool adamw = options.optimizer == Optimizer::adamw;
  if (options.momentum != 0 || adamw) make_zeros(momentum_);
  if (adamw) make_zeros(second_moment_);
  if (options.clip_norm) {
    clip_scale_.emplace(stream_, 1);
    square_sums_.emplace(stream_, SquareSums::chunks(shard.size));
  }
  if (options.resum_every) {
    const std::size_t sums = 2 * MeanOfRows::chunks(shard.size);
    drift_sums_.emplace(stream_, sums);
    drift_.emplace(stream_.device(), sums);
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
  const auto route = options_.routes.find({stream_.device(), other});
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

/// By columns. Parts have whole chunks, so that the drift is what it would be in one.
void Server::average_rows_in_parallel(const MeanOfRows& whole) {
  constexpr std::size_t part_size = 8 * MeanOfRows::chunk;
  in_parts(parallel_for_, whole.dimension, part_size, [&](std::size_t begin, std::size_t end) {
    MeanOfRows part = whole;
    part.offset = begin;
    part.dimension = end - begin;
    if (whole.drift) part.drift = whole.drift + 2 * (part.offset / MeanOfRows::chunk);
    part.run();
  });
}

/// The sums are looked at when the next resum comes, long after; the host does not wait for the device here.
void Server::resum() {
  average_rows(drift_sums_->ref().data());
  stream_.copy(host_view(drift_->data(), drift_sums_->size()), drift_sums_->ref());
  stream_.record(resummed_);
  drift_pending_ = true;
}

std::span<const double> Server::drift_sums() const {
  resummed_.synchronize();
  return {drift_->data(), drift_sums_->size()};
}

void Server::note_drift() {
  if (!std::exchange(drift_pending_, false)) return;
  Drift drift;
  drift.add(drift_sums());
  largest_drift_ = drift.or_larger(largest_drift_);
}

std::optional<double> Server::largest_drift() {
  note_drift();
  return largest_drift_;
}

std::vector<std::size_t> Server::rows_in_mean() const {
  std::vector<std::size_t> rows;
  const GradientTable& main = *tables_.front();
  for (std::size_t i = 0; i < main.counts.size(); ++i) {
    if (main.counts[i]) rows.push_back(i);
  }
  return rows;
}

void Server::read_mean(std::span<float> values) const {
  stream_.copy(host_view(values.data(), values.size()), mean_.value().ref());
  stream_.synchronize();
}

void Server::read_row(std::size_t row, std::span<float> values) const {
  const GradientTable& main = *tables_.front();
  const auto read = [&](auto* target, const auto* source) {
    stream_.copy(host_view(target, values.size()), BufferRef(source, values.size(), stream_.device()));
    stream_.synchronize();
  };
  if (main.f32) return read(values.data(), static_cast<const float*>(main.f32->pointers[row]));
  std::vector<Bf16> narrow(values.size());
  read(narrow.data(), static_cast<const Bf16*>(main.bf16->pointers[row]));
  std::ranges::transform(narrow, values.begin(), [](Bf16 value) { return widen(value); });
}

void Server::read_mean_and_rows(const VectorVisitor& mean, const VectorVisitor& row) {
  if (!has_mean_of_rows()) return;
  std::vector<float> values(model_.size());
  read_mean(values);
  mean(values);
  for (const std::size_t i : rows_in_mean()) {
    read_row(i, values);
    row(values);
  }
}

void Server::begin_snapshot(Snapshot& snapshot) {
  const auto save = [&](BufferRef<const float> vector, Snapshot::Place place) {
    snapshot.save(stream_, vector, Snapshot::element(place, ElementType::f32, shard_.begin));
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
    const Snapshot::Place first = snapshot.add(name, table.type(), table.states.size());
    table.place = Snapshot::element(first, table.type(), shard_.begin);
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

void Server::save_replica(Snapshot& snapshot, const Replica& replica, Snapshot::Place place) {
  stream_.wait(replica.written);
  snapshot.save(stream_, replica.model.subview(shard_.begin, shard_.size),
                Snapshot::element(place, ElementType::f32, shard_.begin));
}

void Server::visit_state(StateArchive& state) {
  note_drift();
  state.real("largest_drift", largest_drift_);
  visit_tables(state);
}

void Server::visit_tables(StateArchive& state) {
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

void Server::restore(VectorSource& vectors, std::uint64_t version, Restored what) {
  version_ = version;
  std::vector<float> values(model_.size());
  const auto read = [&](const char* name, BufferRef<float> target) {
    vectors.read(name, 0, values, shard_.begin);
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

void Server::restore_table(GradientTable& table, const std::string& name, VectorSource& vectors) {
  const auto restore = [&](auto& rows, auto zero) {
    std::vector<decltype(zero)> values(model_.size());
    for (std::size_t i = 0; i < rows.pointers.size(); ++i) {
      vectors.read(name, i, values, shard_.begin);
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
