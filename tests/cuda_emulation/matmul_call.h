#pragma once

/// Calls of cublasLtMatmul(), for its tests.

#include <cublasLt.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/cuda_emulation/device_array.h"

namespace tardigrad::emulation {

struct Shape {
  std::size_t m, n, k;
};

struct CublasLt {
  cublasLtHandle_t handle = nullptr;
  CublasLt() { EXPECT_EQ(cublasLtCreate(&handle), CUBLAS_STATUS_SUCCESS); }
  ~CublasLt() { cublasLtDestroy(handle); }
  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;
};

/// Column-major, rows × columns, `ld` elements from column to column; the gaps hold 7.
struct Matrix {
  std::size_t rows, columns, ld;
  std::vector<float> values;
  DeviceArray device;
  cublasLtMatrixLayout_t layout = nullptr;

  Matrix(Format format, std::size_t rows_, std::size_t columns_, unsigned seed, std::size_t gap = 0,
         std::vector<float> (*numbers)(std::size_t, unsigned) = small_numbers)
      : rows(rows_),
        columns(columns_),
        ld(rows_ + gap),
        values(with_gaps(numbers(rows_ * columns_, seed), rows_, columns_, ld)),
        device(format, values) {
    const auto type = format == Format::fp32 ? CUDA_R_32F : CUDA_R_16BF;
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&layout, type, rows, columns, static_cast<std::int64_t>(ld)),
              CUBLAS_STATUS_SUCCESS);
    for (float& value : values) value = stored(format, value);
  }
  ~Matrix() { cublasLtMatrixLayoutDestroy(layout); }
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;

  double at(std::size_t i, std::size_t j) const { return static_cast<double>(values[j * ld + i]); }
  void download() { values = device.values(); }

 private:
  static std::vector<float> with_gaps(const std::vector<float>& packed, std::size_t rows, std::size_t columns,
                                      std::size_t ld) {
    std::vector<float> result(columns * ld, 7);
    for (std::size_t j = 0; j < columns; ++j) {
      for (std::size_t i = 0; i < rows; ++i) result[j * ld + i] = packed[j * rows + i];
    }
    return result;
  }
};

/// A call of cublasLtMatmul() with its operands.
struct Call {
  CublasLt handle;
  Stream stream;
  cublasLtMatmulDesc_t how = nullptr;
  Matrix a, b, c, d;
  DeviceArray workspace{1 << 20};
  std::size_t workspace_size = 0;
  float alpha = 1;
  float beta = 0;
  bool transpose_a;
  bool transpose_b;

  Call(Format format, Shape s, bool transpose_a_ = false, bool transpose_b_ = false, std::size_t gap = 0,
       cublasComputeType_t compute = CUBLAS_COMPUTE_32F,
       std::vector<float> (*numbers)(std::size_t, unsigned) = small_numbers)
      : a(format, transpose_a_ ? s.k : s.m, transpose_a_ ? s.m : s.k, 1, gap, numbers),
        b(format, transpose_b_ ? s.n : s.k, transpose_b_ ? s.k : s.n, 2, gap, numbers),
        c(format, s.m, s.n, 3, gap, numbers),
        d(format, s.m, s.n, 4, gap, numbers),
        transpose_a(transpose_a_),
        transpose_b(transpose_b_) {
    EXPECT_EQ(cublasLtMatmulDescCreate(&how, compute, CUDA_R_32F), CUBLAS_STATUS_SUCCESS);
    set(CUBLASLT_MATMUL_DESC_TRANSA, transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  }
  ~Call() { cublasLtMatmulDescDestroy(how); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  template <typename Value>
  void set(cublasLtMatmulDescAttributes_t attribute, Value value) {
    ASSERT_EQ(cublasLtMatmulDescSetAttribute(how, attribute, &value, sizeof value), CUBLAS_STATUS_SUCCESS);
  }
  cublasStatus_t run(const cublasLtMatmulAlgo_t* algorithm = nullptr) {
    return cublasLtMatmul(handle.handle, how, &alpha, a.device.data(), a.layout, b.device.data(), b.layout,
                          &beta, c.device.data(), c.layout, d.device.data(), d.layout, algorithm,
                          workspace.data(), workspace_size, stream);
  }
  /// Runs and waits, and brings D back.
  void compute(const cublasLtMatmulAlgo_t* algorithm = nullptr) {
    ASSERT_EQ(run(algorithm), CUBLAS_STATUS_SUCCESS);
    stream.synchronize();
    d.download();
  }
  double op_a(std::size_t i, std::size_t k) const { return transpose_a ? a.at(k, i) : a.at(i, k); }
  double op_b(std::size_t k, std::size_t j) const { return transpose_b ? b.at(j, k) : b.at(k, j); }
  std::size_t depth() const { return transpose_a ? a.rows : a.columns; }
  /// alpha·op(A)·op(B) + beta·C at (i, j), in double.
  double result(std::size_t i, std::size_t j) const {
    double sum = 0;
    for (std::size_t k = 0; k < depth(); ++k) sum += op_a(i, k) * op_b(k, j);
    return static_cast<double>(alpha) * sum + (beta == 0 ? 0 : static_cast<double>(beta) * c.at(i, j));
  }
  /// Each element of D is what `wanted(i, j)` says, as stored in `format`, and the gaps are untouched.
  template <typename Wanted>
  void expect(Format format, Wanted wanted) const {
    for (std::size_t j = 0; j < d.columns; ++j) {
      for (std::size_t i = 0; i < d.ld; ++i) {
        const float value = i < d.rows ? stored(format, static_cast<float>(wanted(i, j))) : 7;
        ASSERT_EQ(d.values[j * d.ld + i], value) << i << ", " << j;
      }
    }
  }
};

}  // namespace tardigrad::emulation
