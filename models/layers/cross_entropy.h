#pragma once

#include <cstdint>

namespace tardigrad::models::plain {

/// Computes the softmax cross-entropy of logits [count, classes], labels [count] in [0, classes): the sum
/// over the examples of log Σ_k exp(logits[k]) - logits[label], in nats, summed in double, free of overflow
/// for logits of any size. Where `gradient` [count, classes] is not null (it may be the memory of `logits`),
/// it also writes the gradient of the mean over the examples: (softmax - one-hot) / count. Where `hits`
/// [count] is not null, it also writes whether the largest logit (the first of equals) is the label's: 1, or
/// 0. A NaN or +infinity logit makes the loss NaN.
template <typename T>
double cross_entropy(int count, int classes, const T* logits, const std::int32_t* labels, T* gradient,
                     std::uint8_t* hits = nullptr);

}  // namespace tardigrad::models::plain
