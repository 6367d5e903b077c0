#include "data/formats/npy.h"

#include <gmock/gmock.h>

#include <limits>

#include "tests/data/npy_file.h"

namespace tardigrad::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Npy : public ::testing::Test {
 protected:
  NamedExamples read(const Bytes& examples, const Bytes& labels = two_labels()) const {
    return read_npy_examples(folder_.write("x.npy", examples), folder_.write("y.npy", labels));
  }
  std::string refusal(const Bytes& examples, const Bytes& labels = two_labels()) const {
    return error_of([&] { read(examples, labels); });
  }

  static Bytes two_labels() { return npy_of<std::int64_t>("<i8", "(2,)", {7, -3}); }
  static Bytes two_rows() { return npy_of<float>("<f4", "(2, 3)", {1, 2, 3, 4, 5, 6}); }

  TemporaryFolder folder_;
};

TEST_F(Npy, ReadsRowsOfFeatures) {
  const NamedExamples rows = read(two_rows());
  EXPECT_EQ(rows.images.shape, (ImageShape{.channels = 1, .height = 1, .width = 3}));
  EXPECT_THAT(rows.images.values, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(rows.class_names, ElementsAre("-3", "7"));
  EXPECT_THAT(rows.images.labels, ElementsAre(1, 0));
  EXPECT_THAT(read(npy_of<double>("<f8", "(2, 1)", {0.5, -1})).images.values, ElementsAre(0.5F, -1));
}

TEST_F(Npy, ReadsImagesInEitherOrderOfTheirDimensions) {
  const Bytes bytes = counting(2 * 2 * 2 * 3);
  const auto as_pixels = [&](const std::string& shape) {
    return read(npy_of<std::uint8_t>("|u1", shape, bytes));
  };
  const NamedExamples planes = as_pixels("(2, 3, 2, 2)");
  EXPECT_EQ(planes.images.shape, (ImageShape{.channels = 3, .height = 2, .width = 2}));
  EXPECT_EQ(planes.images.pixels, bytes);
  const NamedExamples pixels = as_pixels("(2, 2, 2, 3)");
  EXPECT_EQ(pixels.images.shape, planes.images.shape);
  EXPECT_THAT(Bytes(pixels.images.pixels.begin(), pixels.images.pixels.begin() + 12),
              ElementsAre(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11));
  EXPECT_EQ(as_pixels("(2, 4, 3)").images.shape, (ImageShape{.channels = 1, .height = 4, .width = 3}));
  const std::vector<float> floats{0, 1, 2, 3, 4, 5};
  EXPECT_THAT(read(npy_of("<f4", "(2, 1, 1, 3)", floats)).images.values, ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(Npy, ReadsTheSecondVersionAndGzip) {
  Bytes file = two_rows();
  file[6] = 2;
  file.insert(file.begin() + 10, {0, 0});  // the length has four bytes
  EXPECT_EQ(read(file).images.values.size(), 6U);
  EXPECT_EQ(read_npy(folder_.write_gz("x.npy.gz", two_rows())).shape.size(), 2U);
}

TEST_F(Npy, LeavesPixelsInPlainFilesThatAreMapped) {
  const Bytes bytes = counting(2 * 2 * 2 * 3);
  const auto labels = folder_.write("y.npy", two_labels());
  const auto map = [&](const std::filesystem::path& examples) {
    return read_npy_examples(examples, labels, PixelAccess::mapped).images;
  };
  const Bytes planes = npy_of<std::uint8_t>("|u1", "(2, 3, 2, 2)", bytes);
  const Images mapped = map(folder_.write("x.npy", planes));
  EXPECT_TRUE(mapped.pixels.empty());
  EXPECT_EQ(Bytes(mapped.bytes().begin(), mapped.bytes().end()), bytes);
  EXPECT_EQ(map(folder_.write_gz("x.npy.gz", planes)).pixels, bytes);
  const Bytes channels_last = npy_of<std::uint8_t>("|u1", "(2, 2, 2, 3)", bytes);
  EXPECT_EQ(map(folder_.write("last.npy", channels_last)).pixels.size(), bytes.size());
  EXPECT_EQ(map(folder_.write("floats.npy", two_rows())).values.size(), 6U);
  const Bytes cut(planes.begin(), planes.end() - 1);
  EXPECT_THAT(error_of([&] { map(folder_.write("cut.npy", cut)); }), HasSubstr("its numbers are not 24"));
}

TEST_F(Npy, RefusesWhatIsNoSuchArray) {
  EXPECT_THAT(refusal(counting(100)), HasSubstr("x.npy: not a .npy file"));
  Bytes cut = two_rows();
  cut.resize(50);
  EXPECT_THAT(refusal(cut), HasSubstr("its header is cut short"));
  EXPECT_THAT(refusal(npy_file("{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }", {})),
              HasSubstr("holds '>f4', expected whole numbers, float32 or float64, little-endian"));
  EXPECT_THAT(refusal(npy_file("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", {})),
              HasSubstr("is in Fortran's order"));
  EXPECT_THAT(refusal(npy_file("{'descr': '<f4', 'fortran_order': False}", {})), HasSubstr("no 'shape'"));
  EXPECT_THAT(refusal(npy_file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", {})),
              HasSubstr("holds ''"));
  Bytes longer = two_rows();
  longer.push_back(0);
  EXPECT_THAT(refusal(longer), HasSubstr("its numbers are not 24 bytes, expected as many for shape (2, 3)"));
  Bytes shorter = two_rows();
  shorter.pop_back();
  EXPECT_THAT(refusal(shorter), HasSubstr("its numbers are not 24 bytes"));
  EXPECT_THAT(refusal(npy_of<float>("<f4", "(4294967296, 4294967296)", {})),
              HasSubstr("larger than any memory"));
  EXPECT_THAT(refusal(npy_of<float>("<f4", "(1000000, 1000000)", {})), HasSubstr("its numbers are not"));
}

TEST_F(Npy, RefusesArraysThatAreNoExamples) {
  EXPECT_THAT(refusal(npy_of<float>("<f4", "(2,)", {1, 2})), HasSubstr("shape (2), expected (N, features)"));
  EXPECT_THAT(refusal(npy_of<float>("<f4", "(2, 5, 1, 2)", std::vector<float>(20))),
              HasSubstr("shape (2, 5, 1, 2), expected"));
  EXPECT_THAT(refusal(npy_of<float>("<f4", "(2, 0)", {})), HasSubstr("expected at least 1"));
  EXPECT_THAT(refusal(npy_of<std::int32_t>("<i4", "(2, 1)", {1, 2})), HasSubstr("holds <i4, expected uint8"));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(refusal(npy_of<float>("<f4", "(2, 2)", {1, 2, 3, nan})),
              HasSubstr("nan in example 1 (counted from 0), expected finite numbers"));
  EXPECT_THAT(refusal(npy_of<double>("<f8", "(2, 1)", {1, 1e300})), HasSubstr("inf in example 1"));
}

TEST_F(Npy, RefusesLabelsThatDoNotFit) {
  EXPECT_THAT(refusal(two_rows(), npy_of<std::int32_t>("<i4", "(3,)", {1, 2, 3})),
              HasSubstr("y.npy: holds 3 labels, expected 2 as"));
  EXPECT_THAT(refusal(two_rows(), npy_of<float>("<f4", "(2,)", {1, 2})), HasSubstr("expected whole numbers"));
  EXPECT_THAT(refusal(two_rows(), npy_of<std::int32_t>("<i4", "(2, 1)", {1, 2})),
              HasSubstr("shape (2, 1), expected (N) labels"));
}

}  // namespace
}  // namespace tardigrad::data
