#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tardigrad {

/// Names a call of a callback for errors: "LeastSquares.gradient(worker 2, job 3)". The text is made where it
/// is asked for, since to make it takes longer than many a call. What it refers to outlives it.
struct CallbackName {
  const std::string& class_name;
  const char* callback;
  std::optional<int> worker = {};
  std::optional<std::uint64_t> job = {};

  std::string text() const;
};

}  // namespace tardigrad
