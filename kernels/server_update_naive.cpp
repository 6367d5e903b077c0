#include "kernels/server_update_naive.h"

#include <cstring>

#include "kernels/server_update_naive_passes.h"

namespace tardigrad {
namespace {

struct CpuPasses {
  std::size_t dimension;

  void copy(float* to, const float* from) const { std::memcpy(to, from, dimension * sizeof(float)); }

  void subtract(float* __restrict to, const float* __restrict a, const float* __restrict b) const {
    for (std::size_t i = 0; i < dimension; ++i) to[i] = a[i] - b[i];
  }

  void scale(float* __restrict to, float a, const float* __restrict from) const {
    for (std::size_t i = 0; i < dimension; ++i) to[i] = a * from[i];
  }

  void axpy(float* __restrict to, float a, const float* __restrict from) const {
    for (std::size_t i = 0; i < dimension; ++i) to[i] = multiply_add(a, from[i], to[i]);
  }
};

}  // namespace

void run_naive(const ServerUpdate& update, float* scratch) {
  if (update.dimension == 0) return;
  check(update);
  naive_update(update, scratch, CpuPasses{update.dimension});
}

}  // namespace tardigrad
