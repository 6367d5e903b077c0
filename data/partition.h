#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "data/dataset.h"

namespace tardigrad::data {

/// Deals the examples at random.
struct Iid {
  bool operator==(const Iid&) const = default;
};

/// Gives each worker class proportions of its own, drawn from the symmetric Dirichlet distribution: a small
/// alpha gives it few classes, a large one all of them evenly.
struct Dirichlet {
  double alpha = 0;  ///< Above 0, finite.
  bool operator==(const Dirichlet&) const = default;
};

/// Gives each worker `per_worker` slices of the examples sorted by label.
struct Shards {
  int per_worker = 0;  ///< At least 1.
  bool operator==(const Shards&) const = default;
};

/// Gives every worker the examples that a file says are its own (formats/assignment.h).
struct Assigned {
  std::string file;
  bool operator==(const Assigned&) const = default;
};

/// Gives every worker the examples that the data say are its own (Dataset::owners).
struct AsOwned {
  bool operator==(const AsOwned&) const = default;
};

using PartitionSpec = std::variant<Iid, Dirichlet, Shards, Assigned, AsOwned>;

/// Reads "iid", "dirichlet:ALPHA", "shards:K", "file:ASSIGNMENT.csv" or "folders". Throws
/// std::invalid_argument saying what was expected.
PartitionSpec parse_partition(std::string_view text);

/// Spreads the examples (at most 2^32 - 1) over the workers: result[w] are worker w's, as ascending indices
/// into `labels`. Every example goes to exactly one worker. The result depends on the arguments only.
///
/// - Iid: sizes are equal up to one.
/// - Dirichlet: sizes are equal up to one. Worker after worker draws its proportions and fills its share
/// example by
///   example from the classes that are not yet used up, its proportions renormalised to those (Hsu, Qi, Brown
///   2019, "Measuring the effects of non-identical data distribution", section 3.1, with a uniform prior).
/// - Shards: n·k slices equal up to one in size, k of them to each worker at random (McMahan et al. 2017,
///   "Communication-efficient learning", section 3); the sizes of workers are equal up to k.
/// - Assigned: what the file says. AsOwned: what `owners` says, a worker for each example.
///
/// Throws std::invalid_argument for a label that is not below `classes`, less than one worker, fewer
/// examples than workers or slices, a file that does not give every worker some of these examples, and
/// every example to one of these workers, and where `owners` is empty or of other workers.
std::vector<std::vector<std::uint32_t>> partition(std::span<const Label> labels, int classes, int workers,
                                                  const PartitionSpec& spec, std::uint64_t seed,
                                                  std::span<const std::uint32_t> owners = {});

/// Names the worker that has most examples of a class, the first of equals.
struct ClassHolder {
  int worker = 0;
  double share = 0;  ///< Of the class's examples, in [0, 1]; 0 where it has none.
};

/// Finds for each class the worker that holds most of its examples; `parts` are as partition() gives them.
std::vector<ClassHolder> class_holders(const std::vector<std::vector<std::uint32_t>>& parts,
                                       std::span<const Label> labels, int classes);

}  // namespace tardigrad::data
