#include "data/formats/dense_rows.h"

#include <fmt/format.h>
#include <unistd.h>

#include <stdexcept>

namespace tardigrad::data {

Images make_rows(const std::filesystem::path& path, std::size_t examples, std::size_t features) {
  const double needed = static_cast<double>(examples) * static_cast<double>(features) * sizeof(float);
  const double there =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  constexpr double gib = 1 << 30;
  if (needed > there) {
    throw std::invalid_argument(
        fmt::format("{}: {} examples with {} features take {:.1f} GiB, expected no more than the {:.1f} GiB "
                    "of this machine's memory",
                    path.string(), examples, features, needed / gib, there / gib));
  }
  Images rows{.shape = {.channels = 1, .height = 1, .width = static_cast<int>(features)}};
  rows.values.resize(examples * features);
  return rows;
}

}  // namespace tardigrad::data
