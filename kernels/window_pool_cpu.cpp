#include "kernels/window_pool_math.h"

namespace tardigrad {
namespace {

template <typename Operation>
void run_pool(const Operation& pool) {
  const std::size_t elements = elements_of(pool);
  if (elements == 0) return;
  check_pool(pool);
  const WindowPlan plan(pool.shape);
  for (std::size_t place = 0; place < elements; ++place) pool_element(plan, pool, place);
}

/// Of both images.
double elements_moved(const WindowShape& shape) {
  return static_cast<double>(shape.input_size() + shape.output_size());
}

double window_elements(const WindowShape& shape) {
  return static_cast<double>(shape.output_size()) * shape.window_height * shape.window_width;
}

}  // namespace

template <typename Number>
void MaxPoolForward<Number>::run() const {
  run_pool(*this);
}

template <typename Number>
double MaxPoolForward<Number>::bytes() const {
  return elements_moved(shape) * sizeof(Number) + static_cast<double>(shape.output_size() * sizeof(*winners));
}

template <typename Number>
double MaxPoolForward<Number>::flops() const {
  return window_elements(shape);
}

template <typename Number>
void MaxPoolBackward<Number>::run() const {
  run_pool(*this);
}

template <typename Number>
double MaxPoolBackward<Number>::bytes() const {
  return elements_moved(shape) * sizeof(Number) + static_cast<double>(shape.output_size() * sizeof(*winners));
}

template <typename Number>
double MaxPoolBackward<Number>::flops() const {
  return static_cast<double>(shape.output_size());
}

template <typename Number>
void AvgPoolForward<Number>::run() const {
  run_pool(*this);
}

template <typename Number>
double AvgPoolForward<Number>::bytes() const {
  return elements_moved(shape) * sizeof(Number);
}

template <typename Number>
double AvgPoolForward<Number>::flops() const {
  return window_elements(shape);
}

template <typename Number>
void AvgPoolBackward<Number>::run() const {
  run_pool(*this);
}

template <typename Number>
double AvgPoolBackward<Number>::bytes() const {
  return elements_moved(shape) * sizeof(Number);
}

template <typename Number>
double AvgPoolBackward<Number>::flops() const {
  return window_elements(shape);
}

template struct MaxPoolForward<float>;
template struct MaxPoolForward<Bf16>;
template struct MaxPoolBackward<float>;
template struct MaxPoolBackward<Bf16>;
template struct AvgPoolForward<float>;
template struct AvgPoolForward<Bf16>;
template struct AvgPoolBackward<float>;
template struct AvgPoolBackward<Bf16>;

}  // namespace tardigrad
