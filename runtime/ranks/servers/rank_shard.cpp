#include "runtime/ranks/servers/rank_shard.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "runtime/base/json_text.h"
#include "runtime/base/state_archive.h"
#include "runtime/ranks/backoff.h"
#include "runtime/ranks/messages.h"

namespace tardigrad {
namespace {

/// Of a snapshot, on its way to rank 0.
constexpr std::size_t most_piece_bytes = std::size_t{4} << 20;

/// The elements of that type which lie in the bytes from `begin` on.
template <typename T>
std::vector<T> elements(std::span<const std::byte> bytes, std::size_t begin, std::size_t count) {
  if (begin > bytes.size() || count > (bytes.size() - begin) / sizeof(T)) {
    throw std::logic_error("an order with less behind it than it says");
  }
  std::vector<T> values(count);
  if (count > 0) std::memcpy(values.data(), bytes.data() + begin, count * sizeof(T));
  return values;
}

}  // namespace

/// The pieces of a snapshot that goes on its way to rank 0.
class RankShard::Pieces final : public Snapshot {
 public:
  Pieces(RankShard& owner, std::uint64_t announced_bytes)
      : Snapshot(owner.dimension_, *owner.pool_, announced_bytes), owner_(owner) {}

 private:
  void submit(Piece piece) override {
    ShardReport report{.kind = ShardReport::Kind::piece};
    report.in_model_file = piece.place.model ? 1 : 0;
    report.position = piece.place.position;
    report.bytes = piece.bytes;
    owner_.report(report, std::move(piece));
  }

  RankShard& owner_;
};

/// The vectors of a snapshot that rank 0 reads.
class RankShard::VectorsOfRank0 final : public VectorSource {
 public:
  explicit VectorsOfRank0(RankShard& owner) : owner_(owner) {}

  void read(const std::string& name, std::size_t row, std::span<float> values, std::size_t begin) override {
    ask(name, row, std::as_writable_bytes(values), begin, false);
  }
  void read(const std::string& name, std::size_t row, std::span<Bf16> values, std::size_t begin) override {
    ask(name, row, std::as_writable_bytes(values), begin, true);
  }

 private:
  void ask(const std::string& name, std::size_t row, std::span<std::byte> bytes, std::size_t begin,
           bool bf16) {
    ShardReport report{.kind = ShardReport::Kind::wanted};
    if (name.size() >= report.tensor.size()) throw std::logic_error("a tensor with too long a name");
    std::ranges::copy(name, report.tensor.begin());
    report.bf16 = bf16 ? 1 : 0;
    report.row = row;
    report.begin = begin;
    report.bytes = bytes.size();
    owner_.report(report);
    owner_.wait_for(owner_.transport_.receive(0, tag_vector, bytes.data(), bytes.size()));
  }

  RankShard& owner_;
};

RankShard::RankShard(Transport& transport, std::size_t dimension, Shard shard, int workers,
                     const ServerMemory& memory, const ServerOptions& options)
    : transport_(transport),
      dimension_(dimension),
      shard_(shard),
      stream_(Stream::immediate(Device{}, "server")),
      server_(stream_, shard, workers, memory, options),
      models_(transport, stream_, shard.size) {}

RankShard::~RankShard() = default;

bool RankShard::serve() {
  Backoff backoff;
  message_transfer_ = transport_.receive(Transport::any_rank, tag_order, &message_, sizeof(message_));
  while (message_transfer_ || !orders_.empty() || !letters_.empty() || models_.sending()) {
    backoff.after(look());
  }
  return all_leave_;
}

/// Returns whether there was anything to do.
bool RankShard::look() {
  bool any = take_messages();
  any = take_gradients() || any;
  any = carry_out_orders() || any;
  return settle() || any;
}

bool RankShard::take_messages() {
  bool any = false;
  while (message_transfer_ && transport_.done(*message_transfer_)) {
    any = true;
    message_transfer_.reset();
    take(message_);
    if (!expects_messages()) break;
    message_transfer_ = transport_.receive(Transport::any_rank, tag_order, &message_, sizeof(message_));
  }
  return any;
}

/// A gradient may come behind the end: an order that waits for it says that it will.
bool RankShard::expects_messages() {
  if (!ended_) return true;
  return std::ranges::any_of(orders_, [this](const Waiting& waiting) {
    return has_gradient(waiting.order) && !find_gradient(waiting.order);
  });
}

void RankShard::take(const ShardOrder& message) {
  if (message.kind == ShardOrder::Kind::end) {
    ended_ = true;
    all_leave_ = message.number == 0;
    return;
  }
  if (message.kind == ShardOrder::Kind::gradient) {
    if (unused_.empty()) {
      landings_.push_back(std::make_unique<Landing>(stream_, shard_.size));
      unused_.push_back(landings_.back().get());
    }
    Landing* const landing = unused_.back();
    unused_.pop_back();
    const Transport::Transfer transfer =
        transport_.receive(message.rank, tag_payload, landing->values, shard_.size * sizeof(float));
    gradients_.push_back({message.worker, message.number, landing, transfer});
    return;
  }
  Waiting& waiting = orders_.emplace_back(Waiting{message});
  if (message.payload_bytes == 0) return;
  waiting.payload.resize(message.payload_bytes);
  waiting.transfer = transport_.receive(0, tag_payload, waiting.payload.data(), waiting.payload.size());
}

/// Returns whether any has come.
bool RankShard::take_gradients() {
  bool any = false;
  for (Gradient& one : gradients_) {
    if (!one.transfer || !transport_.done(*one.transfer)) continue;
    one.transfer.reset();
    any = true;
    report({.kind = ShardReport::Kind::part, .worker = one.worker, .job = one.job});
  }
  return any;
}

bool RankShard::carry_out_orders() {
  bool any = false;
  while (!orders_.empty() && is_ready(orders_.front())) {
    const Waiting waiting = std::move(orders_.front());
    orders_.pop_front();
    carry_out(waiting);
    any = true;
  }
  return any;
}

bool RankShard::has_gradient(const ShardOrder& order) {
  const bool is_about_one = order.kind == ShardOrder::Kind::apply || order.kind == ShardOrder::Kind::drop;
  return is_about_one && order.worker != ShardOrder::no_worker;
}

RankShard::Gradient* RankShard::find_gradient(const ShardOrder& order) {
  const auto found = std::ranges::find_if(gradients_, [&order](const Gradient& one) {
    return one.worker == order.worker && one.job == order.number;
  });
  return found == gradients_.end() ? nullptr : &*found;
}

/// Null where the order is about none.
RankShard::Landing* RankShard::take_gradient(const ShardOrder& order) {
  if (!has_gradient(order)) return nullptr;
  Gradient* const found = find_gradient(order);
  Landing* const landing = found->landing;
  gradients_.erase(gradients_.begin() + (found - gradients_.data()));
  return landing;
}

bool RankShard::is_ready(Waiting& waiting) {
  if (waiting.transfer) {
    if (!transport_.done(*waiting.transfer)) return false;
    waiting.transfer.reset();
  }
  if (!has_gradient(waiting.order)) return true;
  const Gradient* const gradient = find_gradient(waiting.order);
  return gradient && !gradient->transfer;
}

void RankShard::carry_out(const Waiting& waiting) {
  using Kind = ShardOrder::Kind;
  const ShardOrder& order = waiting.order;
  switch (order.kind) {
    case Kind::apply:
      return apply(waiting);
    case Kind::drop:
      return unused_.push_back(take_gradient(order));
    case Kind::send_model:
      return models_.send(order.replica, order.rank);
    case Kind::set_model:
      return server_.set_model(elements<float>(waiting.payload, 0, shard_.size));
    case Kind::set_replica: {
      const std::vector<float> values = elements<float>(waiting.payload, 0, shard_.size);
      stream_.ref().copy(models_.begin(order.replica).model, host_view(values.data(), values.size()));
      return;
    }
    case Kind::read_model:
    case Kind::read_mean:
    case Kind::read_row:
    case Kind::read_drift:
      return read(order);
    case Kind::set_tables: {
      const std::string_view text(reinterpret_cast<const char*>(waiting.payload.data()),
                                  waiting.payload.size());
      StateArchive state(parse_own_json<StateArchive::Json>(text), "the state of tables");
      return server_.visit_tables(state);
    }
    case Kind::begin_snapshot:
      return begin_snapshot(order.number);
    case Kind::save_more:
      if (server_.save_more(order.number) < order.number) report({.kind = ShardReport::Kind::saved});
      return;
    case Kind::save_replica:
      return save_replica(order);
    case Kind::restore:
      return restore(order);
    case Kind::gradient:
    case Kind::end:
      return;  // they do not wait
  }
}

void RankShard::apply(const Waiting& waiting) {
  const ShardOrder& order = waiting.order;
  const auto actions = elements<Action>(waiting.payload, 0, order.actions);
  const std::size_t begin = actions.size() * sizeof(Action);
  const auto numbers = elements<std::uint32_t>(waiting.payload, begin,
                                               (waiting.payload.size() - begin) / sizeof(std::uint32_t));
  std::vector<Replica*> replicas(numbers.size());
  std::ranges::transform(numbers, replicas.begin(), [this](std::uint32_t number) {
    return number == there_already ? nullptr : &models_.begin(number);
  });
  Landing* const landing = take_gradient(order);
  std::optional<ArrivedGradient> gradient;
  if (landing) {
    gradient.emplace(ArrivedGradient{.values = {landing->values, shard_.size, stream_.device()},
                                     .exchangeable = &landing->values});
  }
  Server::Fusion fusion(server_, order.real, replicas, gradient ? &*gradient : nullptr);
  fusion.add_all(
      actions, [this] { clip(); }, [&] { fusion.resum(); });
  fusion.finish();
  if (landing) unused_.push_back(landing);
}

/// Rank 0 has the sums of all shards.
void RankShard::clip() {
  const BufferRef<const double> sums = server_.square_sums();
  wait_for(transport_.send(0, tag_vector, sums.data(), sums.size() * sizeof(double)));
  wait_for(transport_.receive(0, tag_vector, server_.clip_scale().data(), sizeof(float)));
}

/// Rank 0 waits for it, and so does this.
void RankShard::read(const ShardOrder& order) {
  if (order.kind == ShardOrder::Kind::read_drift) {
    const std::span<const double> sums = server_.drift_sums();
    return wait_for(transport_.send(0, tag_vector, sums.data(), sums.size_bytes()));
  }
  std::vector<float> values(shard_.size);
  if (order.kind == ShardOrder::Kind::read_model) server_.read_model(values);
  if (order.kind == ShardOrder::Kind::read_mean) server_.read_mean(values);
  if (order.kind == ShardOrder::Kind::read_row) server_.read_row(order.number, values);
  wait_for(transport_.send(0, tag_vector, values.data(), values.size() * sizeof(float)));
}

void RankShard::begin_snapshot(std::uint64_t announced_bytes) {
  if (!pool_) {
    pool_ = std::make_unique<StagingPool>(stream_.device(),
                                          std::min(shard_.size * sizeof(float), most_piece_bytes));
  }
  snapshot_ = std::make_unique<Pieces>(*this, announced_bytes);
  server_.begin_snapshot(*snapshot_);
}

/// Its own memory has this shard alone, and so Server::save_replica() does not fit.
void RankShard::save_replica(const ShardOrder& order) {
  const Snapshot::Place place{.model = false, .position = order.number};
  snapshot_->save(stream_, models_.at(order.replica).model,
                  Snapshot::element(place, ElementType::f32, shard_.begin));
}

void RankShard::restore(const ShardOrder& order) {
  VectorsOfRank0 vectors(*this);
  server_.restore(vectors, order.number,
                  order.worker == ShardOrder::no_worker ? ParameterServer::Restored::all
                                                        : ParameterServer::Restored::momentum_alone);
  report({.kind = ShardReport::Kind::restored});
}

void RankShard::report(ShardReport report, std::optional<Snapshot::Piece> piece) {
  report.rank = transport_.rank();
  Letter& letter = *letters_.emplace_back(std::make_unique<Letter>(Letter{report, std::move(piece)}));
  letter.transfers.push_back(transport_.send(0, tag_report, &letter.report, sizeof(letter.report)));
  if (!letter.piece) return;
  letter.transfers.push_back(
      transport_.send(0, tag_payload, letter.piece->buffer->data(), letter.piece->bytes));
}

/// Returns whether anything has been sent by now.
bool RankShard::settle() {
  bool any = models_.settle();
  for (const auto& letter : letters_) {
    any = transport_.take_out_done(letter->transfers) || any;
    if (letter->transfers.empty() && letter->piece) {
      pool_->give_back(std::exchange(letter->piece, std::nullopt)->buffer);
    }
  }
  std::erase_if(letters_, [](const auto& letter) { return letter->transfers.empty(); });
  return any;
}

void RankShard::wait_for(Transport::Transfer transfer) {
  Backoff backoff;
  while (!transport_.done(transfer)) backoff.after(false);
}

}  // namespace tardigrad
