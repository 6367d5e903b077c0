#include "tests/cuda_emulation/convolution_problem.h"

namespace tardigrad::emulation {
namespace {

class Convolutions : public testing::TestWithParam<Case> {};

TEST_P(Convolutions, ForwardIsItsDefinitionByEveryAlgorithm) {
  int supported = 0;
  for (int algorithm = 0; algorithm < CUDNN_CONVOLUTION_FWD_ALGO_COUNT; ++algorithm) {
    Problem p(GetParam());
    p.alpha = 2;
    p.beta = -0.5F;
    const auto x = p.x.values();
    const auto w = p.w.values();
    const auto before = p.y.values();
    const cudnnStatus_t status = p.forward(algorithm);
    if (status == CUDNN_STATUS_NOT_SUPPORTED) continue;
    ASSERT_EQ(status, CUDNN_STATUS_SUCCESS);
    ++supported;
    p.stream.synchronize();
    std::vector<double> y(p.c.y_size());
    define(p.c, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
      y[yi] += static_cast<double>(x[xi] * w[wi]);
    });
    EXPECT_EQ(p.y.values(), scaled(p.c.number_format(), y, before, 2, -0.5)) << "algorithm " << algorithm;
  }
  EXPECT_GE(supported, 1);
}

TEST_P(Convolutions, BackwardDataIsItsDefinitionByEveryAlgorithm) {
  int supported = 0;
  for (int algorithm = 0; algorithm < CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT; ++algorithm) {
    Problem p(GetParam());
    const auto w = p.w.values();
    const auto dy = p.y.values();
    const auto before = p.x.values();
    const cudnnStatus_t status = p.backward_data(algorithm);
    if (status == CUDNN_STATUS_NOT_SUPPORTED) continue;
    ASSERT_EQ(status, CUDNN_STATUS_SUCCESS);
    ++supported;
    p.stream.synchronize();
    std::vector<double> dx(p.c.x_size());
    define(p.c, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
      dx[xi] += static_cast<double>(w[wi] * dy[yi]);
    });
    EXPECT_EQ(p.x.values(), scaled(p.c.number_format(), dx, before, 1, 0)) << "algorithm " << algorithm;
  }
  EXPECT_GE(supported, 2);
}

TEST_P(Convolutions, BackwardFilterIsItsDefinitionByEveryAlgorithm) {
  int supported = 0;
  for (int algorithm = 0; algorithm < CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT; ++algorithm) {
    Problem p(GetParam());
    p.beta = 1;
    const auto x = p.x.values();
    const auto dy = p.y.values();
    const auto before = p.w.values();
    const cudnnStatus_t status = p.backward_filter(algorithm);
    if (status == CUDNN_STATUS_NOT_SUPPORTED) continue;
    ASSERT_EQ(status, CUDNN_STATUS_SUCCESS);
    ++supported;
    p.stream.synchronize();
    std::vector<double> dw(p.c.w_size());
    define(p.c, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
      dw[wi] += static_cast<double>(x[xi] * dy[yi]);
    });
    EXPECT_EQ(p.w.values(), scaled(p.c.number_format(), dw, before, 1, 1)) << "algorithm " << algorithm;
  }
  EXPECT_GE(supported, 2);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Convolutions,
    testing::Values(
        Case{.name = "odd", .n = 3, .c = 5, .h = 7, .w = 9, .k = 11, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
        Case{.name = "one_pixel", .n = 2, .c = 3, .h = 3, .w = 3, .k = 2, .r = 3, .s = 3},
        Case{.name = "oblong",
             .n = 2,
             .c = 3,
             .h = 8,
             .w = 5,
             .k = 37,
             .r = 1,
             .s = 4,
             .pad_w = 2,
             .format = nhwc},
        Case{.name = "strided",
             .n = 2,
             .c = 4,
             .h = 9,
             .w = 10,
             .k = 6,
             .r = 5,
             .s = 5,
             .pad_h = 2,
             .pad_w = 2,
             .stride_h = 2,
             .stride_w = 3},
        Case{.name = "dilated",
             .n = 2,
             .c = 3,
             .h = 9,
             .w = 8,
             .k = 4,
             .r = 3,
             .s = 2,
             .pad_h = 2,
             .pad_w = 1,
             .dilation_h = 2,
             .dilation_w = 3,
             .format = nhwc},
        Case{.name = "flipped",
             .n = 2,
             .c = 3,
             .h = 6,
             .w = 5,
             .k = 4,
             .r = 3,
             .s = 2,
             .pad_h = 1,
             .pad_w = 1,
             .mode = CUDNN_CONVOLUTION},
        Case{.name = "groups",
             .n = 2,
             .c = 6,
             .h = 5,
             .w = 6,
             .k = 9,
             .r = 3,
             .s = 3,
             .pad_h = 1,
             .pad_w = 1,
             .groups = 3,
             .format = nhwc},
        Case{.name = "bf16",
             .n = 3,
             .c = 3,
             .h = 6,
             .w = 7,
             .k = 8,
             .r = 3,
             .s = 3,
             .pad_h = 1,
             .pad_w = 1,
             .type = bf16},
        Case{.name = "bf16_nhwc",
             .n = 3,
             .c = 5,
             .h = 6,
             .w = 7,
             .k = 33,
             .r = 3,
             .s = 3,
             .pad_h = 1,
             .pad_w = 1,
             .format = nhwc,
             .type = bf16}),
    testing::PrintToStringParamName());

}  // namespace
}  // namespace tardigrad::emulation
