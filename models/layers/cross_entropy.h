#pragma once

#include <cstdint>

namespace tardigrad::models {

struct CrossEntropy {
  double loss_sum = 0;       ///< Over the examples, in nats.
  std::int64_t correct = 0;  ///< Examples whose largest logit (the first of equals) is the label's.
};

namespace plain {

/// Softmax cross-entropy of logits [count, classes], labels [count] in [0, classes): the sum over the
/// examples of log Σ_k exp(logits[k]) - logits[label], summed in double, free of overflow for logits of any
/// size. Where `gradient` [count, classes] is not null (it may be the memory of `logits`), also the gradient
/// of the mean over the examples: (softmax - one-hot) / count. A NaN or +infinity logit makes the loss NaN.
template <class T>
CrossEntropy cross_entropy(int count, int classes, const T* logits, const std::int32_t* labels, T* gradient);

}  // namespace plain

}  // namespace tardigrad::models
