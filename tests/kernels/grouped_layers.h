#pragma once

#include <cstddef>
#include <memory>
#include <ostream>
#include <vector>

#include "kernels/grouped_linear.h"
#include "tests/kernels/backend.h"

namespace tardigrad::testing {

struct LinearCase {
  std::size_t jobs, batch, inputs, outputs;
  std::size_t weight_at = 4;  ///< where in the flat vectors the weights begin

  std::size_t bias_at() const { return weight_at + inputs * outputs; }
  std::size_t dimension() const { return bias_at() + outputs + 2; }
  std::size_t input_size() const { return jobs * batch * inputs; }
  std::size_t output_size() const { return jobs * batch * outputs; }
};

inline std::ostream& operator<<(std::ostream& out, const LinearCase& linear) {
  return out << linear.jobs << " jobs, " << linear.batch << " examples, " << linear.inputs << " → "
             << linear.outputs << ", weights at " << linear.weight_at;
}

/// Parameters and gradients of the jobs of a group, each in memory of its own.
class VectorsOfJobs {
 public:
  /// Takes the parameters of job k from numbers(size, seed), with a seed of its own.
  template <typename Numbers>
  VectorsOfJobs(Backend backend, const LinearCase& of, const Numbers& numbers) : of_(of) {
    for (std::size_t k = 0; k < of.jobs; ++k) {
      values.push_back(numbers(of.dimension(), 10 + static_cast<unsigned>(k)));
      parameters.push_back(std::make_unique<Guarded<float>>(backend, values[k]));
      gradients.push_back(
          std::make_unique<Guarded<float>>(backend, std::vector<float>(of.dimension(), poison)));
    }
  }

  /// Returns an operation on them, without its other vectors.
  template <typename Operation>
  Operation make() const {
    Operation operation;
    operation.jobs = of_.jobs;
    operation.batch = of_.batch;
    operation.inputs = of_.inputs;
    operation.outputs = of_.outputs;
    operation.weight = of_.weight_at;
    operation.bias = of_.bias_at();
    for (std::size_t k = 0; k < of_.jobs; ++k) {
      operation.parameters[k] = parameters[k]->data();
      if constexpr (requires { operation.gradients; }) operation.gradients[k] = gradients[k]->data();
    }
    return operation;
  }

  std::vector<std::vector<float>> gradient_values() const {
    std::vector<std::vector<float>> all;
    for (const auto& gradient : gradients) all.push_back(gradient->values());
    return all;
  }

  std::vector<std::vector<float>> values;  ///< of the parameters
  std::vector<std::unique_ptr<Guarded<float>>> parameters, gradients;

 private:
  LinearCase of_;
};

}  // namespace tardigrad::testing
