#include "tools/data/describe_data.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>
#include <stdexcept>

#include "data/partition.h"
#include "runtime/base/say.h"
#include "tools/data/load_data.h"

namespace tardigrad {

SharedOutData count_classes(const data::Dataset& dataset,
                            const std::vector<std::vector<std::uint32_t>>& parts) {
  SharedOutData shared;
  const auto classes = static_cast<std::size_t>(dataset.classes);
  for (std::size_t label = 0; label < classes; ++label) {
    shared.class_names.push_back(dataset.class_name(label));
  }
  for (const std::vector<std::uint32_t>& part : parts) {
    std::vector<std::uint64_t>& counts = shared.counts.emplace_back(classes);
    for (const std::uint32_t example : part) ++counts[dataset.train.labels[example]];
  }
  return shared;
}

void describe_data(const TrainOptions& options, const std::string& page_file) {
  if (options.dataset.empty()) throw std::invalid_argument("data needs a --dataset");
  const data::Dataset dataset = load_dataset(options);
  const auto parts = data::partition(dataset.train.labels, dataset.classes, options.workers.value_or(1),
                                     data::parse_partition(options.partition), options.seed, dataset.owners);
  const SharedOutData shared = count_classes(dataset, parts);
  say(stdout, "{}", data_table(dataset, shared));
  if (page_file.empty()) return;
  const std::string title =
      fmt::format("{}, partition {}, seed {}", options.dataset, options.partition, options.seed);
  std::ofstream file(page_file, std::ios::binary);
  if (!(file << data_page(title, shared)) || !file.flush()) {
    throw std::invalid_argument(
        fmt::format("--output {}: cannot be written; expected a path for the page", page_file));
  }
}

}  // namespace tardigrad
