#include "kernels/gather_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>

#include "tests/kernels/backend.h"

namespace tardigrad::test {
namespace {

struct Shape {
  std::size_t channels, height, width;
  [[nodiscard]] std::size_t pixels() const { return channels * height * width; }
};

/// A data set of random images, and what is drawn of it.
struct Case {
  Shape shape;
  std::vector<std::uint8_t> images, labels;
  std::vector<std::uint32_t> indices;
  std::array<float, 4> mean{0.4914F, 0.4822F, 0.4465F, 0.25F};
  std::array<float, 4> deviation{0.2470F, 0.2435F, 0.2616F, 0.5F};
};

struct Minibatch {
  std::vector<float> images;
  std::vector<std::int32_t> labels;
};

Case make_case(Shape shape, std::size_t count, std::vector<std::uint32_t> indices) {
  std::minstd_rand random(17);
  Case c{shape, std::vector<std::uint8_t>(count * shape.pixels()), std::vector<std::uint8_t>(count),
         std::move(indices)};
  for (auto* bytes : {&c.images, &c.labels}) {
    std::generate(bytes->begin(), bytes->end(), [&] { return static_cast<std::uint8_t>(random() >> 8); });
  }
  return c;
}

GatherImages operation(const Case& c) {
  GatherImages gather;
  gather.count = c.labels.size();
  gather.batch = c.indices.size();
  gather.channels = c.shape.channels;
  gather.height = c.shape.height;
  gather.width = c.shape.width;
  gather.mean = c.mean;
  gather.deviation = c.deviation;
  return gather;
}

/// Draws the minibatch; images and outputs start `offset` elements after an aligned address.
Minibatch gathered(Backend backend, const Case& c, std::size_t offset = 0) {
  const Guarded<std::uint8_t> images(backend, c.images, offset);
  const Guarded<std::uint8_t> labels(backend, c.labels);
  const Guarded<std::uint32_t> indices(backend, c.indices);
  constexpr float poison = std::numeric_limits<float>::quiet_NaN();
  const Guarded<float> out_images(backend, std::vector<float>(c.indices.size() * c.shape.pixels(), poison),
                                  offset);
  const Guarded<std::int32_t> out_labels(backend, std::vector<std::int32_t>(c.indices.size(), -1), offset);
  GatherImages gather = operation(c);
  gather.images = images.data();
  gather.labels = labels.data();
  gather.indices = indices.data();
  gather.out_images = out_images.data();
  gather.out_labels = out_labels.data();
  execute(backend, gather);
  EXPECT_TRUE(same_bits(images.values(), c.images));
  EXPECT_TRUE(same_bits(labels.values(), c.labels));
  EXPECT_TRUE(same_bits(indices.values(), c.indices));
  return {out_images.values(), out_labels.values()};
}

void expect_right(const Case& c, const Minibatch& actual) {
  const std::size_t plane = c.shape.height * c.shape.width;
  for (std::size_t k = 0; k < c.indices.size(); ++k) {
    const std::size_t index = c.indices[k];
    ASSERT_EQ(actual.labels[k], c.labels[index]) << "label " << k;
    for (std::size_t i = 0; i < c.shape.pixels(); ++i) {
      const auto mean = static_cast<double>(c.mean[i / plane]);
      const auto deviation = static_cast<double>(c.deviation[i / plane]);
      const double expected = (c.images[index * c.shape.pixels() + i] / 255.0 - mean) / deviation;
      // Scale and shift are rounded and so is their sum, each by half a unit in the last place of at most 4.
      ASSERT_NEAR(actual.images[k * c.shape.pixels() + i], expected, 3 * 0x1p-24 * 4)
          << "image " << k << ", " << i;
    }
  }
}

class GatherImagesContract : public OnBackend {};

TEST_P(GatherImagesContract, normalizes_what_the_indices_name) {
  for (const Shape shape : {Shape{1, 28, 28}, {3, 32, 32}, {1, 1, 1}, {2, 3, 5}, {4, 7, 9}, {3, 2, 2}}) {
    SCOPED_TRACE(testing::Message() << shape.channels << " × " << shape.height << " × " << shape.width);
    const Case c = make_case(shape, 50, {49, 0, 7, 7, 31, 1, 48});
    expect_right(c, gathered(GetParam(), c));
  }
}

TEST_P(GatherImagesContract, maps_every_pixel_value_to_one_float) {
  Case c = make_case({1, 16, 16}, 1, {0});
  for (std::size_t value = 0; value < 256; ++value) {
    c.images[value] = static_cast<std::uint8_t>(value);
  }
  c.mean[0] = 0.25F;
  c.deviation[0] = 0.5F;
  const Minibatch minibatch = gathered(GetParam(), c);
  expect_right(c, minibatch);
  EXPECT_EQ(minibatch.images[0], -0.5F);  // exact: the shift alone
#if defined(FP_FAST_FMAF)
  for (std::size_t value = 0; value < 256; ++value) {
    ASSERT_EQ(minibatch.images[value],
              std::fma(static_cast<float>(value), static_cast<float>(1 / 127.5), -0.5F));
  }
#endif
}

TEST_P(GatherImagesContract, does_not_depend_on_alignment) {
  const Case c = make_case({3, 8, 8}, 20, {3, 19, 0});
  const Minibatch aligned = gathered(GetParam(), c);
  for (const std::size_t offset : {1UL, 2UL, 3UL, 4UL}) {
    const Minibatch shifted = gathered(GetParam(), c, offset);
    EXPECT_TRUE(same_bits(shifted.images, aligned.images)) << "offset " << offset;
    EXPECT_TRUE(same_bits(shifted.labels, aligned.labels)) << "offset " << offset;
  }
}

TEST_P(GatherImagesContract, draws_more_images_than_a_device_has_blocks) {
  std::vector<std::uint32_t> indices(20000);
  for (std::size_t k = 0; k < indices.size(); ++k) {
    indices[k] = static_cast<std::uint32_t>(k * 7 % 64);
  }
  const Case c = make_case({3, 2, 4}, 64, std::move(indices));
  expect_right(c, gathered(GetParam(), c));
}

TEST_P(GatherImagesContract, does_nothing_for_an_empty_batch) {
  EXPECT_NO_THROW(execute(GetParam(), GatherImages{}));
}

INSTANTIATE_TEST_SUITE_P(Kernels, GatherImagesContract, every_backend, testing::PrintToStringParamName());

TEST(GatherImages, refuses_an_index_beyond_the_data_and_writes_nothing) {
  const Case c = make_case({1, 2, 2}, 5, {4, 0, 5});
  std::vector<float> out_images(12, 7);
  std::vector<std::int32_t> out_labels(3, 7);
  GatherImages gather = operation(c);
  gather.images = c.images.data();
  gather.labels = c.labels.data();
  gather.indices = c.indices.data();
  gather.out_images = out_images.data();
  gather.out_labels = out_labels.data();
  EXPECT_THAT([&] { gather.run(); }, testing::ThrowsMessage<std::out_of_range>(
                                         "gather_images: index 5 at position 2, expected below 5"));
  EXPECT_THAT(out_images, testing::Each(7));
  EXPECT_THAT(out_labels, testing::Each(7));
}

void expect_refused(const GatherImages& gather, const std::string& text) {
  EXPECT_THAT([&] { gather.run(); }, testing::ThrowsMessage<std::logic_error>(testing::HasSubstr(text)));
#if TARDIGRAD_CUDA
  EXPECT_THAT([&] { gather.launch(nullptr); },
              testing::ThrowsMessage<std::logic_error>(testing::HasSubstr(text)));
#endif
}

TEST(GatherImages, refuses_what_it_cannot_do) {
  const Case c = make_case({3, 2, 2}, 5, {4, 0});
  GatherImages gather = operation(c);
  expect_refused(gather, "a pointer is null");
  gather.deviation[2] = 0;
  expect_refused(gather, "deviation of channel 2 is 0");
  gather.channels = 5;
  expect_refused(gather, "5 channels, expected 1 to 4");
  gather.channels = 0;
  expect_refused(gather, "0 channels, expected 1 to 4");
}

TEST(GatherImages, counts_bytes_and_flops) {
  const GatherImages gather = operation(make_case({3, 32, 32}, 5, {4, 0}));
  EXPECT_EQ(gather.bytes(), 2 * (3072 * 5 + 9));
  EXPECT_EQ(gather.flops(), 2 * 3072 * 2);
}

}  // namespace
}  // namespace tardigrad::test
