#pragma once

#include "tests/cuda_emulation/state.h"

namespace tardigrad::emulation {

/// Work and what it is to come after. Nodes stand in the order of capture, in which they may be run.
struct Node {
  Work work;
  std::vector<std::size_t> after;
};

/// The sequence that one or more streams are recording.
struct Capture {
  StreamState* origin = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  unsigned long long id = 0;

  std::atomic<bool> ended = false;

  std::mutex mutex;  // guards the rest
  std::vector<Node> nodes;
  std::vector<std::pair<StreamState*, std::vector<std::size_t>>>
      streams;  // taking part, with their last nodes
  bool invalid = false;

  std::vector<std::size_t>& tails_of(StreamState& stream);  // with the mutex held
  void invalidate();
  void add(StreamState& stream, Work work);
  bool every_node_joined();
};

struct Graph : Handle<Graph> {
  std::vector<Node> nodes;
};

struct GraphExec : Handle<GraphExec> {
  std::mutex mutex;
  std::shared_ptr<const std::vector<Node>> nodes;
  std::shared_ptr<Completion> previous;  ///< launch, which the next one waits for
};

}  // namespace tardigrad::emulation
