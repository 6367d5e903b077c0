#include "tools/train/build_info.h"

#include <fmt/chrono.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <nlohmann/json.hpp>

#include "kernels/operation.h"
#include "models/classifier.h"
#include "runtime/device/device.h"
#include "tools/train/build_options.h"
#include "tools/train/commit.h"

namespace tardigrad {

std::string commit_of_build() {
  return std::string(built_commit) + (built_of_changed_sources ? "-changed" : "");
}

nlohmann::ordered_json build_of_program() {
  return {{"type", build_type},
          {"compiler", build_compiler},
          {"flags", build_flags},
          {"native", build_native},
          {"sanitizer", build_sanitizer},
          {"cuda", built_with_cuda},
          {"emulated_gpus", build_emulates_gpus},
          {"cuda_libraries", cuda_library_versions()},
          {"onednn", models::onednn_available()}};
}

nlohmann::ordered_json date_and_host() {
  std::array<char, 256> host{};
  static_cast<void>(gethostname(host.data(), host.size() - 1));
  return {{"date", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
          {"host", host.data()}};
}

}  // namespace tardigrad
