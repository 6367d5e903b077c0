#include "runtime/ranks/servers/server_of_shards.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "kernels/clip_scale.h"
#include "runtime/base/json_text.h"
#include "runtime/ranks/backoff.h"
#include "runtime/ranks/messages.h"

namespace tardigrad {
namespace {

template <typename T>
void append(std::vector<std::byte>& bytes, std::span<const T> values) {
  const auto more = std::as_bytes(values);
  bytes.insert(bytes.end(), more.begin(), more.end());
}

}  // namespace

ServerOfShards::ServerOfShards(Transport& transport, RankMail& mail, StreamRef stream,
                               std::span<const Shard> shards, int workers, const ServerMemory& memory,
                               const ServerOptions& options)
    : ServerOfRanks(transport, mail),
      shards_(shards.begin(), shards.end()),
      options_(options),
      server_(stream, shards_.front(), workers, memory, options),
      report_transfer_(receive_report()) {
  if (options.clip_norm) square_sums_.resize(SquareSums::chunks(shards_.back().begin + shards_.back().size));
}

ServerOfShards::~ServerOfShards() {
  constexpr std::chrono::seconds longest{5};
  const auto began = std::chrono::steady_clock::now();
  server_.stream().drain();
  try {
    snapshot_ = nullptr;  // it may have been given up
    if (unsaved_ > 0 && !std::exchange(saved_here_, true)) {
      order_all({.kind = ShardOrder::Kind::save_more, .number = std::numeric_limits<std::uint64_t>::max()});
    }
    Backoff backoff;
    while ((unsaved_ > 0 || !letters_.empty()) && std::chrono::steady_clock::now() - began < longest) {
      const bool any_taken = take_report(nullptr);
      backoff.after(settle() || any_taken);
    }
  } catch (const std::exception&) {  // there is no rank to speak to
  }
  transport_.cancel(report_transfer_);
}

void ServerOfShards::order(int rank, const ShardOrder& order, std::vector<std::byte> payload) {
  settle();
  Letter& letter = *letters_.emplace_back(std::make_unique<Letter>());
  letter.order = order;
  letter.order.payload_bytes = payload.size();
  letter.payload = std::move(payload);
  letter.transfers.push_back(transport_.send(rank, tag_order, &letter.order, sizeof(letter.order)));
  if (letter.payload.empty()) return;
  letter.transfers.push_back(
      transport_.send(rank, tag_payload, letter.payload.data(), letter.payload.size()));
}

void ServerOfShards::order_all(const ShardOrder& order, const std::vector<std::byte>& payload) {
  for (std::size_t i = 1; i < shards_.size(); ++i) this->order(static_cast<int>(i), order, payload);
}

/// Forgets orders that have been sent. Returns whether there were any.
bool ServerOfShards::settle() {
  return std::erase_if(letters_, [this](const std::unique_ptr<Letter>& letter) {
           transport_.take_out_done(letter->transfers);
           return letter->transfers.empty();
         }) > 0;
}

std::uint32_t ServerOfShards::number_of(const Replica& replica) {
  return numbers_.try_emplace(&replica, static_cast<std::uint32_t>(numbers_.size())).first->second;
}

void ServerOfShards::drop(const Arrived& arrived) {
  order_all({.kind = ShardOrder::Kind::drop, .worker = arrived.worker, .number = arrived.job});
}

bool ServerOfShards::look(const std::function<void(int worker, std::uint64_t job)>& on_part) {
  bool any = settle();
  while (take_report(nullptr)) any = true;
  while (!parts_.empty()) {
    const auto [worker, job] = parts_.front();
    parts_.pop_front();
    on_part(worker, job);
  }
  return any;
}

void ServerOfShards::send_model(const Replica& replica, int rank) {
  order_all({.kind = ShardOrder::Kind::send_model, .rank = rank, .replica = number_of(replica)});
}

void ServerOfShards::set_model(std::span<const float> values) {
  const auto part = [&](std::size_t i) { return values.subspan(shards_[i].begin, shards_[i].size); };
  for (std::size_t i = 1; i < shards_.size(); ++i) {
    std::vector<std::byte> payload;
    append(payload, part(i));
    order(static_cast<int>(i), {.kind = ShardOrder::Kind::set_model}, std::move(payload));
  }
  server_.set_model(part(0));
}

std::vector<std::byte> ServerOfShards::payload_of(const Actions& actions,
                                                  std::span<Replica* const> replicas) {
  std::vector<std::uint32_t> numbers;
  for (const Replica* const replica : replicas) {
    numbers.push_back(replica ? number_of(*replica) : there_already);
  }
  std::vector<std::byte> payload;
  append(payload, std::span(actions));
  append(payload, std::span<const std::uint32_t>(numbers));
  return payload;
}

/// Whether a resum belongs behind one of the steps, and so takes the place of what the latest one found.
bool ServerOfShards::makes_resum(const Actions& actions) const {
  if (!options_.resum_every) return false;
  std::uint64_t version = server_.version();
  return std::ranges::any_of(actions, [&](const Action& action) {
    return std::holds_alternative<Step>(action) && ++version % *options_.resum_every == 0;
  });
}

/// The other shards are told first, and do theirs meanwhile.
void ServerOfShards::apply(const Actions& actions, double lr, std::span<Replica* const> replicas,
                           const ArrivedGradient* gradient) {
  if (makes_resum(actions)) note_drift();
  const auto arrived = this->arrived();
  if (actions.empty() && !arrived) return;
  ShardOrder order{.kind = ShardOrder::Kind::apply, .real = lr, .actions = actions.size()};
  if (arrived) {
    order.worker = arrived->worker;
    order.number = arrived->job;
  }
  order_all(order, payload_of(actions, replicas));
  Server::Fusion fusion(server_, lr, replicas, gradient);
  fusion.add_all(
      actions, [this] { clip(); },
      [&] {
        fusion.resum();
        drift_pending_ = true;
      });
  fusion.finish();
}

/// Adds up the squares of all shards, in the order that one server has, and gives every shard the scale.
void ServerOfShards::clip() {
  const StreamRef stream = server_.stream();
  const BufferRef<const double> here = server_.square_sums();
  stream.copy(host_view(square_sums_.data(), here.size()), here);
  std::vector<Transport::Transfer> transfers;
  for (std::size_t i = 1; i < shards_.size(); ++i) {
    transfers.push_back(transport_.receive(static_cast<int>(i), tag_vector,
                                           square_sums_.data() + shards_[i].begin / SquareSums::chunk,
                                           SquareSums::chunks(shards_[i].size) * sizeof(double)));
  }
  stream.synchronize();  // also with the copy of the scale before
  wait_for(std::exchange(transfers, {}));
  ClipScale clip;
  clip.count = square_sums_.size();
  clip.square_sums = square_sums_.data();
  clip.max_norm = static_cast<float>(*options_.clip_norm);
  clip.scale = &clip_scale_;
  clip.run();
  for (std::size_t i = 1; i < shards_.size(); ++i) {
    transfers.push_back(transport_.send(static_cast<int>(i), tag_vector, &clip_scale_, sizeof(clip_scale_)));
  }
  stream.copy(server_.clip_scale(), host_view(&clip_scale_, 1));
  wait_for(std::move(transfers));
}

/// Asks the other shards for what the order says, each for its part.
void ServerOfShards::gather(const ShardOrder& order, std::span<float> values) {
  order_all(order);
  std::vector<Transport::Transfer> transfers;
  for (std::size_t i = 1; i < shards_.size(); ++i) {
    transfers.push_back(transport_.receive(static_cast<int>(i), tag_vector, &values[shards_[i].begin],
                                           shards_[i].size * sizeof(float)));
  }
  wait_for(std::move(transfers));
}

void ServerOfShards::read_model(std::span<float> values) {
  server_.read_model(values.first(shards_.front().size));
  gather({.kind = ShardOrder::Kind::read_model}, values);
}

void ServerOfShards::read_mean_and_rows(const VectorVisitor& mean, const VectorVisitor& row) {
  if (!server_.has_mean_of_rows()) return;
  std::vector<float> values(shards_.back().begin + shards_.back().size);
  const std::span<float> here(values.data(), shards_.front().size);
  server_.read_mean(here);
  gather({.kind = ShardOrder::Kind::read_mean}, values);
  mean(values);
  for (const std::size_t i : server_.rows_in_mean()) {
    server_.read_row(i, here);
    gather({.kind = ShardOrder::Kind::read_row, .number = i}, values);
    row(values);
  }
}

/// In the order of the vector, as one server adds up.
void ServerOfShards::note_drift() {
  if (!std::exchange(drift_pending_, false)) return;
  order_all({.kind = ShardOrder::Kind::read_drift});
  std::vector<std::vector<double>> sums;
  std::vector<Transport::Transfer> transfers;
  for (std::size_t i = 1; i < shards_.size(); ++i) {
    std::vector<double>& there = sums.emplace_back(2 * MeanOfRows::chunks(shards_[i].size));
    transfers.push_back(
        transport_.receive(static_cast<int>(i), tag_vector, there.data(), there.size() * sizeof(double)));
  }
  wait_for(std::move(transfers));
  Drift drift;
  drift.add(server_.drift_sums());
  for (const std::vector<double>& there : sums) drift.add(there);
  largest_drift_ = drift.or_larger(largest_drift_);
}

std::optional<double> ServerOfShards::largest_drift() {
  note_drift();
  return largest_drift_;
}

void ServerOfShards::begin_snapshot(Snapshot& snapshot) {
  order_all({.kind = ShardOrder::Kind::begin_snapshot, .number = snapshot.announced_bytes()});
  server_.begin_snapshot(snapshot);
  snapshot_ = &snapshot;
  saved_here_ = false;
  unsaved_ = shards_.size() - 1;
}

/// Every shard has as many vectors left.
std::size_t ServerOfShards::save_more(std::size_t vectors) {
  std::size_t saved = 0;
  if (!saved_here_) {
    order_all({.kind = ShardOrder::Kind::save_more, .number = vectors});
    saved = server_.save_more(vectors);
    saved_here_ = saved < vectors;
  }
  while (take_report(nullptr)) continue;
  if (!saved_here_ || unsaved_ > 0) return vectors;
  snapshot_ = nullptr;
  return saved;
}

void ServerOfShards::save_replica(Snapshot& snapshot, const Replica& replica, Snapshot::Place place) {
  order_all(
      {.kind = ShardOrder::Kind::save_replica, .replica = number_of(replica), .number = place.position});
  server_.save_replica(snapshot, replica, place);
}

void ServerOfShards::visit_state(StateArchive& state) {
  note_drift();
  state.real("largest_drift", largest_drift_);
  server_.visit_tables(state);
  if (!state.restoring()) return;
  StateArchive tables;
  server_.visit_tables(tables);
  const std::string text = json_text(tables.json());
  std::vector<std::byte> payload;
  append(payload, std::span<const char>(text));
  order_all({.kind = ShardOrder::Kind::set_tables}, payload);
}

void ServerOfShards::restore(VectorSource& vectors, std::uint64_t version, Restored what) {
  server_.restore(vectors, version, what);
  order_all({.kind = ShardOrder::Kind::restore,
             .worker = what == Restored::momentum_alone ? 0 : ShardOrder::no_worker,
             .number = version});
  unrestored_ = shards_.size() - 1;
  Backoff backoff;
  while (unrestored_ > 0) backoff.after(take_report(&vectors));
}

void ServerOfShards::restore_replica(const Replica& replica, VectorSource& vectors, std::size_t row) {
  for (std::size_t i = 1; i < shards_.size(); ++i) {
    std::vector<float> values(shards_[i].size);
    vectors.read(replicas_in_snapshots, row, values, shards_[i].begin);
    std::vector<std::byte> payload;
    append(payload, std::span<const float>(values));
    order(static_cast<int>(i), {.kind = ShardOrder::Kind::set_replica, .replica = number_of(replica)},
          std::move(payload));
  }
}

Transport::Transfer ServerOfShards::receive_report() {
  return transport_.receive(Transport::any_rank, tag_report, &report_, sizeof(report_));
}

/// Takes one report, if one is here. What is wanted is sent from these vectors.
bool ServerOfShards::take_report(VectorSource* wanted) {
  if (!transport_.done(report_transfer_)) return false;
  const ShardReport report = report_;
  report_transfer_ = receive_report();
  switch (report.kind) {
    case ShardReport::Kind::part:
      parts_.emplace_back(report.worker, report.job);
      break;
    case ShardReport::Kind::piece:
      take_piece(report);
      break;
    case ShardReport::Kind::saved:
      --unsaved_;
      break;
    case ShardReport::Kind::wanted:
      send_wanted(report, *wanted);
      break;
    case ShardReport::Kind::restored:
      --unrestored_;
      break;
  }
  return true;
}

void ServerOfShards::take_piece(const ShardReport& report) {
  std::vector<std::byte> bytes(report.bytes);
  wait_for({transport_.receive(report.rank, tag_payload, bytes.data(), bytes.size())});
  if (snapshot_) snapshot_->save(bytes, {report.in_model_file != 0, report.position});
}

void ServerOfShards::send_wanted(const ShardReport& report, VectorSource& vectors) {
  std::vector<std::byte> bytes(report.bytes);
  const auto read = [&](auto zero) {
    using Element = decltype(zero);
    vectors.read(report.tensor.data(), report.row,
                 std::span(reinterpret_cast<Element*>(bytes.data()), bytes.size() / sizeof(Element)),
                 report.begin);
  };
  if (report.bf16 != 0) {
    read(Bf16{});
  } else {
    read(float{});
  }
  wait_for({transport_.send(report.rank, tag_vector, bytes.data(), bytes.size())});
}

}  // namespace tardigrad
