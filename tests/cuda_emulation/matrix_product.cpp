#include "tests/cuda_emulation/matrix_product.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace tardigrad::emulation {
namespace {

constexpr std::size_t lanes = 16;
constexpr std::size_t panel_columns = 2 * lanes;
constexpr std::size_t block_rows = 8;  // 8 × 2 sums and 2 columns of b fill the vector registers of AVX-512

// The compiler splits it where the machine's registers are smaller.
using Lanes [[gnu::vector_size(lanes * sizeof(float))]] = float;

/// c += a·panel for `Rows` rows and up to `panel_columns` columns; the panel is depth × panel_columns,
/// packed.
template <std::size_t Rows>
void add_block(std::size_t depth, MatrixView a, const float* panel, float* c, std::size_t c_stride,
               std::size_t columns) {
  Lanes sums[Rows][2] = {};
  for (std::size_t k = 0; k < depth; ++k) {
    Lanes b[2];
    std::memcpy(b, panel + k * panel_columns, sizeof b);
    for (std::size_t i = 0; i < Rows; ++i) {
      const float value = a.data[i * a.row_stride + k * a.column_stride];
      sums[i][0] += value * b[0];
      sums[i][1] += value * b[1];
    }
  }
#pragma GCC unroll 8  // else the sums are kept in memory throughout
  for (std::size_t i = 0; i < Rows; ++i) {
    float row[panel_columns];
    std::memcpy(row, sums[i], sizeof row);
    for (std::size_t j = 0; j < columns; ++j) c[i * c_stride + j] += row[j];
  }
}

/// The depth × columns numbers at b, side by side, with zeros up to panel_columns.
void pack_panel(std::size_t depth, std::size_t columns, MatrixView b, float* panel) {
  for (std::size_t k = 0; k < depth; ++k) {
    float* row = panel + k * panel_columns;
    for (std::size_t j = 0; j < columns; ++j) row[j] = b.data[k * b.row_stride + j * b.column_stride];
    std::fill(row + columns, row + panel_columns, 0.0F);
  }
}

void add_part(std::size_t rows, std::size_t columns, std::size_t depth, MatrixView a, MatrixView b, float* c,
              std::size_t c_stride) {
  thread_local std::vector<float> panel;
  panel.resize(depth * panel_columns);
  for (std::size_t j = 0; j < columns; j += panel_columns) {
    const std::size_t width = std::min(panel_columns, columns - j);
    pack_panel(depth, width, {b.data + j * b.column_stride, b.row_stride, b.column_stride}, panel.data());
    std::size_t i = 0;
    const auto block = [&](auto add, std::size_t count) {
      add(depth, MatrixView{a.data + i * a.row_stride, a.row_stride, a.column_stride}, panel.data(),
          c + i * c_stride + j, c_stride, width);
      i += count;
    };
    while (i + block_rows <= rows) block(add_block<block_rows>, block_rows);
    while (i < rows) block(add_block<1>, 1);
  }
}

}  // namespace

void add_product(std::size_t rows, std::size_t columns, std::size_t depth, MatrixView a, MatrixView b,
                 float* c, std::size_t c_stride, Parts parts) {
  for (std::size_t turn = 0; turn < parts.count; ++turn) {
    const std::size_t part = (parts.first + turn) % parts.count;
    const std::size_t begin = depth * part / parts.count;
    const std::size_t end = depth * (part + 1) / parts.count;
    if (begin == end) continue;
    add_part(rows, columns, end - begin, {a.data + begin * a.column_stride, a.row_stride, a.column_stride},
             {b.data + begin * b.row_stride, b.row_stride, b.column_stride}, c, c_stride);
  }
}

}  // namespace tardigrad::emulation
