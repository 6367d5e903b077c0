#include "kernels/repack_tensors.h"

#include <cstdint>
#include <span>

#include "kernels/repack_tensors_math.h"
#include "kernels/require.h"

namespace tardigrad {
namespace {

template <typename Operation>
void check_all(const Operation& operation) {
  const RepackedTensors& all = operation.tensors;
  require<Operation>(operation.flat != nullptr, "flat is null");
  require<Operation>(operation.working != nullptr, "working is null");
  require<Operation>(all.count <= RepackedTensors::max_count, "more than 16 tensors");
  for (const RepackedTensor& tensor : std::span(all.tensors).first(all.count)) {
    require<Operation>(tensor.taps >= 1 && tensor.taps <= RepackedTensors::max_taps,
                       "taps of a tensor, expected 1 to 49");
    require<Operation>(tensor.inputs >= 1, "a tensor without inputs");
    require<Operation>(tensor.padded_inputs >= tensor.inputs,
                       "padded_inputs of a tensor, expected its inputs or more");
    require<Operation>((std::uint64_t{tensor.outputs} * tensor.inputs) >> 32 == 0,
                       "outputs times inputs of a tensor, expected less than 2^32");
  }
}

/// Calls visit(element of the flat vector, element of the working copy) for all elements of a tensor.
template <typename Flat, typename Number, typename Visit>
void visit_elements(const RepackedTensor& tensor, Flat* flat, Number* working, const Visit& visit) {
  flat += tensor.flat_offset;
  for (std::size_t output = 0; output < tensor.outputs; ++output) {
    for (std::size_t input = 0; input < tensor.inputs; ++input) {
      Number* const first = working + working_place(tensor, output, input);
      for (std::size_t tap = 0; tap < tensor.taps; ++tap) visit(*flat++, first[tap * tensor.padded_inputs]);
    }
  }
}

template <typename Number>
void clear_padding(const RepackedTensor& tensor, Number* working) {
  for (std::size_t row = 0; row < std::size_t{tensor.outputs} * tensor.taps; ++row) {
    for (std::size_t input = tensor.inputs; input < tensor.padded_inputs; ++input) {
      working[tensor.working_offset + row * tensor.padded_inputs + input] = Number{};
    }
  }
}

template <typename Number>
double bytes_of(const RepackedTensors& all, bool with_padding) {
  double bytes = 0;
  for (const RepackedTensor& tensor : std::span(all.tensors).first(all.count)) {
    const std::size_t working = with_padding ? tensor.working_size() : tensor.flat_size();
    bytes += static_cast<double>(tensor.flat_size() * sizeof(float) + working * sizeof(Number));
  }
  return bytes;
}

}  // namespace

template <typename Number>
void check(const PackParameters<Number>& pack) {
  check_all(pack);
}

template <typename Number>
void check(const UnpackGradients<Number>& unpack) {
  check_all(unpack);
}

template <typename Number>
void PackParameters<Number>::run() const {
  if (tensors.count == 0) return;
  check(*this);
  for (const RepackedTensor& tensor : std::span(tensors.tensors).first(tensors.count)) {
    visit_elements(tensor, flat, working, [](const float& from, Number& to) { to = nearest<Number>(from); });
    clear_padding(tensor, working);
  }
}

template <typename Number>
void UnpackGradients<Number>::run() const {
  if (tensors.count == 0) return;
  check(*this);
  for (const RepackedTensor& tensor : std::span(tensors.tensors).first(tensors.count)) {
    visit_elements(tensor, flat, working, [](float& to, const Number& from) { to = widen(from); });
  }
}

template <typename Number>
double PackParameters<Number>::bytes() const {
  return bytes_of<Number>(tensors, true);
}

template <typename Number>
double UnpackGradients<Number>::bytes() const {
  return bytes_of<Number>(tensors, false);
}

template struct PackParameters<float>;
template struct PackParameters<Bf16>;
template struct UnpackGradients<float>;
template struct UnpackGradients<Bf16>;
template void check(const PackParameters<float>&);
template void check(const PackParameters<Bf16>&);
template void check(const UnpackGradients<float>&);
template void check(const UnpackGradients<Bf16>&);

}  // namespace tardigrad
