#pragma once

namespace tardigrad {

/// How a worker uses the model it is handed.
struct JobOptions {
  int local_steps = 1;  ///< Q ≥ 1: the gradient of a job is that summed over Q steps of SGD (FedBuff)
  double local_lr = 0;  ///< of those steps, > 0 where there are several
};

}  // namespace tardigrad
