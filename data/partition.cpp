#include "data/partition.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "data/formats/assignment.h"
#include "data/formats/number_text.h"
#include "kernels/random.h"

namespace tardigrad::data {
namespace {

using Indices = std::vector<std::uint32_t>;

/// Part `part` of `parts` contiguous ones whose sizes are equal up to one.
std::span<const std::uint32_t> slice(const Indices& indices, std::size_t part, std::size_t parts) {
  const std::size_t begin = indices.size() * part / parts;
  const std::size_t end = indices.size() * (part + 1) / parts;
  return std::span(indices).subspan(begin, end - begin);
}

Indices count_up(std::size_t size) {
  Indices indices(size);
  std::iota(indices.begin(), indices.end(), 0U);
  return indices;
}

/// The examples of each class, ascending.
std::vector<Indices> group_by_class(std::span<const Label> labels, int classes) {
  std::vector<Indices> groups(static_cast<std::size_t>(classes));
  for (std::uint32_t example = 0; example < labels.size(); ++example) {
    groups[labels[example]].push_back(example);
  }
  return groups;
}

/// Takes examples from the classes in a worker's proportions for as long as they last.
class ClassPools {
 public:
  ClassPools(std::span<const Label> labels, int classes, Random& random)
      : random_(random), pools_(group_by_class(labels, classes)), weights_(pools_.size()) {
    for (Indices& pool : pools_) random_.shuffle(std::span(pool));
  }

  /// Takes `size` examples with class proportions drawn from Dirichlet(alpha).
  Indices take(std::size_t size, double alpha) {
    std::vector<double> log_proportions(pools_.size());
    for (double& value : log_proportions) value = random_.log_gamma_variate(alpha);
    renormalise(log_proportions);
    Indices taken;
    taken.reserve(size);
    while (taken.size() < size) {
      Indices& pool = pools_[draw_class()];
      taken.push_back(pool.back());
      pool.pop_back();
      if (pool.empty()) renormalise(log_proportions);
    }
    return taken;
  }

 private:
  /// Scales so that the largest weight is 1, whatever the exponents: a small alpha gives proportions that all
  /// underflow but one, and that one may be the class that has run out.
  void renormalise(const std::vector<double>& log_proportions) {
    double largest = -std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < pools_.size(); ++c) {
      if (!pools_[c].empty()) largest = std::max(largest, log_proportions[c]);
    }
    for (std::size_t c = 0; c < pools_.size(); ++c) {
      weights_[c] = pools_[c].empty() ? 0 : std::exp(log_proportions[c] - largest);
    }
    total_ = std::accumulate(weights_.begin(), weights_.end(), 0.0);
  }

  std::size_t draw_class() {
    double left = random_.uniform() * total_;
    std::size_t drawn = 0;
    for (std::size_t c = 0; c < weights_.size(); ++c) {
      if (weights_[c] == 0) continue;
      drawn = c;  // Stays the last class with weight should rounding leave something over.
      left -= weights_[c];
      if (left < 0) break;
    }
    return drawn;
  }

  Random& random_;
  std::vector<Indices> pools_;
  std::vector<double> weights_;  ///< Of the classes, 0 for those used up.
  double total_ = 0;
};

struct Partitioner {
  std::span<const Label> labels;
  int classes;
  std::size_t workers;
  Random random;
  std::span<const std::uint32_t> owners;

  std::vector<Indices> operator()(const Iid&) {
    Indices order = count_up(labels.size());
    random.shuffle(std::span(order));
    std::vector<Indices> result(workers);
    for (std::size_t worker = 0; worker < workers; ++worker) {
      const auto own = slice(order, worker, workers);
      result[worker].assign(own.begin(), own.end());
    }
    return result;
  }

  std::vector<Indices> operator()(const Dirichlet& dirichlet) {
    // Below this alpha the logarithms would overflow; proportions are 1 and zeros long before.
    const double alpha = std::max(dirichlet.alpha, 1e-300);
    ClassPools pools(labels, classes, random);
    std::vector<Indices> result(workers);
    for (std::size_t worker = 0; worker < workers; ++worker) {
      const std::size_t size = labels.size() * (worker + 1) / workers - labels.size() * worker / workers;
      result[worker] = pools.take(size, alpha);
    }
    return result;
  }

  std::vector<Indices> operator()(const Shards& shards) {
    const auto per_worker = static_cast<std::size_t>(shards.per_worker);
    const std::size_t slices = workers * per_worker;
    if (labels.size() < slices) {
      throw std::invalid_argument(
          fmt::format("partition shards:{}: {} workers need {} slices, expected at most {}, "
                      "the number of training examples",
                      per_worker, workers, slices, labels.size()));
    }
    Indices by_label;
    for (const Indices& group : group_by_class(labels, classes)) {
      by_label.insert(by_label.end(), group.begin(), group.end());
    }
    Indices deal = count_up(slices);
    random.shuffle(std::span(deal));
    std::vector<Indices> result(workers);
    for (std::size_t at = 0; at < slices; ++at) {
      std::ranges::copy(slice(by_label, deal[at], slices), std::back_inserter(result[at / per_worker]));
    }
    return result;
  }

  std::vector<Indices> operator()(const Assigned& assigned) {
    return shares_of(read_assignment(assigned.file, labels.size(), workers));
  }

  std::vector<Indices> operator()(const AsOwned&) {
    if (owners.empty()) {
      throw std::invalid_argument(
          "partition folders: the data do not say which worker has what, expected folders worker_0/, "
          "worker_1/, …");
    }
    const std::size_t there = *std::ranges::max_element(owners) + std::size_t{1};
    if (there != workers) {
      throw std::invalid_argument(
          fmt::format("partition folders: {} workers, expected {} as there are folders", workers, there));
    }
    return shares_of(owners);
  }

  std::vector<Indices> shares_of(std::span<const std::uint32_t> owner_of_each) const {
    std::vector<Indices> result(workers);
    for (std::uint32_t example = 0; example < owner_of_each.size(); ++example) {
      result[owner_of_each[example]].push_back(example);
    }
    return result;
  }
};

void check(std::span<const Label> labels, int classes, int workers) {
  if (workers < 1) throw std::invalid_argument(fmt::format("{} workers, expected at least 1", workers));
  if (labels.size() < static_cast<std::size_t>(workers)) {
    throw std::invalid_argument(fmt::format(
        "{} workers, expected at most {}, the number of training examples", workers, labels.size()));
  }
  const Label largest = *std::ranges::max_element(labels);
  if (largest >= classes) {
    throw std::invalid_argument(fmt::format("label {} to partition, expected 0 to {}", largest, classes - 1));
  }
}

}  // namespace

PartitionSpec parse_partition(std::string_view text) {
  constexpr std::string_view dirichlet = "dirichlet:";
  constexpr std::string_view shards = "shards:";
  constexpr std::string_view file = "file:";
  if (text == "iid") return Iid{};
  if (text == "folders") return AsOwned{};
  if (text.starts_with(dirichlet)) {
    const auto alpha = parse_number<double>(text.substr(dirichlet.size()));
    if (alpha && std::isfinite(*alpha) && *alpha > 0) return Dirichlet{*alpha};
  } else if (text.starts_with(shards)) {
    const auto per_worker = parse_number<int>(text.substr(shards.size()));
    if (per_worker && *per_worker >= 1) return Shards{*per_worker};
  } else if (text.starts_with(file) && text.size() > file.size()) {
    return Assigned{std::string(text.substr(file.size()))};
  }
  throw std::invalid_argument(
      fmt::format("partition '{}': expected iid, dirichlet:ALPHA (a finite number above 0) or "
                  "shards:K (an integer of at least 1), file:ASSIGNMENT.csv or folders",
                  text));
}

std::vector<Indices> partition(std::span<const Label> labels, int classes, int workers,
                               const PartitionSpec& spec, std::uint64_t seed,
                               std::span<const std::uint32_t> owners) {
  check(labels, classes, workers);
  auto result = std::visit(Partitioner{.labels = labels,
                                       .classes = classes,
                                       .workers = static_cast<std::size_t>(workers),
                                       .random = Random(seed, Purpose::partition),
                                       .owners = owners},
                           spec);
  for (Indices& examples : result) std::ranges::sort(examples);
  return result;
}

std::vector<ClassHolder> class_holders(const std::vector<Indices>& parts, std::span<const Label> labels,
                                       int classes) {
  std::vector<std::size_t> examples(static_cast<std::size_t>(classes));
  for (const Label label : labels) ++examples[label];
  std::vector<ClassHolder> holders(examples.size());
  for (std::size_t worker = 0; worker < parts.size(); ++worker) {
    std::vector<std::size_t> own(examples.size());
    for (const std::uint32_t example : parts[worker]) ++own[labels[example]];
    for (std::size_t c = 0; c < own.size(); ++c) {
      if (own[c] == 0) continue;
      const double share = static_cast<double>(own[c]) / static_cast<double>(examples[c]);
      if (share > holders[c].share) holders[c] = {static_cast<int>(worker), share};
    }
  }
  return holders;
}

}  // namespace tardigrad::data
