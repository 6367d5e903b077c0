#pragma once

#include <cstddef>

#include "runtime/ranks/backoff.h"
#include "runtime/ranks/transport.h"

namespace tardigrad {

// What ranks say to each other before a run begins, when there is nothing else to do.

inline void wait_for(Transport& transport, Transport::Transfer transfer) {
  Backoff backoff;
  while (!transport.done(transfer)) backoff.after(false);
}

inline void blocking_send(Transport& transport, int to, int tag, const void* data, std::size_t bytes) {
  wait_for(transport, transport.send(to, tag, data, bytes));
}

inline void blocking_receive(Transport& transport, int from, int tag, void* data, std::size_t bytes) {
  wait_for(transport, transport.receive(from, tag, data, bytes));
}

}  // namespace tardigrad
