#include "models/cuda/graph_cache.h"

#include <algorithm>

#include "runtime/device/start_times.h"

namespace tardigrad::models::cuda {

void GraphCache::run(CudaStream stream, const Addresses& addresses, const std::function<void()>& enqueue) {
  if (!enabled_) return enqueue();
  Entry* entry = find(addresses);
  if (!entry) {
    // Also the first time that kernels and libraries run, which load code and allocate memory then.
    enqueue();
    return remember(addresses);
  }
  entry->last_use = ++uses_;
  if (!entry->graph.get()) {
    entry->graph = capture(stream, enqueue);
    ++captured_;
  }
  TARDIGRAD_CUDA_CHECK(cudaGraphLaunch(entry->graph.get(), stream), device_);
}

GraphCache::Entry* GraphCache::find(const Addresses& addresses) {
  const auto entry = std::ranges::find(entries_, addresses, &Entry::addresses);
  return entry == entries_.end() ? nullptr : &*entry;
}

/// A graph that leaves while it runs is freed when it is through (cudaGraphExecDestroy).
void GraphCache::remember(const Addresses& addresses) {
  if (entries_.size() == capacity) entries_.erase(std::ranges::min_element(entries_, {}, &Entry::last_use));
  entries_.push_back({addresses, ++uses_, {}});
}

GraphCache::Executable GraphCache::capture(CudaStream stream, const std::function<void()>& enqueue) const {
  const StartPart part("capture of graphs");
  Graph graph;
  // Only this thread is kept from calls that could not be captured: others work on other streams meanwhile.
  TARDIGRAD_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), device_);
  try {
    enqueue();
  } catch (...) {
    static_cast<void>(cudaStreamEndCapture(stream, graph.receive()));
    static_cast<void>(cudaGetLastError());
    throw;
  }
  TARDIGRAD_CUDA_CHECK(cudaStreamEndCapture(stream, graph.receive()), device_);
  Executable executable;
  TARDIGRAD_CUDA_CHECK(cudaGraphInstantiate(executable.receive(), graph.get(), 0), device_);
  return executable;
}

}  // namespace tardigrad::models::cuda
