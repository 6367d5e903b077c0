#include "kernels/reorder_images_math.h"

namespace tardigrad {

template <typename Number>
void ReorderImages<Number>::run() const {
  if (shape.size() == 0) return;
  check(*this);
  const ImageMatrices images(shape);
  const Number* from = input;
  for (std::size_t n = 0; n < images.count; ++n) {
    Number* const to = output + n * shape.image_size();
    for (std::size_t row = 0; row < images.rows; ++row) {
      for (std::size_t column = 0; column < images.columns; ++column) {
        to[column * images.rows + row] = *from++;
      }
    }
  }
}

template <typename Number>
double ReorderImages<Number>::bytes() const {
  return static_cast<double>(2 * shape.size() * sizeof(Number));
}

template struct ReorderImages<float>;
template struct ReorderImages<Bf16>;

}  // namespace tardigrad
