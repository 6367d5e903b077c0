// The table of `tardigrad data`, for people.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>

#include "tools/data/describe_data.h"

namespace tardigrad {
namespace {

constexpr std::size_t most_workers = 20;
constexpr std::size_t most_columns = 12;
constexpr std::size_t most_listed = 4;  // classes of a worker, where there are no columns

std::uint64_t total(const std::vector<std::uint64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

std::string describe_shape(const data::Images& images) {
  const data::ImageShape& shape = images.shape;
  const char* const numbers = images.in_floats() ? "floats" : "bytes";
  if (shape.channels == 1 && shape.height == 1) return fmt::format("{} features in {}", shape.width, numbers);
  return fmt::format("{}x{}x{} {}", shape.channels, shape.height, shape.width, numbers);
}

/// Those that are shown, in their order: of many, the ones with the most and with the fewest examples.
std::vector<std::size_t> choose_workers(const SharedOutData& shared) {
  std::vector<std::size_t> workers(shared.counts.size());
  std::iota(workers.begin(), workers.end(), std::size_t{0});
  if (workers.size() <= most_workers) return workers;
  std::ranges::stable_sort(workers, std::greater(), [&](std::size_t w) { return total(shared.counts[w]); });
  const auto half = static_cast<std::ptrdiff_t>(most_workers / 2);
  workers.erase(workers.begin() + half, workers.end() - half);
  std::ranges::sort(workers);
  return workers;
}

/// "3 dress 80 %, 1 trouser 20 %", the largest first.
std::string list_classes(const SharedOutData& shared, const std::vector<std::uint64_t>& counts) {
  std::vector<std::size_t> order(counts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](std::size_t c) { return counts[c]; });
  std::vector<std::string> parts;
  const auto present =
      static_cast<std::size_t>(std::ranges::count_if(counts, [](auto count) { return count > 0; }));
  for (std::size_t i = 0; i < std::min(present, most_listed); ++i) {
    parts.push_back(
        fmt::format("{} {:.0f} %", shared.class_names[order[i]],
                    100 * static_cast<double>(counts[order[i]]) / static_cast<double>(total(counts))));
  }
  if (present > most_listed) parts.push_back(fmt::format("{} more", present - most_listed));
  return fmt::format("{}", fmt::join(parts, ", "));
}

/// A name in a column of that width, cut where it is longer.
std::string in_column(const std::string& name, std::size_t width) {
  return fmt::format("{:>{}}", name.size() > width ? name.substr(0, width - 1) + "." : name, width);
}

}  // namespace

std::string data_table(const data::Dataset& dataset, const SharedOutData& shared) {
  constexpr std::size_t width = 9;
  std::string text =
      fmt::format("{}: {} training and {} test examples, {}, {} classes\n", dataset.name,
                  dataset.train.size(), dataset.test.size(), describe_shape(dataset.train), dataset.classes);
  if (!dataset.train.in_floats()) {
    text += fmt::format("normalised by mean {:.4f} and deviation {:.4f}\n",
                        fmt::join(dataset.normalisation.mean, ", "),
                        fmt::join(dataset.normalisation.deviation, ", "));
  }
  const bool in_columns = shared.class_names.size() <= most_columns;
  text += fmt::format("\n{:>6} {:>9}", "worker", "examples");
  if (in_columns) {
    for (const std::string& name : shared.class_names) text += " " + in_column(name, width);
  } else {
    text += "  classes";
  }
  text += '\n';
  for (const std::size_t worker : choose_workers(shared)) {
    const std::vector<std::uint64_t>& counts = shared.counts[worker];
    text += fmt::format("{:>6} {:>9}", worker, total(counts));
    if (in_columns) {
      for (const std::uint64_t count : counts) {
        text += count > 0 ? fmt::format(" {:>{}}", count, width) : fmt::format(" {:>{}}", "-", width);
      }
    } else {
      text += "  " + list_classes(shared, counts);
    }
    text += '\n';
  }
  if (shared.counts.size() > most_workers) {
    text +=
        fmt::format("{} of {} workers are shown: those with the most examples and those with the fewest\n",
                    most_workers, shared.counts.size());
  }
  return text;
}

}  // namespace tardigrad
