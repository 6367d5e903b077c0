#include <algorithm>
#include <cstdio>
#include <future>

#include "tests/cuda_emulation/block.h"
#include "tests/cuda_emulation/capture.h"
#include "tests/cuda_emulation/launch.h"
#include "tests/cuda_emulation/state.h"
#include "tests/cuda_emulation/stream_work.h"

namespace tardigrad::emulation {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool one_driver_thread = false;  // it would order the host functions of different streams
#else
constexpr bool one_driver_thread = true;
#endif

/// CUDA may run the host functions of all streams on one thread, so that one waiting for another may never
/// end. The stream waits meanwhile.
void run_host_function(const Work& work) {
  const auto call = [&work] {
    in_host_function() = true;
    work.run();
    in_host_function() = false;
  };
  if constexpr (one_driver_thread) {
    // Shared, for the driver's thread uses it to the end of reach().
    const auto done = std::make_shared<Completion>();
    work.device->driver->push([&call, done] {
      call();
      done->reach();
    });
    done->wait();
  } else {
    call();
  }
}

/// Whether this launch is the one that a test wants to fail.
bool is_to_fail(Device& device) {
  return device.launches_to_failure.load(std::memory_order_relaxed) > 0 &&
         device.launches_to_failure.fetch_sub(1, std::memory_order_relaxed) == 1;
}

}  // namespace

Device*& running_device() {
  thread_local Device* device = nullptr;
  return device;
}

bool& in_host_function() {
  thread_local bool within = false;
  return within;
}

void Work::execute() const {
  if (kind == Kind::order) return run();
  if (device->failure != cudaSuccess) return;
  if (kind == Kind::host) return run_host_function(*this);
  running_device() = device;
  if (kind == Kind::launch && is_to_fail(*device)) {
    if (device->hangs) std::promise<void>().get_future().wait();
    fail_device(cudaErrorLaunchFailure);
  } else {
    run();
  }
  running_device() = nullptr;
}

void StreamState::push(Work work) {
  thread.push([work = std::move(work)] { work.execute(); });
}

void StreamState::submit(Work work) {
  device.check();
  if (const auto capturing = active_capture()) return capturing->add(*this, std::move(work));
  push(std::move(work));
}

/// The default stream of each thread is that of the device, too.
StreamState& stream_of(cudaStream_t handle) {
  const bool is_default = handle == nullptr || handle == cudaStreamLegacy || handle == cudaStreamPerThread;
  if (!is_default) return object_of<StreamState>(handle);
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  Device& device = current_device();
  if (device.default_stream == nullptr) device.default_stream = StreamState::make(device, 0);
  return *device.default_stream;
}

cudaError_t enqueue(cudaStream_t stream, std::function<void()> work) {
  return api([&] {
    StreamState& target = stream_of(stream);
    target.submit({Kind::launch, &target.device, std::move(work)});
  });
}

void fail_device(cudaError_t error) {
  int none = cudaSuccess;
  running_device()->failure.compare_exchange_strong(none, error);
}

int device_of(cudaStream_t stream) { return stream_of(stream).device.index; }

cudaError_t launch(const cudaLaunchConfig_t& config, std::vector<const volatile void*> pointers,
                   std::function<void()> kernel) {
  return api([&] {
    StreamState& stream = stream_of(config.stream);
    require(&stream.device == &current_device(), cudaErrorInvalidResourceHandle);
    const unsigned threads = config.blockDim.x * config.blockDim.y * config.blockDim.z;
    require(config.gridDim.x > 0 && config.gridDim.y > 0 && config.gridDim.z > 0 && threads > 0 &&
                threads <= 1024 && config.gridDim.y < 65536 && config.gridDim.z < 65536 &&
                config.blockDim.z <= 64,
            cudaErrorInvalidConfiguration);
    require(config.dynamicSmemBytes == 0, cudaErrorNotSupported);
    const LaunchShape shape{{config.gridDim.x, config.gridDim.y, config.gridDim.z},
                            {config.blockDim.x, config.blockDim.y, config.blockDim.z}};
    const int device = stream.device.index;
    stream.submit({Kind::launch, &stream.device, [=] {
                     for (std::size_t i = 0; i < pointers.size(); ++i) {
                       const void* pointer = const_cast<const void*>(pointers[i]);
                       if (pointer == nullptr || accessible(device, pointer, 0)) continue;
                       std::fprintf(
                           stderr,
                           "emulated CUDA: pointer argument %zu of a kernel, %p, is no memory that device "
                           "%d may access\n",
                           i, pointer, device);
                       return fail_device(cudaErrorIllegalAddress);
                     }
                     run_grid(shape, kernel);
                   }});
  });
}

}  // namespace tardigrad::emulation

using namespace tardigrad::emulation;

namespace {

constexpr int lowest_priority = 0;
constexpr int highest_priority = -5;

cudaError_t create_stream(cudaStream_t* created, unsigned flags, int priority) {
  return api([&] {
    require(created != nullptr && (flags & ~unsigned{cudaStreamNonBlocking}) == 0, cudaErrorInvalidValue);
    current_device().check();
    *created = reinterpret_cast<cudaStream_t>(
        StreamState::make(current_device(), std::clamp(priority, highest_priority, lowest_priority)));
  });
}

/// Calls on the state of a stream break its capture.
void require_not_capturing(StreamState& stream) {
  if (const auto capture = stream.active_capture()) {
    capture->invalidate();
    throw Failure{cudaErrorStreamCaptureUnsupported};
  }
}

}  // namespace

cudaError_t cudaStreamCreate(cudaStream_t* created) { return create_stream(created, 0, 0); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* created, unsigned flags) {
  return create_stream(created, flags, 0);
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* created, unsigned flags, int priority) {
  return create_stream(created, flags, priority);
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return api([&] {
    StreamState& stream = object_of<StreamState>(handle);
    stream.destroy();
    stream.thread.stop();
    stream.device.check();
  });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return api([&] {
    StreamState& stream = stream_of(handle);
    stream.device.check();
    require_not_capturing(stream);
    require_no_unsafe_capture();
    require(stream.thread.idle(), cudaErrorNotReady);
    stream.device.check();
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return api([&] {
    StreamState& stream = stream_of(handle);
    require_not_capturing(stream);
    require_no_unsafe_capture();
    stream.thread.drain();
    stream.device.check();
  });
}

cudaError_t cudaStreamGetPriority(cudaStream_t handle, int* priority) {
  return api([&] { *priority = stream_of(handle).priority; });
}
cudaError_t cudaStreamGetFlags(cudaStream_t handle, unsigned* flags) {
  return api([&] {
    stream_of(handle);
    *flags = cudaStreamNonBlocking;
  });
}
cudaError_t cudaStreamGetDevice(cudaStream_t handle, int* device) {
  return api([&] { *device = stream_of(handle).device.index; });
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* lowest, int* highest) {
  return api([&] {
    current_device().check();
    if (lowest != nullptr) *lowest = lowest_priority;
    if (highest != nullptr) *highest = highest_priority;
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* argument) {
  return api([&] {
    require(function != nullptr, cudaErrorInvalidValue);
    StreamState& stream = stream_of(handle);
    stream.submit({Kind::host, &stream.device, [=] { function(argument); }});
  });
}
