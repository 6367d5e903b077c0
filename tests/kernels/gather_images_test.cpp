#include "kernels/gather_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <stdexcept>
#include <tuple>
#include <type_traits>

#include "tests/kernels/backend.h"
#include "tests/kernels/bf16_reference.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

struct ImageShape {
  std::size_t channels, height, width;
  std::size_t pixels() const { return channels * height * width; }
};

/// A data set of random images, and what is drawn of it.
struct GatherCase {
  ImageShape shape;
  std::vector<std::uint8_t> images;
  std::vector<std::uint16_t> labels;
  std::vector<std::uint32_t> indices;
  std::vector<Crop> crops{};  ///< one for each index, or none
  MemoryFormat out_format = MemoryFormat::channel_major;
  std::size_t out_channels = 0;
  std::array<float, 4> mean{0.4914F, 0.4822F, 0.4465F, 0.25F};
  std::array<float, 4> deviation{0.2470F, 0.2435F, 0.2616F, 0.5F};

  std::vector<float> values{};  ///< in the place of `images`, if there are any

  std::size_t channels_out() const { return out_channels != 0 ? out_channels : shape.channels; }
};

template <typename Number>
struct Minibatch {
  std::vector<Number> images;
  std::vector<std::int32_t> labels;
};

GatherCase make_gather_case(ImageShape shape, std::size_t count, std::vector<std::uint32_t> indices) {
  std::minstd_rand random(17);
  GatherCase c{shape, std::vector<std::uint8_t>(count * shape.pixels()), std::vector<std::uint16_t>(count),
               std::move(indices)};
  std::ranges::generate(c.images, [&] { return static_cast<std::uint8_t>(random() >> 8); });
  std::ranges::generate(c.labels, [&] { return static_cast<std::uint16_t>(random() >> 8); });
  return c;
}

GatherImages operation(const GatherCase& c) {
  GatherImages gather;
  gather.count = c.labels.size();
  gather.batch = c.indices.size();
  gather.channels = c.shape.channels;
  gather.height = c.shape.height;
  gather.width = c.shape.width;
  gather.out_format = c.out_format;
  gather.out_channels = c.out_channels;
  gather.mean = c.mean;
  gather.deviation = c.deviation;
  return gather;
}

/// Draws the minibatch; images and outputs start `offset` elements after an aligned address.
template <typename Number = float>
Minibatch<Number> gathered(Backend backend, const GatherCase& c, std::size_t offset = 0) {
  const Guarded<std::uint8_t> images(backend, c.images, offset);
  const Guarded<float> values(backend, c.values, offset);
  const Guarded<std::uint16_t> labels(backend, c.labels);
  const Guarded<std::uint32_t> indices(backend, c.indices);
  const Guarded<Crop> crops(backend, c.crops);
  const Number unwritten = nearest<Number>(poison);
  const std::size_t size = c.indices.size() * c.shape.height * c.shape.width * c.channels_out();
  const Guarded<Number> out_images(backend, std::vector<Number>(size, unwritten), offset);
  const Guarded<std::int32_t> out_labels(backend, std::vector<std::int32_t>(c.indices.size(), -1), offset);
  GatherImages gather = operation(c);
  if (c.values.empty()) {
    gather.images = images.data();
  } else {
    gather.values = values.data();
  }
  gather.labels = labels.data();
  gather.indices = indices.data();
  gather.crops = c.crops.empty() ? nullptr : crops.data();
  if constexpr (std::is_same_v<Number, Bf16>) {
    gather.out_images_bf16 = out_images.data();
  } else {
    gather.out_images = out_images.data();
  }
  gather.out_labels = out_labels.data();
  execute(backend, gather);
  EXPECT_TRUE(same_bits(images.values(), c.images));
  EXPECT_TRUE(same_bits(labels.values(), c.labels));
  EXPECT_TRUE(same_bits(indices.values(), c.indices));
  EXPECT_TRUE(same_bits(crops.values(), c.crops));
  return {out_images.values(), out_labels.values()};
}

/// The pixel that comes to (y, x) of channel `channel` of the k-th image.
double pixel_at(const GatherCase& c, std::size_t k, std::size_t channel, std::size_t y, std::size_t x) {
  const Crop crop = c.crops.empty() ? Crop{} : c.crops[k];
  const auto height = static_cast<int>(c.shape.height);
  const auto width = static_cast<int>(c.shape.width);
  const int from_x = (crop.flip == 1 ? width - 1 - static_cast<int>(x) : static_cast<int>(x)) + crop.dx;
  const int from_y = static_cast<int>(y) + crop.dy;
  if (from_x < 0 || from_x >= width || from_y < 0 || from_y >= height) return 0;
  const std::size_t plane = c.indices[k] * c.shape.channels + channel;
  const std::size_t place = (plane * c.shape.height + static_cast<std::size_t>(from_y)) * c.shape.width +
                            static_cast<std::size_t>(from_x);
  return c.values.empty() ? c.images[place] : static_cast<double>(c.values[place]);
}

template <typename Number>
void expect_right(const GatherCase& c, const Minibatch<Number>& actual) {
  // Scale and shift are rounded and so is their sum, each by half a unit in the last place of at most 4; bf16
  // is rounded once more.
  const double computing = c.values.empty() ? 3 * 0x1p-24 * 4 : 0;  // floats are taken as they are
  const double tolerance = computing + (std::is_same_v<Number, Bf16> ? 0x1p-9 * 4 : 0);
  const std::size_t channels = c.channels_out();
  for (std::size_t k = 0; k < c.indices.size(); ++k) {
    ASSERT_EQ(actual.labels[k], c.labels[c.indices[k]]) << "label " << k;
    for (std::size_t channel = 0; channel < channels; ++channel) {
      for (std::size_t y = 0; y < c.shape.height; ++y) {
        for (std::size_t x = 0; x < c.shape.width; ++x) {
          const std::size_t place = c.out_format == MemoryFormat::channel_major
                                        ? ((k * channels + channel) * c.shape.height + y) * c.shape.width + x
                                        : ((k * c.shape.height + y) * c.shape.width + x) * channels + channel;
          double expected = 0;
          if (channel < c.shape.channels) {
            const auto mean = static_cast<double>(c.mean[channel]);
            const auto deviation = static_cast<double>(c.deviation[channel]);
            const double pixel = pixel_at(c, k, channel, y, x);
            expected = c.values.empty() ? (pixel / 255.0 - mean) / deviation : pixel;
          }
          ASSERT_NEAR(static_cast<double>(widen(actual.images[place])), expected,
                      channel < c.shape.channels ? tolerance : 0)
              << "image " << k << ", channel " << channel << ", pixel (" << y << ", " << x << ")";
        }
      }
    }
  }
}

class GatherImagesContract : public OnBackend {};

TEST_P(GatherImagesContract, NormalizesWhatTheIndicesName) {
  for (const ImageShape shape :
       {ImageShape{1, 28, 28}, {3, 32, 32}, {1, 1, 1}, {2, 3, 5}, {4, 7, 9}, {3, 2, 2}}) {
    SCOPED_TRACE(::testing::Message() << shape.channels << " × " << shape.height << " × " << shape.width);
    const GatherCase c = make_gather_case(shape, 50, {49, 0, 7, 7, 31, 1, 48});
    expect_right(c, gathered(GetParam(), c));
  }
}

TEST_P(GatherImagesContract, MapsEveryPixelValueToOneFloat) {
  GatherCase c = make_gather_case({1, 16, 16}, 1, {0});
  for (std::size_t value = 0; value < 256; ++value) c.images[value] = static_cast<std::uint8_t>(value);
  c.mean[0] = 0.25F;
  c.deviation[0] = 0.5F;
  const Minibatch<float> minibatch = gathered(GetParam(), c);
  expect_right(c, minibatch);
  EXPECT_EQ(minibatch.images[0], -0.5F);  // exact: the shift alone
#if defined(FP_FAST_FMAF)
  for (std::size_t value = 0; value < 256; ++value) {
    ASSERT_EQ(minibatch.images[value],
              std::fma(static_cast<float>(value), static_cast<float>(1 / 127.5), -0.5F));
  }
#endif
}

/// Crops from none to all the way out of the image, the first as asked for.
std::vector<Crop> some_crops(std::size_t count) {
  std::vector<Crop> crops{{0, 0, 0}, {0, 0, 1}, {4, -4, 0}, {-4, 4, 1}, {127, 0, 0}, {0, -128, 1}, {2, 3, 1}};
  Random random(5, Purpose::augment);
  while (crops.size() < count) crops.push_back(random_crop(random, 4));
  crops.resize(count);
  return crops;
}

TEST_P(GatherImagesContract, CropsFlipsAndChangesTheFormat) {
  for (const ImageShape shape :
       {ImageShape{1, 28, 28}, {3, 32, 32}, {1, 1, 1}, {2, 3, 5}, {4, 7, 9}, {3, 18, 22}, {3, 18, 20}}) {
    GatherCase c = make_gather_case(shape, 50, {49, 0, 7, 7, 31, 1, 48, 20});
    for (const bool cropped : {false, true}) {
      c.crops = cropped ? some_crops(c.indices.size()) : std::vector<Crop>{};
      for (const std::size_t out_channels : {0, 4, 5, 8, 24}) {  // 0: channel-major
        c.out_format = out_channels == 0 ? MemoryFormat::channel_major : MemoryFormat::channels_last;
        c.out_channels = out_channels;
        SCOPED_TRACE(::testing::Message() << shape.channels << " × " << shape.height << " × " << shape.width
                                          << (cropped ? ", cropped, to " : ", to ") << out_channels);
        expect_right(c, gathered<float>(GetParam(), c));
        expect_right(c, gathered<Bf16>(GetParam(), c));
        ASSERT_FALSE(HasFailure());
      }
    }
  }
}

TEST_P(GatherImagesContract, TakesFloatsAsTheyAre) {
  for (const ImageShape shape : {ImageShape{1, 1, 123}, {3, 4, 8}, {1, 1, 1}, {2, 3, 5}}) {
    GatherCase c = make_gather_case(shape, 20, {19, 0, 7, 7});
    for (std::size_t i = 0; i < c.images.size(); ++i) {
      c.values.push_back((static_cast<float>(c.images[i]) - 100) / 60);  // −1.7 to 2.6
    }
    for (const bool cropped : {false, true}) {
      c.crops = cropped ? some_crops(c.indices.size()) : std::vector<Crop>{};
      for (const std::size_t out_channels : {0, 4}) {
        c.out_format = out_channels == 0 ? MemoryFormat::channel_major : MemoryFormat::channels_last;
        c.out_channels = out_channels;
        for (const std::size_t offset : {0, 1}) {
          expect_right(c, gathered<float>(GetParam(), c, offset));
          expect_right(c, gathered<Bf16>(GetParam(), c, offset));
        }
      }
    }
  }
}

TEST_P(GatherImagesContract, TakesAsManyChannelsAsThereAreUnlessTold) {
  GatherCase c = make_gather_case({3, 5, 4}, 9, {8, 2});
  c.out_format = MemoryFormat::channels_last;
  expect_right(c, gathered(GetParam(), c));
}

TEST_P(GatherImagesContract, DoesNotDependOnAlignment) {
  GatherCase c = make_gather_case({3, 8, 8}, 20, {3, 19, 0});
  const auto compare = [&]<typename Number>(Number) {
    const Minibatch<Number> aligned = gathered<Number>(GetParam(), c);
    for (const std::size_t offset : {1UL, 2UL, 3UL, 4UL}) {
      const Minibatch<Number> shifted = gathered<Number>(GetParam(), c, offset);
      EXPECT_TRUE(same_bits(shifted.images, aligned.images)) << "offset " << offset;
      EXPECT_TRUE(same_bits(shifted.labels, aligned.labels)) << "offset " << offset;
    }
  };
  for (const std::size_t out_channels : {0, 8}) {
    c.out_format = out_channels == 0 ? MemoryFormat::channel_major : MemoryFormat::channels_last;
    c.out_channels = out_channels;
    for (const bool cropped : {false, true}) {
      c.crops = cropped ? some_crops(c.indices.size()) : std::vector<Crop>{};
      compare(0.0F);
      compare(Bf16{});
    }
  }
}

TEST_P(GatherImagesContract, RoundsToTheNearestBf16) {
  GatherCase c = make_gather_case({3, 9, 8}, 20, {3, 19, 0, 4});
  const Minibatch<float> exact = gathered<float>(GetParam(), c);
  const Minibatch<Bf16> rounded = gathered<Bf16>(GetParam(), c);
  for (std::size_t i = 0; i < exact.images.size(); ++i) {
    ASSERT_EQ(widen(rounded.images[i]), nearest_bf16(exact.images[i])) << "element " << i;
  }
}

TEST_P(GatherImagesContract, DrawsLabelsOfImagesWithoutPixels) {
  GatherCase c = make_gather_case({1, 0, 7}, 5, {4, 0});
  for (const MemoryFormat format : {MemoryFormat::channel_major, MemoryFormat::channels_last}) {
    c.out_format = format;
    expect_right(c, gathered(GetParam(), c));
  }
}

TEST_P(GatherImagesContract, DrawsMoreImagesThanADeviceHasBlocks) {
  std::vector<std::uint32_t> indices(20000);
  for (std::size_t k = 0; k < indices.size(); ++k) indices[k] = static_cast<std::uint32_t>(k * 7 % 64);
  const GatherCase c = make_gather_case({3, 2, 4}, 64, std::move(indices));
  expect_right(c, gathered(GetParam(), c));
}

TEST_P(GatherImagesContract, DoesNothingForAnEmptyBatch) {
  EXPECT_NO_THROW(execute(GetParam(), GatherImages{}));
}

INSTANTIATE_TEST_SUITE_P(Backends, GatherImagesContract, every_backend, ::testing::PrintToStringParamName());

TEST(GatherImages, RefusesAnIndexBeyondTheDataAndWritesNothing) {
  const GatherCase c = make_gather_case({1, 2, 2}, 5, {4, 0, 5});
  std::vector<float> out_images(12, 7);
  std::vector<std::int32_t> out_labels(3, 7);
  GatherImages gather = operation(c);
  gather.images = c.images.data();
  gather.labels = c.labels.data();
  gather.indices = c.indices.data();
  gather.out_images = out_images.data();
  gather.out_labels = out_labels.data();
  EXPECT_THAT([&] { gather.run(); }, ::testing::ThrowsMessage<std::out_of_range>(
                                         "gather_images: index 5 at position 2, expected below 5"));
  EXPECT_THAT(out_images, ::testing::Each(7));
  EXPECT_THAT(out_labels, ::testing::Each(7));
}

TEST(GatherImages, RefusesWhatItCannotDo) {
  const GatherCase c = make_gather_case({3, 2, 2}, 5, {4, 0});
  GatherImages gather = operation(c);
  expect_refused(gather, "a pointer is null");
  gather.deviation[2] = 0;
  expect_refused(gather, "deviation of channel 2 is 0");
  gather.channels = 5;
  expect_refused(gather, "5 channels, expected 1 to 4");
  gather.channels = 0;
  expect_refused(gather, "0 channels, expected 1 to 4");
}

TEST(GatherImages, RefusesChannelsThatTheFormatDoesNotHave) {
  GatherImages gather = operation(make_gather_case({3, 2, 2}, 5, {4, 0}));
  gather.out_channels = 4;
  expect_refused(gather, "4 output channels, expected 3");
  gather.out_format = MemoryFormat::channels_last;
  gather.out_channels = 2;
  expect_refused(gather, "2 output channels, expected 3 or more");
}

TEST(GatherImages, RefusesTwoKindsOfInputOrOutput) {
  const GatherCase c = make_gather_case({3, 2, 2}, 5, {4, 0});
  float value = 0;
  Bf16 value_bf16{};
  std::int32_t label = 0;
  GatherImages gather = operation(c);
  gather.images = c.images.data();
  gather.labels = c.labels.data();
  gather.indices = c.indices.data();
  gather.out_labels = &label;
  expect_refused(gather, "a pointer is null");
  gather.out_images = &value;
  gather.out_images_bf16 = &value_bf16;
  expect_refused(gather, "out_images and out_images_bf16 are given");
  gather.values = &value;
  expect_refused(gather, "images and values are given");
}

TEST(GatherImages, CountsTheBytesOfPaddingAndCrops) {
  GatherImages gather = operation(make_gather_case({3, 32, 32}, 5, {4, 0}));
  Bf16 value{};
  gather.out_images_bf16 = &value;
  gather.out_format = MemoryFormat::channels_last;
  gather.out_channels = 8;
  const Crop crop;
  gather.crops = &crop;
  EXPECT_EQ(gather.bytes(), 2 * (3072 + 8192 * 2 + 10 + 3));
}

TEST(RandomCrop, DrawsEveryShiftAndBothFlipsEquallyOften) {
  Random random(3, Purpose::augment, 1);
  std::map<std::tuple<int, int, int>, int> seen;
  constexpr int draws = 100 * 5 * 5 * 2;
  for (int i = 0; i < draws; ++i) {
    const Crop crop = random_crop(random, 2);
    ++seen[{crop.dy, crop.dx, crop.flip}];
  }
  EXPECT_EQ(seen.size(), 50);  // none but these: each of −2 … 2 twice, and 0 and 1
  for (const auto& [crop, times] : seen) {
    const auto [dy, dx, flip] = crop;
    EXPECT_LE(std::abs(dy), 2);
    EXPECT_LE(std::abs(dx), 2);
    EXPECT_LE(flip, 1);
    EXPECT_NEAR(times, 100, 50);  // five standard deviations of a binomial variate
  }
  EXPECT_EQ(random_crop(random, 0).dy, 0);
}

TEST(GatherImages, CountsBytesAndFlops) {
  const GatherImages gather = operation(make_gather_case({3, 32, 32}, 5, {4, 0}));
  EXPECT_EQ(gather.bytes(), 2 * (3072 * 5 + 10));
  EXPECT_EQ(gather.flops(), 2 * 3072 * 2);
  GatherImages of_floats = gather;
  const float value = 0;
  of_floats.values = &value;
  EXPECT_EQ(of_floats.bytes(), 2 * (3072 * 8 + 10));
}

}  // namespace
}  // namespace tardigrad
