#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>

#include "models/cuda/blueprint/blueprint.h"
#include "models/cuda/layers/convolution_engines.h"
#include "models/cuda/layers/handles.h"

namespace tardigrad::models::cuda {

/// Holds what computes one direction, with what it needs: an algorithm of cuDNN's legacy interface, unless
/// there is an engine.
template <typename Algorithm>
struct AlgorithmChoice {
  Algorithm algorithm{};
  cudnnMathType_t math = CUDNN_FMA_MATH;
  std::size_t algorithm_workspace_bytes = 0;
  std::optional<ConvolutionEngine> engine = {};

  std::size_t workspace_bytes() const { return engine ? engine->workspace_bytes : algorithm_workspace_bytes; }
};

struct ConvolutionAlgorithms {
  AlgorithmChoice<cudnnConvolutionFwdAlgo_t> forward;
  AlgorithmChoice<cudnnConvolutionBwdDataAlgo_t> backward_data;  ///< Not chosen where it is not wanted.
  AlgorithmChoice<cudnnConvolutionBwdFilterAlgo_t> backward_weight;

  std::size_t workspace_bytes() const;
  bool has_engines() const { return forward.engine || backward_data.engine || backward_weight.engine; }
  void drop_engines();
};

/// Computes convolutions of a batch by cuDNN: the sums of layers/convolution.h without the bias, forward and
/// backward. Input, output and weights have the stage's format, channels last with the input channels
/// padded; all memory is aligned to 16 bytes. In fp32 and tf32 they are float; in bf16 they are bf16 with
/// sums in float.
class Convolution {
 public:
  Convolution(Device device, const ConvolutionStage& stage, int batch, Precision precision);

  /// Chooses, of the algorithms that cuDNN's heuristics name first, the fastest, as measured on the memory
  /// given, which is overwritten and may hold anything; or, for a deterministic search, the first. Throws
  /// DeviceError if there are none within the limit.
  ConvolutionAlgorithms choose(const Execution& execution, const Search& search, void* input, void* weight,
                               void* output) const;

  /// Adds the engines of cuDNN's graph interface that are faster than these algorithms of choose(), as
  /// measured on the same memory; none for a deterministic search. Where cuDNN has none for a direction, or
  /// refuses them all, there is no error. Throws DeviceError where the device no longer works after one.
  void add_engines(const Execution& execution, const Search& search, void* input, void* weight, void* output,
                   ConvolutionAlgorithms& algorithms) const;

  /// Takes algorithms, for use with the handle. It must be called before the following. Throws DeviceError
  /// where cuDNN has no such engine.
  void use(cudnnHandle_t cudnn, const ConvolutionAlgorithms& algorithms);

  void forward(const Execution& execution, const void* input, const void* weight, void* output) const;
  void backward_data(const Execution& execution, const void* weight, const void* output_gradient,
                     void* input_gradient) const;
  void backward_weight(const Execution& execution, const void* input, const void* output_gradient,
                       void* weight_gradient) const;

 private:
  using Tensor = Owned<cudnnTensorDescriptor_t, cudnnDestroyTensorDescriptor>;
  using Filter = Owned<cudnnFilterDescriptor_t, cudnnDestroyFilterDescriptor>;
  using Description = Owned<cudnnConvolutionDescriptor_t, cudnnDestroyConvolutionDescriptor>;

  /// Holds what algorithms are measured on.
  struct Probe {
    const Execution& execution;
    const Search& search;
    void* input;
    void* weight;
    void* output;

    std::size_t workspace_limit() const {
      return std::min(search.workspace_limit, execution.workspace_bytes);
    }
  };

  AlgorithmChoice<cudnnConvolutionFwdAlgo_t> choose_forward(const Probe& probe) const;
  AlgorithmChoice<cudnnConvolutionBwdDataAlgo_t> choose_backward_data(const Probe& probe) const;
  AlgorithmChoice<cudnnConvolutionBwdFilterAlgo_t> choose_backward_weight(const Probe& probe) const;
  template <typename Choice, typename Enqueue>
  void choose_engine(const Probe& probe, ConvolutionDirection direction, const Description& description,
                     Choice& choice, const Enqueue& enqueue) const;
  template <typename Results, typename Enqueue>
  auto fastest(const Results& results, const Probe& probe, const Description& description,
               const char* direction, const Enqueue& enqueue) const;

  cudnnStatus_t enqueue_forward(const Execution& execution, cudnnConvolutionFwdAlgo_t algorithm,
                                const void* input, const void* weight, void* output) const;
  cudnnStatus_t enqueue_backward_data(const Execution& execution, cudnnConvolutionBwdDataAlgo_t algorithm,
                                      const void* weight, const void* output_gradient,
                                      void* input_gradient) const;
  cudnnStatus_t enqueue_backward_weight(const Execution& execution, cudnnConvolutionBwdFilterAlgo_t algorithm,
                                        const void* input, const void* output_gradient,
                                        void* weight_gradient) const;

  Description describe(const models::Convolution& convolution) const;
  void set_stream(const Execution& execution) const;
  cudnnMathType_t allowed(cudnnMathType_t math) const;
  void set_math(const Description& description, cudnnMathType_t math) const;

  Device device_;
  ConvolutionStage stage_;
  int batch_;
  Precision precision_;
  Tensor input_;
  Tensor output_;
  Filter weight_;
  // One for each direction, since each has its own kind of arithmetic.
  Description forward_;
  Description backward_data_;
  Description backward_weight_;
  ConvolutionAlgorithms algorithms_;
  // Each is there where an engine computes its direction.
  std::optional<EnginePlan> forward_plan_;
  std::optional<EnginePlan> backward_data_plan_;
  std::optional<EnginePlan> backward_weight_plan_;
};

}  // namespace tardigrad::models::cuda
