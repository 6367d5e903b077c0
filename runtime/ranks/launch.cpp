#include <array>
#include <cstdlib>

#include "runtime/base/parse_number.h"
#include "runtime/ranks/mpi_job.h"

namespace tardigrad {
namespace {

/// The names under which a launcher gives a process its number and that of all.
struct Names {
  const char* rank;
  const char* size;
};

constexpr std::array<Names, 2> launchers{
    {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"}, {"PMI_RANK", "PMI_SIZE"}}};

std::optional<int> number_in(const char* name) {
  const char* const text = std::getenv(name);
  return text ? parse_number<int>(text) : std::nullopt;
}

}  // namespace

std::optional<Launch> launch_of_process() {
  for (const auto& [rank, size] : launchers) {
    const auto rank_here = number_in(rank);
    const auto ranks = number_in(size);
    if (rank_here && ranks) return Launch{*rank_here, *ranks};
  }
  return std::nullopt;
}

bool speaks_for_all_ranks() {
  const auto launch = launch_of_process();
  return !launch || launch->rank == 0;
}

}  // namespace tardigrad
