// In the place of mpi/ in a build without MPI.

#include "runtime/ranks/mpi_job.h"

#include <stdexcept>

namespace tardigrad {

const bool built_with_mpi = false;

Transport& mpi_job() {
  throw std::invalid_argument(
      "--ranks mpi: this build has no MPI; expected one made where Open MPI or MPICH is found "
      "(tools/dependencies.sh mpi, -DTARDIGRAD_MPI=ON)");
}

void leave_mpi_job() {}

}  // namespace tardigrad
