#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nvtx3/nvToolsExtCudaRt.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <set>
#include <vector>

#include "runtime/base/fifo.h"
#include "runtime/device/cuda/cuda_event.h"
#include "runtime/device/profiler_range.h"
#include "runtime/device/start_times.h"

namespace tardigrad::cuda {
namespace {

/// Once a device: memory of its pool becomes reachable from every GPU that can be its peer, so that a kernel
/// of the server reads a worker's gradient where it lies. Where two GPUs cannot be peers, nothing is done.
void share_memory_pool(Device device) {
  static std::mutex mutex;
  static std::set<int> done;
  const std::lock_guard lock(mutex);
  if (!done.insert(device.index).second) return;
  cudaMemPool_t pool = nullptr;
  TARDIGRAD_CUDA_CHECK(cudaDeviceGetDefaultMemPool(&pool, device.index), device);
  for (int peer = 0; peer < device_count(); ++peer) {
    if (peer == device.index || !cuda::peer_access({Backend::cuda, peer}, device)) continue;
    cudaMemAccessDesc access{};
    access.location = {cudaMemLocationTypeDevice, peer};
    access.flags = cudaMemAccessFlagsProtReadWrite;
    TARDIGRAD_CUDA_CHECK(cudaMemPoolSetAccess(pool, &access, 1), device);
  }
}

class CudaStreamImpl final : public detail::StreamImpl {
 public:
  CudaStreamImpl(Device device, std::string name, Priority priority) : StreamImpl(device, std::move(name)) {
    const StartPart part("GPU contexts");
    const CurrentDevice current(device);
    share_memory_pool(device);
    int lowest = 0;
    int highest = 0;
    TARDIGRAD_CUDA_CHECK(cudaDeviceGetStreamPriorityRange(&lowest, &highest), device);
    TARDIGRAD_CUDA_CHECK(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking,
                                                      priority == Priority::high ? highest : lowest),
                         device);
    nvtxNameCudaStreamA(stream_, this->name().c_str());
  }

  ~CudaStreamImpl() override {
    drain();
    static_cast<void>(cudaStreamDestroy(stream_));
  }

  void host(const char* name, std::function<void()> function) override {
    begin(name);
    enqueue_host({name, std::move(function), false});
  }

  void notify(std::function<void()> function) override {
    enqueue_host({"notify", std::move(function), true});
  }

  void launch(const char* name, const void* operation, Launch launch_on) override {
    const ProfilerRange range(name);
    begin(name);
    const CurrentDevice current(device());
    try {
      launch_on(operation, stream_);
    } catch (const std::exception& error) {
      check();  // whether it was not this operation but one before it
      throw DeviceError(device(), detail::failure_message(name, *this, error.what()));
    }
  }

  void copy(void* target, const void* source, std::size_t bytes) override {
    begin("copy");
    if (bytes == 0) return;
    const CurrentDevice current(device());
    TARDIGRAD_CUDA_CHECK(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDefault, stream_), device());
  }

  void zero(void* target, std::size_t bytes) override {
    begin("zero");
    if (bytes == 0) return;
    const CurrentDevice current(device());
    TARDIGRAD_CUDA_CHECK(cudaMemsetAsync(target, 0, bytes, stream_), device());
  }

  void record(detail::EventImpl& event) override {
    const CurrentDevice current(device());
    TARDIGRAD_CUDA_CHECK(cudaEventRecord(static_cast<CudaEvent&>(event).to_record(), stream_), device());
  }

  void wait(const detail::EventImpl& event) override {
    raise_host_failure();
    const CurrentDevice current(device());
    TARDIGRAD_CUDA_CHECK(cudaStreamWaitEvent(stream_, static_cast<const CudaEvent&>(event).native(), 0),
                         device());
  }

  void check() const override {
    raise_host_failure();
    const cudaError_t status = cudaStreamQuery(stream_);
    if (status == cudaSuccess || status == cudaErrorNotReady) return;
    throw DeviceError(device(), detail::failure_message(recent().c_str(), *this, cudaGetErrorString(status)));
  }

  void synchronize() override {
    static_cast<void>(cudaStreamSynchronize(stream_));
    check();
  }

  void drain() noexcept override { static_cast<void>(cudaStreamSynchronize(stream_)); }

  void* allocate(std::size_t bytes) override {
    if (bytes == 0) return nullptr;
    const CurrentDevice current(device());
    void* memory = nullptr;
    TARDIGRAD_CUDA_CHECK(cudaMallocAsync(&memory, bytes, stream_), device());
    return memory;
  }

  void deallocate(void* memory, std::size_t) noexcept override {
    if (memory) static_cast<void>(cudaFreeAsync(memory, stream_));
  }

 private:
  struct HostCall {
    const char* name;
    std::function<void()> function;
    bool even_after_failure;
  };

  /// Before an operation is enqueued. A failure of the device is not asked for: CUDA returns it from whatever
  /// is enqueued next.
  void begin(const char* name) {
    raise_host_failure();
    const std::lock_guard lock(mutex_);
    recent_[enqueued_++ % recent_.size()] = name;
  }

  void raise_host_failure() const {
    if (!host_failed_) return;
    const std::lock_guard lock(mutex_);
    throw DeviceError(device(), host_failure_);
  }

  /// CUDA does not say which operation failed: the latest ones, any of which it may have been.
  std::string recent() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string_view> names;
    const std::uint64_t oldest = enqueued_ - std::min<std::uint64_t>(enqueued_, recent_.size());
    for (std::uint64_t i = oldest; i < enqueued_; ++i) {
      const std::string_view name = recent_[i % recent_.size()];
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    return names.empty() ? "enqueued work" : fmt::format("{}", fmt::join(names, " or "));
  }

  void enqueue_host(HostCall call) {
    const CurrentDevice current(device());
    {
      const std::lock_guard lock(mutex_);
      host_calls_.push(std::move(call));
    }
    const auto run = [](void* stream) { static_cast<CudaStreamImpl*>(stream)->run_host_call(); };
    const cudaError_t status = cudaLaunchHostFunc(stream_, run, this);
    if (status == cudaSuccess) return;
    {
      const std::lock_guard lock(mutex_);
      host_calls_.pop_back();
    }
    TARDIGRAD_CUDA_CHECK(status, device());
  }

  HostCall next_host_call() {
    const std::lock_guard lock(mutex_);
    return host_calls_.pop();
  }

  /// On a driver thread.
  void run_host_call() noexcept {
    const HostCall call = next_host_call();
    try {
      if (host_failed_ && !call.even_after_failure) return;
      call.function();
    } catch (const std::exception& error) {
      const std::lock_guard lock(mutex_);
      if (host_failed_) return;
      host_failure_ = detail::failure_message(call.name, *this, error.what());
      host_failed_ = true;
    }
  }

  cudaStream_t stream_ = nullptr;
  mutable std::mutex mutex_;
  std::array<const char*, 6> recent_{};  // ring of the operations enqueued last
  std::uint64_t enqueued_ = 0;
  Fifo<HostCall> host_calls_;  // in the stream's order; some are left where the device fails
  std::atomic<bool> host_failed_ = false;
  std::string host_failure_;  // of the first host function that threw
};

}  // namespace

std::shared_ptr<detail::StreamImpl> make_stream(Device device, std::string name, Priority priority) {
  return std::make_shared<CudaStreamImpl>(device, std::move(name), priority);
}

std::unique_ptr<detail::EventImpl> make_event(Device device, bool timed) {
  return std::make_unique<CudaEvent>(device, timed);
}

}  // namespace tardigrad::cuda
