#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tardigrad::fuzz {

/// The bytes of a target's input as a file in memory, for readers, which open files by their names.
class InputFile {
 public:
  explicit InputFile(std::string_view bytes) : descriptor_(memfd_create("input", 0)) {
    if (descriptor_ < 0 || ::write(descriptor_, bytes.data(), bytes.size()) != std::ssize(bytes)) {
      std::perror("a file in memory");
      std::abort();
    }
  }
  ~InputFile() { close(descriptor_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

/// What no input may bring about.
inline void require(bool holds, const char* what, std::string_view found = "") {
  if (holds) return;
  std::fprintf(stderr, "expected %s\n%.*s\n", what, static_cast<int>(found.size()), found.data());
  std::abort();
}

/// Calls read(), which takes what it is given or refuses it, in one short line. Whatever else it throws ends
/// the program, as a find.
template <typename Read>
void taken_or_refused(const Read& read) {
  try {
    read();
  } catch (const std::invalid_argument& refusal) {
    const std::string_view text = refusal.what();
    require(text.find('\n') == std::string_view::npos, "a refusal in one line", text);
    require(text.size() < 1000, "a short refusal", text);
  }
}

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace tardigrad::fuzz

/// The target: reads one input. libFuzzer calls it with inputs of its own, replay.cpp with those that are
/// kept.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
