#include "runtime/ranks/servers/rank_shard.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "runtime/base/json_text.h"
#include "runtime/base/state_archive.h"
#include "runtime/device/stream_of_caller.h"
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
                     const ServerMemory& memory, const ServerOptions& options, Device device)
    : transport_(transport),
      dimension_(dimension),
      shard_(shard),
      stream_(stream_of_caller(device, "server", Priority::high)),
      gradients_(transport, stream_, shard.size),
      server_(stream_, shard, workers, memory, options),
      models_(transport, stream_, shard.size) {}

RankShard::~RankShard() { stream_.ref().drain(); }

bool RankShard::serve() {
  Backoff backoff;
  message_transfer_ = transport_.receive(Transport::any_rank, tag_order, &message_, sizeof(message_));
  while (message_transfer_ || !orders_.empty() || !letters_.empty() || models_.sending() ||
         (snapshot_ && (saved_ || snapshot_->has_more()))) {
    backoff.after(look());
  }
  return all_leave_;
}

/// Returns whether there was anything to do.
bool RankShard::look() {
  bool any = take_messages();
  any = gradients_.look([this](int worker, std::uint64_t job) {
    report({.kind = ShardReport::Kind::part, .worker = worker, .job = job});
  }) || any;
  any = carry_out_orders() || any;
  any = send_pieces() || any;
  any = settle() || any;
  if (!any) stream_.ref().check();
  return any;
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
    return has_gradient(waiting.order) &&
           !gradients_.is_announced(waiting.order.worker, waiting.order.number);
  });
}

void RankShard::take(const ShardOrder& message) {
  if (message.kind == ShardOrder::Kind::end) {
    ended_ = true;
    all_leave_ = message.number == 0;
    return;
  }
  if (message.kind == ShardOrder::Kind::gradient) {
    return gradients_.receive(message.rank, message.worker, message.number);
  }
  Waiting& waiting = orders_.emplace_back(Waiting{message});
  if (message.payload_bytes == 0) return;
  waiting.payload.resize(message.payload_bytes);
  waiting.transfer = transport_.receive(0, tag_payload, waiting.payload.data(), waiting.payload.size());
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

bool RankShard::is_ready(Waiting& waiting) {
  if (waiting.transfer) {
    if (!transport_.done(*waiting.transfer)) return false;
    waiting.transfer.reset();
  }
  return !has_gradient(waiting.order) || gradients_.is_here(waiting.order.worker, waiting.order.number);
}

void RankShard::carry_out(const Waiting& waiting) {
  using Kind = ShardOrder::Kind;
  const ShardOrder& order = waiting.order;
  switch (order.kind) {
    case Kind::apply:
      return apply(waiting);
    case Kind::drop:
      return gradients_.give_back(gradients_.take(order.worker, order.number));
    case Kind::send_model:
      return models_.send(order.replica, order.rank);
    case Kind::set_model:
      return server_.set_model(elements<float>(waiting.payload, 0, shard_.size));
    case Kind::set_replica: {
      const std::vector<float> values = elements<float>(waiting.payload, 0, shard_.size);
      Replica& replica = models_.begin(order.replica);
      stream_.ref().copy(replica.model, host_view(values.data(), values.size()));
      stream_.ref().record(replica.written);
      stream_.ref().synchronize();
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
      saved_ = server_.save_more(order.number) < order.number;
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
  Landing* const landing = has_gradient(order) ? &gradients_.take(order.worker, order.number) : nullptr;
  std::optional<ArrivedGradient> gradient;
  if (landing) {
    gradient.emplace(ArrivedGradient{.values = {landing->values, shard_.size, landing->device},
                                     .exchangeable = stream_.ref().immediate() ? &landing->values : nullptr,
                                     .taken = &landing->taken});
  }
  Server::Fusion fusion(server_, order.real, replicas, gradient ? &*gradient : nullptr);
  fusion.add_all(
      actions, [this] { clip(); }, [&] { fusion.resum(); });
  fusion.finish();
  if (landing) gradients_.give_back(*landing);
}

/// Rank 0 has the sums of all shards.
void RankShard::clip() {
  const BufferRef<const double> sums = server_.square_sums();
  std::vector<double> here(sums.size());
  stream_.ref().copy(host_view(here.data(), here.size()), sums);
  stream_.ref().synchronize();
  wait_for(transport_.send(0, tag_vector, here.data(), here.size() * sizeof(double)));
  float scale = 1;
  wait_for(transport_.receive(0, tag_vector, &scale, sizeof(scale)));
  stream_.ref().copy(server_.clip_scale(), host_view(&scale, 1));
  stream_.ref().synchronize();
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
  stream_.ref().synchronize();  // with what is still copied for one that was given up
  send_pieces();
  snapshot_ = std::make_unique<ShardSnapshot>(dimension_, *pool_, announced_bytes);
  saved_ = false;
  server_.begin_snapshot(*snapshot_);
}

/// Returns whether there were any.
bool RankShard::send_pieces() {
  if (!snapshot_) return false;
  std::vector<Snapshot::Piece> pieces = snapshot_->take_complete();
  for (Snapshot::Piece& piece : pieces) {
    ShardReport report{.kind = ShardReport::Kind::piece};
    report.in_model_file = piece.place.model ? 1 : 0;
    report.position = piece.place.position;
    report.bytes = piece.bytes;
    this->report(report, std::move(piece));
  }
  if (saved_ && !snapshot_->has_more()) {
    saved_ = false;
    report({.kind = ShardReport::Kind::saved});
  }
  return !pieces.empty();
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
