#include "models/layers/cross_entropy.h"

#include <algorithm>
#include <cmath>

namespace tardigrad::models::plain {

template <typename T>
double cross_entropy(int count, int classes, const T* logits, const std::int32_t* labels, T* gradient,
                     std::uint8_t* hits) {
  double loss_sum = 0;
  for (int n = 0; n < count; ++n, logits += classes) {
    const std::int32_t label = labels[n];
    const T* largest = std::max_element(logits, logits + classes);
    // Shifted by the largest logit, no exponential overflows and the sum is at least 1.
    const T shift = *largest;
    const T label_logit = logits[label] - shift;
    if (hits) hits[n] = largest - logits == label ? 1 : 0;
    double sum = 0;
    for (int k = 0; k < classes; ++k) {
      const T exponential = std::exp(logits[k] - shift);
      sum += static_cast<double>(exponential);
      if (gradient) gradient[k] = exponential;
    }
    loss_sum += std::log(sum) - static_cast<double>(label_logit);
    if (gradient) {
      const T scale = static_cast<T>(1 / (sum * count));
      for (int k = 0; k < classes; ++k) gradient[k] *= scale;
      gradient[label] -= T{1} / static_cast<T>(count);
      gradient += classes;
    }
  }
  return loss_sum;
}

template double cross_entropy(int, int, const float*, const std::int32_t*, float*, std::uint8_t*);
template double cross_entropy(int, int, const double*, const std::int32_t*, double*, std::uint8_t*);

}  // namespace tardigrad::models::plain
