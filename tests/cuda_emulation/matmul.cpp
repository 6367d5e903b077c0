// The arithmetic of cublasLtMatmul(): the product in fp32, then the epilogue.
#include "tests/cuda_emulation/matmul.h"

#include <algorithm>

#include "tests/cuda_emulation/matrix_product.h"

namespace tardigrad::emulation {
namespace {

using Size = std::size_t;

/// op(matrix) in fp32.
class Operator {
 public:
  Operator(const MatrixLayout& layout, int transpose, const void* data, bool as_tf32) {
    if (layout.format() != Format::fp32 || as_tf32) {
      values_.resize(layout.bytes() / bytes_of(layout.format()));
      for (Size i = 0; i < values_.size(); ++i) {
        const float value = load(layout.format(), data, i);
        values_[i] = as_tf32 ? round_to_tf32(value) : value;
      }
      data = values_.data();
    }
    view_ = {static_cast<const float*>(data), layout.row_stride(), layout.column_stride()};
    if (transpose != CUBLAS_OP_N) view_ = transposed();
  }

  MatrixView transposed() const { return {view_.data, view_.column_stride, view_.row_stride}; }

  float at(Size row, Size column) const {
    return view_.data[row * view_.row_stride + column * view_.column_stride];
  }

 private:
  std::vector<float> values_;
  MatrixView view_;
};

/// The bit-mask of ReLU: a bit an element, columns aux_ld bits apart.
struct Mask {
  std::uint8_t* bits;
  Size ld;

  bool get(Size row, Size column) const {
    const Size at = column * ld + row;
    return (bits[at / 8] >> (at % 8) & 1) != 0;
  }
  void set(Size row, Size column, bool value) const {
    const Size at = column * ld + row;
    const auto bit = static_cast<std::uint8_t>(1U << (at % 8));
    bits[at / 8] = static_cast<std::uint8_t>(value ? bits[at / 8] | bit : bits[at / 8] & ~bit);
  }
};

/// D from the product, m × n with contiguous columns.
void apply_epilogue(const Matmul& p, const float* product) {
  const float alpha = p.alpha_on_device ? *p.alpha_on_device : p.alpha;
  const float beta = p.beta_on_device ? *p.beta_on_device : p.beta;
  const Format format = p.d_layout.format();
  const Mask mask{static_cast<std::uint8_t*>(p.how.aux), static_cast<Size>(p.how.aux_ld)};
  std::vector<float> row_sums(p.rows());
  for (Size j = 0; j < p.columns(); ++j) {
    for (Size i = 0; i < p.rows(); ++i) {
      const auto at = [&](const MatrixLayout& layout) {
        return i * layout.row_stride() + j * layout.column_stride();
      };
      float value = alpha * product[j * p.rows() + i];
      if (beta != 0) value += beta * load(format, p.c, at(p.c_layout));
      if (p.reads_bias()) value += load(format, p.how.bias, i);
      if (p.has(CUBLASLT_EPILOGUE_RELU)) {
        if (p.writes_mask()) mask.set(i, j, value >= 0);
        value = value > 0 ? value : 0;  // NaN becomes 0, as in cuBLASLt
      }
      if (p.reads_mask() && !mask.get(i, j)) value = 0;
      store(format, p.d, at(p.d_layout), value);
      row_sums[i] += value;
    }
  }
  if (p.how.epilogue == CUBLASLT_EPILOGUE_DRELU_BGRAD) {
    for (Size i = 0; i < p.rows(); ++i) store(format, p.how.bias, i, row_sums[i]);
  }
}

/// The bias gradients that are sums over the inner dimension, of A's rows or of B's columns.
void sum_operand(const Matmul& p, const Operator& a, const Operator& b) {
  const bool of_a = p.has(CUBLASLT_EPILOGUE_BGRADA);
  for (Size i = 0; i < p.bias_length(); ++i) {
    float sum = 0;
    for (Size k = 0; k < p.depth(); ++k) sum += of_a ? a.at(i, k) : b.at(k, i);
    store(p.d_layout.format(), p.how.bias, i, sum);
  }
}

}  // namespace

std::size_t workspace_bytes(const Matmul& p, const MatmulAlgorithm& algorithm) {
  if (algorithm.splits == 1) return 0;
  return static_cast<Size>(algorithm.splits) * p.rows() * p.columns() * sizeof(float);
}

std::vector<Operand> operands(const Matmul& p, std::size_t workspace_needed) {
  std::vector<Operand> result{
      {"A", p.a, p.a_layout.bytes()}, {"B", p.b, p.b_layout.bytes()}, {"D", p.d, p.d_layout.bytes()}};
  if (p.beta_on_device || p.beta != 0) result.push_back({"C", p.c, p.c_layout.bytes()});
  if (p.alpha_on_device) result.push_back({"alpha", p.alpha_on_device, sizeof(float)});
  if (p.beta_on_device) result.push_back({"beta", p.beta_on_device, sizeof(float)});
  if (p.uses_bias()) result.push_back({"bias", p.how.bias, p.bias_length() * bytes_of(p.d_layout.format())});
  if (p.uses_mask()) result.push_back({"aux", p.how.aux, p.columns() * static_cast<Size>(p.how.aux_ld) / 8});
  if (workspace_needed > 0) result.push_back({"workspace", p.workspace, workspace_needed});
  return result;
}

void compute(const Matmul& p, const MatmulAlgorithm& algorithm) {
  const bool as_tf32 = p.how.compute_type == CUBLAS_COMPUTE_32F_FAST_TF32;
  const Operator a(p.a_layout, p.how.transpose_a, p.a, as_tf32);
  const Operator b(p.b_layout, p.how.transpose_b, p.b, as_tf32);
  std::vector<float> own;
  float* product = nullptr;
  const Size elements = p.rows() * p.columns();
  if (const Size bytes = workspace_bytes(p, algorithm); bytes > 0) {
    // At its end, so that a workspace which is too small is overrun.
    product = static_cast<float*>(p.workspace) + bytes / sizeof(float) - elements;
    std::fill_n(product, elements, 0.0F);
  } else {
    own.resize(elements);
    product = own.data();
  }
  // Columns of D are the rows of its transpose, op(B)ᵀ·op(A)ᵀ.
  add_product(p.columns(), p.rows(), p.depth(), b.transposed(), a.transposed(), product, p.rows(),
              {.count = static_cast<Size>(algorithm.splits)});
  apply_epilogue(p, product);
  if (p.has(CUBLASLT_EPILOGUE_BGRADA | CUBLASLT_EPILOGUE_BGRADB)) sum_operand(p, a, b);
}

}  // namespace tardigrad::emulation
