#include "kernels/launch.cuh"
#include "kernels/reorder_images_math.h"

namespace tardigrad {
namespace {

/// A block transposes square tiles of this side, through shared memory, so that it reads and writes rows.
constexpr unsigned tile_side = 32;
constexpr unsigned tile_rows_at_once = threads_per_block / tile_side;

template <typename Number>
__global__ void __launch_bounds__(threads_per_block)
    transpose_kernel(ImageMatrices images, const Number* __restrict__ input, Number* __restrict__ output) {
  __shared__ Number tile[tile_side][tile_side + 1];  // one more, so that a column lies in different banks
  const std::size_t tiles_down = (images.rows + tile_side - 1) / tile_side;
  const std::size_t tiles_across = (images.columns + tile_side - 1) / tile_side;
  const std::size_t tiles = images.count * tiles_down * tiles_across;
  const unsigned across = threadIdx.x % tile_side;
  for (std::size_t t = blockIdx.x; t < tiles; t += gridDim.x) {
    const std::size_t image = t / (tiles_down * tiles_across) * images.rows * images.columns;
    const std::size_t first_row = t / tiles_across % tiles_down * tile_side;
    const std::size_t first_column = t % tiles_across * tile_side;
    for (unsigned down = threadIdx.x / tile_side; down < tile_side; down += tile_rows_at_once) {
      const std::size_t row = first_row + down;
      const std::size_t column = first_column + across;
      if (row < images.rows && column < images.columns) {
        tile[down][across] = input[image + row * images.columns + column];
      }
    }
    __syncthreads();
    for (unsigned down = threadIdx.x / tile_side; down < tile_side; down += tile_rows_at_once) {
      const std::size_t row = first_row + across;
      const std::size_t column = first_column + down;
      if (row < images.rows && column < images.columns) {
        output[image + column * images.rows + row] = tile[across][down];
      }
    }
    __syncthreads();  // before the next tile is read
  }
}

}  // namespace

template <typename Number>
void ReorderImages<Number>::launch(CudaStream stream) const {
  if (shape.size() == 0) return;
  check(*this);
  const ImageMatrices images(shape);
  const auto tiles = [](std::size_t size) { return (size + tile_side - 1) / tile_side; };
  launch_kernel(name, transpose_kernel<Number>, {images.count * tiles(images.rows) * tiles(images.columns)},
                stream, images, input, output);
}

template void ReorderImages<float>::launch(CudaStream) const;
template void ReorderImages<Bf16>::launch(CudaStream) const;

}  // namespace tardigrad
