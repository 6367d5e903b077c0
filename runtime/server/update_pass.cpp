#include "runtime/server/update_pass.h"

#include <stdexcept>

namespace tardigrad {

void UpdatePass::add(const ServerUpdate& update) {
  if (!gathers_) return stream_.enqueue(update);
  if (pass_.count == ServerUpdates::most) enqueue();
  pass_.updates[pass_.count++] = update;
}

void UpdatePass::record(Event& event) {
  if (pass_.count == 0) {
    stream_.record(event);
  } else if (std::ranges::find(events_, &event) == events_.end()) {
    events_.push_back(&event);
  }
}

void UpdatePass::enqueue() {
  if (!gathers_) return;
  constexpr std::size_t part_size = std::size_t{16} << 10;
  if (parallel_for_ && pass_.count > 0 && pass_.updates.front().dimension >= 2 * part_size) {
    stream_.host(ServerUpdates::name, [this] { run_in_parts(part_size); });
  } else if (pass_.count == 1) {
    stream_.enqueue(pass_.updates.front());
  } else if (pass_.count > 1) {
    stream_.enqueue(pass_);
  }
  pass_.count = 0;
  // A point that many share is cheaper; one of few is not worth what their next records take then.
  constexpr std::size_t few = 2;
  for (Event* const event : events_) {
    if (event == events_.front() || events_.size() <= few) {
      stream_.record(*event);
    } else {
      event->take_point(*events_.front());
    }
  }
  events_.clear();
}

const ServerUpdate& UpdatePass::only() const {
  if (pass_.count != 1) throw std::logic_error("what is gathered is not one update");
  return pass_.updates.front();
}

void UpdatePass::drop() {
  pass_.count = 0;
  events_.clear();
}

/// By elements: a thread may find a part of mean and model in its caches, and the vectors of an arrival are
/// on their way to all threads at once.
void UpdatePass::run_in_parts(std::size_t part_size) const {
  pass_.check();
  in_parts(parallel_for_, pass_.updates.front().dimension, part_size,
           [this](std::size_t begin, std::size_t end) { pass_.run(begin, end); });
}

}  // namespace tardigrad
