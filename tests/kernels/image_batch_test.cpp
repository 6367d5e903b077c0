#include "tests/kernels/image_batches.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

TEST(ImageBatch, FindsElementsByPlaceAndByNumber) {
  for_each_image_batch([](const ImageBatch& shape) {
    std::size_t number = 0;
    for_each_element(shape, [&](std::size_t, std::size_t c, std::size_t, std::size_t place) {
      ASSERT_EQ(shape.channel_of(place), c);
      ASSERT_EQ(shape.number_of(place), number);
      ASSERT_EQ(shape.place_of(number), place);
      ++number;
    });
    EXPECT_EQ(shape.size(), number);
  });
}

TEST(ImageBatch, IsCountableByThirtyTwoBits) {
  EXPECT_TRUE((ImageBatch{65535, 65536, 1}.is_countable()));
  EXPECT_FALSE((ImageBatch{65536, 65536, 1}.is_countable()));
}

}  // namespace
}  // namespace tardigrad
