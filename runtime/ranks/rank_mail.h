#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/device/buffer.h"
#include "runtime/device/event.h"
#include "runtime/device/stream.h"
#include "runtime/ranks/landings.h"
#include "runtime/ranks/messages.h"
#include "runtime/ranks/rank_vector.h"
#include "runtime/ranks/transport.h"
#include "runtime/server/replica.h"

namespace tardigrad {

/// Carries orders from rank 0 to the other ranks, and their answers back. It blocks nowhere: look() takes
/// everything a step further.
class RankMail {
 public:
  /// Says what its owner is told of, within look() or order().
  struct Listener {
    /// The model of a replica has been sent to a rank, behind an order.
    std::function<void(Replica&)> on_sent;
    /// A job has come to its end. Of a gradient that has been received there is its landing, which is to be
    /// given back; of a failure there are its words.
    std::function<void(const RankAnswer&, Landing*, const std::string& failure)> on_answer;
  };

  /// The transport outlives it. Vectors are of that size; `server` is the device that reads gradients, and
  /// `vectors` the one in whose memory they lie: where that is a CPU's, it is pinned for `copied_by`.
  RankMail(Transport& transport, std::size_t dimension, Device server, Device vectors, Device copied_by,
           Listener listener);

  /// Sends an order, behind all before it: when the server has written its model, and read what was in the
  /// memory that its gradient goes to. The model goes with it where the order says so. Any order but one to
  /// start a job has no answer.
  void order(int rank, const RankOrder& order, Replica* model = nullptr, const Landing* gradient = nullptr);

  /// Does what can be done at once. Returns whether that was anything. Throws DeviceError where there is no
  /// memory for a gradient.
  bool look();

  /// Blocks until all orders have been sent, for a second at most.
  void send_all();

  /// Tells whether there are neither orders nor answers on their way.
  bool at_rest() const { return outbox_.empty() && sent_.empty() && unanswered_ == 0 && payloads_.empty(); }

  /// Returns the memory of gradients that the server reads, but for shared vectors. What is pinned for a GPU
  /// cannot be had any more when that has failed.
  Landings& landings() { return landings_; }

  /// Takes back the memory of a gradient, which the server may still read.
  void give_back(Landing& landing) {
    landing.in_use = false;
    if (!landing.is_shared()) landings_.give_back(landing);
  }

 private:
  /// Is an order on its way, with the model that it may bring.
  struct Outgoing {
    bool is_ready() const {
      return (!model || is_past(written(0))) && (!gradient || is_past(gradient->taken));
    }
    const Event& written(std::size_t part) const {
      const bool is_last = !brings_model() || part == model->parts_written.size();
      return is_last ? model->written : model->parts_written[part];
    }
    std::size_t parts() const { return brings_model() ? model->parts_written.size() + 1 : 0; }
    bool brings_model() const { return model && order.model == RankOrder::Model::follows; }

    int rank = 0;
    RankOrder order;
    Replica* model = nullptr;
    const Landing* gradient = nullptr;
    std::size_t parts_sent = 0;  // of the model
    std::vector<Transport::Transfer> transfers = {};
  };

  /// Is what follows an answer.
  struct Payload {
    RankAnswer answer;
    Landing* landing;
    std::unique_ptr<std::string> failure;
    Transport::Transfer transfer;
  };

  bool send_written();
  void send_part(Outgoing& one);
  bool settle_sent();
  bool take_answers();
  void take(const RankAnswer& answer, Landing* landing);
  bool take_payloads();
  void await_answer();
  RankVector make_vector() const;

  Transport& transport_;
  std::size_t dimension_;
  Device copied_by_;
  Listener listener_;
  Stream memory_;
  Landings landings_;
  std::deque<std::unique_ptr<Outgoing>> outbox_;  // not sent: the first waits for the server
  std::vector<std::unique_ptr<Outgoing>> sent_;
  std::vector<std::unique_ptr<Outgoing>> spare_;
  std::size_t unanswered_ = 0;
  RankAnswer answer_;        // that is being received, where any is awaited
  bool has_answer_ = false;  // it is here, and not taken
  std::optional<Transport::Transfer> answer_transfer_;
  std::vector<Payload> payloads_;
};

}  // namespace tardigrad
