// Takes the place of tensorboard.cpp in builds without Protocol Buffers.
#include <fmt/format.h>

#include <stdexcept>

#include "tools/tensorboard/tensorboard.h"

namespace tardigrad {

void check_event_folder(const char* flag, const std::string& folder) {
  throw std::invalid_argument(fmt::format(
      "{} {}: this program was built without Protocol Buffers (libprotobuf-dev, protobuf-compiler)", flag,
      folder));
}

std::unique_ptr<RunObserver> make_tensorboard(const std::string& folder,
                                              const std::optional<std::uint64_t>&) {
  check_event_folder("--tensorboard", folder);
  return nullptr;
}

}  // namespace tardigrad
