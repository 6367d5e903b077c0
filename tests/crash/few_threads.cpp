// Few threads to be had, as told: loaded into a program with LD_PRELOAD, it numbers the threads that are
// started, from 1, and lets some not start. By environment variables:
//   FEW_THREADS_FIRST, FEW_THREADS_COUNT   the first that does not, and how many
//   FEW_THREADS_LOG                        a file that gets a character for each

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

namespace {

long number_from(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::atol(value) : 0;
}

void note() {
  const char* log = std::getenv("FEW_THREADS_LOG");
  if (log == nullptr) return;
  const int file = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  static_cast<void>(!write(file, "t", 1));
  close(file);
}

}  // namespace

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*work)(void*),
                              void* argument) noexcept {
  static std::atomic<long> started = 0;
  const long since = ++started - number_from("FEW_THREADS_FIRST");
  note();
  if (since >= 0 && since < number_from("FEW_THREADS_COUNT")) return EAGAIN;
  using Create = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  return reinterpret_cast<Create*>(dlsym(RTLD_NEXT, "pthread_create"))(thread, attributes, work, argument);
}
