#pragma once

#include <optional>

#include "models/cuda/blueprint/blueprint.h"
#include "models/cuda/layers/matmul.h"

namespace tardigrad::models::cuda {

/// Computes a product with what follows it: by the product itself, or, where cuBLASLt has no kernel for that,
/// by a kernel of our own.
struct ProductAlgorithm {
  bool fused = true;
  MatmulAlgorithm matmul;
};

struct LinearAlgorithms {
  ProductAlgorithm forward;
  ProductAlgorithm backward_data;  ///< Not chosen where it is not wanted.
  ProductAlgorithm backward_weight;

  std::size_t workspace_bytes() const;
};

/// Holds the addresses of a linear layer's operands; those of parameters and gradients are as Parameter says.
struct LinearOperands {
  const void* weight = nullptr;
  const void* bias = nullptr;
  const void* input = nullptr;
  void* output = nullptr;
  void* output_gradient = nullptr;
  void* sums_gradient = nullptr;  ///< With respect to what a ReLU reads; without one, the output's.
  void* input_gradient = nullptr;
  void* weight_gradient = nullptr;
  void* bias_gradient = nullptr;
};

/// Computes a linear layer by cuBLASLt. Bias and ReLU go into the forward product, and the gradient of a bias
/// with no ReLU behind it goes into the product for the weights' gradient. A ReLU is differentiated by
/// BiasReluBackward: cuBLASLt could do it from a mask of bits, but an H100 gave wrong gradients there, by all
/// signs where the mask counts 0 as positive (cuda_relu_mask_test.cpp); the derivative at 0 is to be 0. So a
/// layer is one kernel forward, and two back or, with a ReLU, three.
class LinearLayer {
 public:
  LinearLayer(Device device, const LinearStage& stage, int batch, Precision precision);

  /// Chooses algorithms on the operands, which may hold anything and are overwritten. Throws DeviceError
  /// where cuBLASLt has no algorithm within the limit.
  LinearAlgorithms choose(const Execution& execution, const Search& search,
                          const LinearOperands& operands) const;

  /// Takes algorithms. It must be called before the following.
  void use(const LinearAlgorithms& algorithms);

  void forward(const Execution& execution, const LinearOperands& operands) const;

  // The way back. The first gives the others the gradient with respect to the sums, which may take the place
  // of the output; these may run at once, but where the gradient with respect to the input takes the place of
  // the input, that with respect to the weights comes first.
  void backward_relu(const Execution& execution, const LinearOperands& operands) const;
  void backward_weight(const Execution& execution, const LinearOperands& operands) const;
  /// Does nothing where the gradient with respect to the input is not wanted.
  void backward_data(const Execution& execution, const LinearOperands& operands) const;

 private:
  MatmulShape forward_shape() const;
  MatmulShape backward_data_shape() const;
  MatmulShape backward_weight_shape() const;
  Element gradient_element(const Parameter& parameter) const;
  ProductAlgorithm choose(const char* what, const MatmulShape& shape, const MatmulArguments& arguments,
                          const Execution& execution, const Search& search) const;
  Matmul make(MatmulShape shape, const ProductAlgorithm& algorithm) const;

  template <typename Number>
  void add_bias(const Execution& execution, const LinearOperands& operands) const;
  /// Differentiates the ReLU, if there is one, and sums the bias gradient.
  void backward_bias_relu(const Execution& execution, const LinearOperands& operands) const;

  Device device_;
  LinearStage stage_;
  int batch_;
  Precision precision_;
  LinearAlgorithms algorithms_;
  std::optional<Matmul> forward_;
  std::optional<Matmul> backward_data_;
  std::optional<Matmul> backward_weight_;
};

}  // namespace tardigrad::models::cuda
