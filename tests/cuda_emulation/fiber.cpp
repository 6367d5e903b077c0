#include "tests/cuda_emulation/fiber.h"

#include <sys/mman.h>
#include <unistd.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

// ThreadSanitizer is not told of the switches: all fibers of a system thread are that thread to it, and each
// fiber leaves as many functions as it has entered, so that only the call stacks it prints within a kernel
// may be mixed up. AddressSanitizer has to know on which stack it is.

#if defined(__x86_64__)
/// Saves the registers that a call must keep and the stack pointer of the caller; goes on with those of
/// another stack. swapcontext() would do, but asks the kernel for the signal mask at each switch.
asm(R"(
.text
.type tardigrad_switch_stack, @function
tardigrad_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size tardigrad_switch_stack, .-tardigrad_switch_stack
)");
extern "C" void tardigrad_switch_stack(void** save, void* load);
#endif

namespace tardigrad::emulation {
namespace {

constexpr std::size_t stack_bytes = 256 * 1024;  // only what is touched takes memory

std::size_t page_bytes() {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

/// Memory for stacks, each with a page below that faults. What is given back serves the next fiber, of any
/// thread: to map and unmap hundreds of stacks for each stream's thread takes longer than short kernels do.
/// Not so under ThreadSanitizer, to which a lock would order the streams' threads.
class StackPool {
 public:
  std::byte* take() {
    if (!shares) return map();
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return map();
    std::byte* stack = free_.back();
    free_.pop_back();
    return stack;
  }

  void give_back(std::byte* stack) {
#if defined(__SANITIZE_ADDRESS__)
    ASAN_UNPOISON_MEMORY_REGION(stack, stack_bytes);  // where a body stopped for good
#endif
    if (!shares) {
      munmap(stack, stack_bytes);
      return;
    }
    const std::lock_guard lock(mutex_);
    free_.push_back(stack);
  }

 private:
#if defined(__SANITIZE_THREAD__)
  static constexpr bool shares = false;
#else
  static constexpr bool shares = true;
#endif

  static std::byte* map() {
    void* memory = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, page_bytes(), PROT_NONE) != 0) throw std::bad_alloc();
    return static_cast<std::byte*>(memory);
  }

  std::mutex mutex_;
  std::vector<std::byte*> free_;
};

/// Never destroyed: threads may end after what is static.
StackPool& stack_pool() {
  static auto* const pool = new StackPool;
  return *pool;
}

/// Where the next stack begins below its top: at another place each, since caches keep few lines that are a
/// power of two apart, and the threads of a block all use the same depth.
std::size_t next_offset() {
  constexpr unsigned places = 256;
  constexpr std::size_t distance = 192;
  static std::atomic<unsigned> next = 0;
  return next.fetch_add(1, std::memory_order_relaxed) % places * distance;
}

/// Where a stack was left, and the stack as AddressSanitizer knows it.
struct Place {
  const void* bottom = nullptr;
  std::size_t bytes = 0;
  void* fake_stack = nullptr;
#if defined(__x86_64__)
  void* stack_pointer = nullptr;
#else
  ucontext_t context{};
#endif
};

thread_local Place outside;              // behind resume(), on the stack of the system thread
thread_local Place* departed = nullptr;  // the one that was left last

/// AddressSanitizer says where the stack lies that was left: news if that is the system thread's.
void arrive([[maybe_unused]] Place& place) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(place.fake_stack, &departed->bottom, &departed->bytes);
#endif
}

/// Leaves one place and goes on at another; returns once `from` is gone on with.
void go(Place& from, Place& to) {
  departed = &from;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.bytes);
#endif
#if defined(__x86_64__)
  tardigrad_switch_stack(&from.stack_pointer, to.stack_pointer);
#else
  swapcontext(&from.context, &to.context);
#endif
  arrive(from);
}

}  // namespace

struct Fiber::Context {
  std::function<void()> body;
  std::byte* stack = stack_pool().take();
  Place place;

  explicit Context(std::function<void()> the_body) : body(std::move(the_body)) {
    place.bottom = stack;
    place.bytes = stack_bytes;
#if defined(__x86_64__)
    // As if switched away from just before the first instruction of begin(): its address, below it the six
    // registers; above it the place of a return address, which aligns the stack as a call would.
    auto* top = reinterpret_cast<void**>(stack + stack_bytes - next_offset());
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(&begin);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    place.stack_pointer = top;
#else
    getcontext(&place.context);
    place.context.uc_stack = {stack, 0, stack_bytes - next_offset()};
    makecontext(&place.context, &begin, 0);
#endif
  }

  static thread_local Context* next;  // the one that is gone on with, which may be for the first time

  static void begin() {
    Context& context = *next;
    arrive(context.place);
    context.body();
    __builtin_trap();
  }
};

thread_local Fiber::Context* Fiber::Context::next = nullptr;

Fiber::Fiber(std::function<void()> body) : context_(std::make_unique<Context>(std::move(body))) {}
Fiber::~Fiber() { stack_pool().give_back(context_->stack); }

void Fiber::resume() {
  Context::next = context_.get();
  go(outside, context_->place);
}

void Fiber::switch_to(const Fiber& other) {
  Context::next = other.context_.get();
  go(context_->place, other.context_->place);
}

void Fiber::suspend() { go(context_->place, outside); }

}  // namespace tardigrad::emulation
