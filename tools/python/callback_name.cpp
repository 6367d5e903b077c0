#include "tools/python/callback_name.h"

#include <fmt/format.h>

namespace tardigrad {

std::string CallbackName::text() const {
  if (!worker) return fmt::format("{}.{}", class_name, callback);
  if (!job) return fmt::format("{}.{}(worker {})", class_name, callback, *worker);
  return fmt::format("{}.{}(worker {}, job {})", class_name, callback, *worker, *job);
}

}  // namespace tardigrad
