#include "tests/cuda_emulation/fiber.h"

#include <sys/mman.h>
#include <unistd.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

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
thread_local Fiber* starting = nullptr;

std::size_t page_bytes() {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

/// Memory for a stack, with a page below that faults.
std::byte* map_stack() {
  void* memory = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, page_bytes(), PROT_NONE) != 0) throw std::bad_alloc();
  return static_cast<std::byte*>(memory);
}

void unmap_stack(std::byte* stack) {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(stack, stack_bytes);  // another may come to lie there
#endif
  munmap(stack, stack_bytes);
}

/// A stack as AddressSanitizer knows it. One that is left tells where it goes; the one that is gone on with,
/// that it is there.
class SanitizedStack {
 public:
  SanitizedStack() = default;
  explicit SanitizedStack(const void* bottom) : bottom_(bottom), bytes_(stack_bytes) {}

#if defined(__SANITIZE_ADDRESS__)
  void leave_for(const SanitizedStack& other) {
    __sanitizer_start_switch_fiber(&fake_stack_, other.bottom_, other.bytes_);
  }
  void is_back_from(SanitizedStack& other) {
    __sanitizer_finish_switch_fiber(fake_stack_, &other.bottom_, &other.bytes_);
  }
#else
  void leave_for(const SanitizedStack&) {}
  void is_back_from(SanitizedStack&) {}
#endif

 private:
  const void* bottom_ = nullptr;
  std::size_t bytes_ = 0;
  void* fake_stack_ = nullptr;
};

}  // namespace

struct Fiber::Context {
  std::function<void()> body;
  std::byte* stack = map_stack();
  SanitizedStack own{stack};
  SanitizedStack resumers;
#if defined(__x86_64__)
  void* here = nullptr;
  void* resumer = nullptr;

  explicit Context(std::function<void()> the_body) : body(std::move(the_body)) {
    // As if switched away from just before the first instruction of begin(): its address, below it the six
    // registers; above it the place of a return address, which aligns the stack as a call would.
    auto* top = reinterpret_cast<void**>(stack + stack_bytes);
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(&begin);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    here = top;
  }
  void enter() { tardigrad_switch_stack(&resumer, here); }
  void leave() { tardigrad_switch_stack(&here, resumer); }
#else
  ucontext_t here{};
  ucontext_t resumer{};

  explicit Context(std::function<void()> the_body) : body(std::move(the_body)) {
    getcontext(&here);
    here.uc_stack = {stack, 0, stack_bytes};
    makecontext(&here, &begin, 0);
  }
  void enter() { swapcontext(&resumer, &here); }
  void leave() { swapcontext(&here, &resumer); }
#endif

  static void begin() {
    Context& context = *starting->context_;
    context.own.is_back_from(context.resumers);
    context.body();
    __builtin_trap();
  }
};

Fiber::Fiber(std::function<void()> body) : context_(std::make_unique<Context>(std::move(body))) {}
Fiber::~Fiber() { unmap_stack(context_->stack); }

void Fiber::resume() {
  starting = this;
  Context& context = *context_;
  context.resumers.leave_for(context.own);
  context.enter();
  context.resumers.is_back_from(context.own);
}

void Fiber::suspend() {
  Context& context = *context_;
  context.own.leave_for(context.resumers);
  context.leave();
  context.own.is_back_from(context.resumers);
}

}  // namespace tardigrad::emulation
