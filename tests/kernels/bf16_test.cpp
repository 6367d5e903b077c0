#include "kernels/bf16.h"

#include <gtest/gtest.h>

#include "tests/kernels/bf16_reference.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

TEST(Bf16, IsTheUpperHalfOfAFloat) {
  EXPECT_EQ(widen(Bf16{0x3F80}), 1.0F);
  EXPECT_EQ(widen(Bf16{0xC040}), -3.0F);
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    ASSERT_EQ(narrow(widen(Bf16{static_cast<std::uint16_t>(bits)})).bits, bits);
  }
}

TEST(Bf16, RoundsToTheNearestAndHalvesToEven) {
  for (std::uint32_t upper = 0; upper <= 0xFFFF; ++upper) {
    for (const std::uint32_t lower : {0x0U, 0x1U, 0x7FFFU, 0x8000U, 0x8001U, 0xFFFFU}) {
      const auto value = std::bit_cast<float>(upper << 16 | lower);
      const float rounded = round_to_bf16(value);
      ASSERT_EQ(std::bit_cast<std::uint32_t>(rounded) & 0xFFFFU, 0U) << "not a bf16, from " << value;
      if (std::isnan(value)) {
        ASSERT_TRUE(std::isnan(rounded)) << "bits " << (upper << 16 | lower);
      } else {
        ASSERT_EQ(std::bit_cast<std::uint32_t>(rounded), std::bit_cast<std::uint32_t>(nearest_bf16(value)))
            << value;
      }
    }
  }
}

}  // namespace
}  // namespace tardigrad
