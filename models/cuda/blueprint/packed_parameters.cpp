#include "models/cuda/blueprint/packed_parameters.h"

namespace tardigrad::models::cuda {
namespace {

constexpr std::size_t tensor_alignment = 256;  // elements

/// Whether what begins there in a flat vector can be given to a library.
bool lies_well(std::size_t offset) { return offset * sizeof(float) % library_alignment == 0; }

RepackedTensor matrix(std::size_t offset, int rows, int columns) {
  RepackedTensor tensor;
  tensor.flat_offset = offset;
  tensor.outputs = static_cast<std::uint32_t>(rows);
  tensor.inputs = tensor.padded_inputs = static_cast<std::uint32_t>(columns);
  return tensor;
}

/// Returns where it begins in the working copy, which grows by it.
std::size_t pack(std::vector<RepackedTensors>& launches, std::size_t& size, RepackedTensor tensor) {
  if (launches.empty() || launches.back().count == RepackedTensors::max_count) launches.emplace_back();
  tensor.working_offset = size;
  launches.back().tensors[launches.back().count++] = tensor;
  size = round_up(size + tensor.working_size(), tensor_alignment);
  return tensor.working_offset;
}

}  // namespace

Parameter PackedParameters::convolution_weight(const models::Convolution& convolution, int input_channels,
                                               MemoryFormat format) {
  const bool is_padded = input_channels != convolution.in_channels;
  const int taps = convolution.kernel * convolution.kernel;
  RepackedTensor weight =
      matrix(convolution.weight_offset, convolution.out_channels, convolution.group_inputs());
  if (is_padded) weight.padded_inputs = static_cast<std::uint32_t>(input_channels);
  // Channel-major, or with one tap, the elements keep their order.
  const bool keeps_order = !is_padded && (format == MemoryFormat::channel_major || taps == 1);
  if (keeps_order) {
    weight.inputs *= static_cast<std::uint32_t>(taps);
    weight.padded_inputs = weight.inputs;
  } else {
    weight.taps = static_cast<std::uint32_t>(taps);
  }
  const bool in_place = keeps_order && plan_.element == Element::f32 && lies_well(convolution.weight_offset);
  return parameter(weight, in_place, in_place);
}

Parameter PackedParameters::linear_weight(const Linear& linear) {
  return linear_parameter(linear, matrix(linear.weight_offset, linear.outputs, linear.inputs));
}

Parameter PackedParameters::linear_bias(const Linear& linear) {
  return linear_parameter(linear, matrix(linear.bias_offset, linear.outputs, 1));
}

/// Products of bf16 can be written in fp32, so gradients need no repacking.
Parameter PackedParameters::linear_parameter(const Linear& linear, const RepackedTensor& tensor) {
  const bool in_place = lies_well(linear.weight_offset) && lies_well(linear.bias_offset);
  return parameter(tensor, in_place && plan_.element == Element::f32, in_place);
}

Parameter PackedParameters::parameter(const RepackedTensor& tensor, bool value_in_place,
                                      bool gradient_in_place) {
  Parameter result;
  result.flat = tensor.flat_offset;
  if (!value_in_place) result.packed = pack(plan_.packed, packed_size_, tensor);
  if (!gradient_in_place) {
    result.packed_gradient = pack(plan_.packed_gradients, packed_gradient_size_, tensor);
  }
  return result;
}

void PackedParameters::place(BlueprintMemory& memory) {
  plan_.working = memory.take(packed_size_ * size_of(plan_.element));
  plan_.working_gradients = memory.take(packed_gradient_size_ * size_of(plan_.element));
}

}  // namespace tardigrad::models::cuda
