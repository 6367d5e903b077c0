#include "runtime/ranks/servers/sum_over_ranks.h"

#include <vector>

#include "runtime/device/collectives.h"
#include "runtime/ranks/blocking.h"
#include "runtime/ranks/messages.h"

namespace tardigrad {
namespace {

class SumByMessages final : public SumOverRanks {
 public:
  SumByMessages(Transport& transport, StreamRef stream, std::size_t dimension)
      : transport_(transport), stream_(stream), part_(stream, dimension) {}

  void add_up(BufferRef<float> vector) override {
    stream_.copy(part_.ref(), vector);
    stream_.synchronize();
    transfers_.push_back(transport_.all_reduce(part_.ref().data(), vector.data(), vector.size()));
  }

  void broadcast(BufferRef<float> vector) override {
    stream_.synchronize();
    const std::size_t bytes = vector.size() * sizeof(float);
    if (transport_.rank() > 0) {
      transfers_.push_back(transport_.receive(0, tag_model, vector.data(), bytes));
      return;
    }
    for (int rank = 1; rank < transport_.size(); ++rank) {
      transfers_.push_back(transport_.send(rank, tag_model, vector.data(), bytes));
    }
  }

  bool busy() override {
    transport_.take_out_done(transfers_);
    return !transfers_.empty();
  }

 private:
  Transport& transport_;
  StreamRef stream_;
  Buffer<float> part_;  // of the sum that is being added up
  std::vector<Transport::Transfer> transfers_;
};

class SumByNccl final : public SumOverRanks {
 public:
  SumByNccl(Transport& transport, StreamRef stream)
      : collectives_(join_collectives(stream, agree_on_id(transport, stream.device()), transport.rank(),
                                      transport.size())) {}

  void add_up(BufferRef<float> vector) override { collectives_->all_reduce({&vector, 1}); }
  void broadcast(BufferRef<float> vector) override { collectives_->broadcast({&vector, 1}); }
  bool busy() override { return false; }
  void check() const override { collectives_->check(); }
  void abort() override { collectives_->abort(); }

 private:
  /// Every rank says that it has the id: nobody looks after messages on their way while NCCL waits for all.
  static CollectivesId agree_on_id(Transport& transport, Device device) {
    CollectivesId id{};
    if (transport.rank() > 0) {
      blocking_receive(transport, 0, tag_collectives, id.data(), id.size());
      blocking_send(transport, 0, tag_collectives, nullptr, 0);
      return id;
    }
    id = make_collectives_id(device);
    for (int rank = 1; rank < transport.size(); ++rank) {
      blocking_send(transport, rank, tag_collectives, id.data(), id.size());
    }
    for (int rank = 1; rank < transport.size(); ++rank) {
      blocking_receive(transport, rank, tag_collectives, nullptr, 0);
    }
    return id;
  }

  std::unique_ptr<Collectives> collectives_;
};

}  // namespace

std::unique_ptr<SumOverRanks> make_sum_over_ranks(Transport& transport, StreamRef stream,
                                                  std::size_t dimension) {
  if (stream.device().backend == Backend::cuda) return std::make_unique<SumByNccl>(transport, stream);
  return std::make_unique<SumByMessages>(transport, stream, dimension);
}

}  // namespace tardigrad
