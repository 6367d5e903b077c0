#include "kernels/elementwise_math.h"

namespace tardigrad {
namespace {

template <typename Operation>
void run_elementwise(const Operation& operation) {
  if (operation.size == 0) return;
  check_elementwise(operation);
  visit_elementwise(operation,
                    [&]<typename Number>(const auto& function, Number* output, const auto*... inputs) {
                      for (std::size_t i = 0; i < operation.size; ++i) {
                        output[i] = nearest<Number>(function(widen(inputs[i])...));
                      }
                    });
}

/// Of the vectors.
template <typename Operation>
double bytes_of(const Operation& operation) {
  double bytes = 0;
  visit_elementwise(operation, [&](const auto&, const auto*... vectors) {
    bytes = static_cast<double>(operation.size * (... + sizeof(*vectors)));
  });
  return bytes;
}

}  // namespace

template <typename Number>
void ReluForward<Number>::run() const {
  run_elementwise(*this);
}

template <typename Number>
double ReluForward<Number>::bytes() const {
  return bytes_of(*this);
}

template <typename Number>
void ReluBackward<Number>::run() const {
  run_elementwise(*this);
}

template <typename Number>
double ReluBackward<Number>::bytes() const {
  return bytes_of(*this);
}

template <typename Number>
void GeluForward<Number>::run() const {
  run_elementwise(*this);
}

template <typename Number>
double GeluForward<Number>::bytes() const {
  return bytes_of(*this);
}

template <typename Number>
void GeluBackward<Number>::run() const {
  run_elementwise(*this);
}

template <typename Number>
double GeluBackward<Number>::bytes() const {
  return bytes_of(*this);
}

template <typename Number>
void AddElements<Number>::run() const {
  run_elementwise(*this);
}

template <typename Number>
double AddElements<Number>::bytes() const {
  return bytes_of(*this);
}

template struct ReluForward<float>;
template struct ReluForward<Bf16>;
template struct ReluBackward<float>;
template struct ReluBackward<Bf16>;
template struct GeluForward<float>;
template struct GeluForward<Bf16>;
template struct GeluBackward<float>;
template struct GeluBackward<Bf16>;
template struct AddElements<float>;
template struct AddElements<Bf16>;

}  // namespace tardigrad
