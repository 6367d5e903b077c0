#pragma once

#include <optional>

#include "runtime/ranks/transport.h"

namespace tardigrad {

/// Says which of the processes this is that a launcher of MPI (mpirun, mpiexec, srun) has started together.
struct Launch {
  int rank = 0;
  int size = 1;
};

/// Returns what Open MPI or MPICH has told this process by its environment; nothing where it was started by
/// itself. It asks no MPI, and is the same however the program was built.
std::optional<Launch> launch_of_process();

/// Tells whether this process speaks for all that were started together: it is rank 0, or alone.
bool speaks_for_all_ranks();

/// Tells whether this build has an MPI.
extern const bool built_with_mpi;

/// Returns the transport between all ranks of the job that this process is in. The first call joins the job,
/// and waits for all others to do so. Throws std::invalid_argument in a build without MPI.
Transport& mpi_job();

/// Leaves the job, if mpi_job() has joined it, with all others; nothing may be on its way any more. A process
/// that ends otherwise ends the job.
void leave_mpi_job();

}  // namespace tardigrad
