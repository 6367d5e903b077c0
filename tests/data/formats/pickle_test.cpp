#include "data/formats/pickle.h"

#include <gmock/gmock.h>

#include <string>

#include "data/dataset.h"
#include "data/formats/cifar.h"
#include "tests/data/temporary_folder.h"

namespace tardigrad::data {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = PickleValue::Kind;

/// A dictionary of labels and an array of NumPy, operation by operation as Python 2 wrote those of CIFAR.
std::string cifar_pickle(const std::string& labels, const std::string& pixels,
                         const std::string& key = "labels") {
  std::string list;
  for (const char label : labels) list += "K"s + label;
  std::string length;
  for (const int shift : {0, 8, 16, 24}) length += static_cast<char>(pixels.size() >> shift);
  return "\x80\x02}q\x01(U"s + static_cast<char>(key.size()) + key + "q\x02]q\x03("s + list +
         "eU\x04"
         "dataq\x04"
         "cnumpy.core.multiarray\n_reconstruct\nq\x05"
         "cnumpy\nndarray\nq\x06K\x00\x85U\x01"
         "b\x87Rq\x07(K\x01K\x02M\x00\x0c\x86"
         "cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87Rq\x09(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"s +
         length + pixels + "tbu."s;
}

std::string images(std::size_t count) {
  std::string pixels;
  for (std::size_t i = 0; i < count; ++i) pixels += std::string(3072, static_cast<char>(10 * (i + 1)));
  return pixels;
}

class PickleFile : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& text) const { return folder_.write("file", bytes_of(text)); }
  std::string refusal(const std::string& text) const {
    return error_of([&] { const Pickle pickle(write(text)); });
  }

  TemporaryFolder folder_;
};

TEST_F(PickleFile, HasPlainObjects) {
  // {"a": [1, -2, 300, None, True, b"xy"], "b": (1, 2)}, as protocols 2 and 4 have it
  const std::string two =
      "\x80\x02}q\x00(X\x01\x00\x00\x00"
      "aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM\x2c\x01N\x88U\x02xyeX\x01\x00\x00\x00"
      "bK\x01K\x02\x86u."s;
  const std::string four =
      "\x80\x04\x95\x20\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01"
      "a\x94]\x94(K\x01J\xfe\xff\xff\xffM\x2c\x01N\x88"
      "C\x02xy"
      "e\x8c\x01"
      "b\x94K\x01K\x02\x86\x94u."s;
  for (const std::string& text : {two, four}) {
    const Pickle pickle(write(text));
    const PickleValue* list = pickle.value().at("a");
    ASSERT_NE(list, nullptr);
    ASSERT_EQ(list->members.size(), 6U);
    EXPECT_EQ(list->members[0]->number, 1);
    EXPECT_EQ(list->members[1]->number, -2);
    EXPECT_EQ(list->members[2]->number, 300);
    EXPECT_EQ(list->members[3]->kind, Kind::none);
    EXPECT_EQ(list->members[4]->number, 1);
    EXPECT_EQ(list->members[5]->text, "xy");
    EXPECT_EQ(pickle.value().at("b")->members.size(), 2U);
    EXPECT_EQ(pickle.value().at("c"), nullptr);
  }
}

TEST_F(PickleFile, RefusesWhatIsNone) {
  EXPECT_THAT(refusal("plain text"), HasSubstr("file: no pickle, expected one of protocol 2 to 5"));
  EXPECT_THAT(refusal("\x80\x02}q"s), HasSubstr("cut short"));
  EXPECT_THAT(refusal("\x80\x02U\xff"s), HasSubstr("cut short"));
  EXPECT_THAT(refusal("\x80\x02."s), HasSubstr("takes what is not there"));
  EXPECT_THAT(refusal("\x80\x02K\x01(."s), HasSubstr("takes what is not there"));
  EXPECT_THAT(refusal("\x80\x02"
                      "e."s),
              HasSubstr("without a mark"));
  EXPECT_THAT(refusal("\x80\x02K\x01K\x01"
                      "a."s),
              HasSubstr("fills what is no container"));
  EXPECT_THAT(refusal("\x80\x02h\x07."s), HasSubstr("recalls what it has not"));
  EXPECT_THAT(refusal("\x80\x02P."s), HasSubstr("operation 0x50 in a pickle, expected plain objects"));
}

TEST_F(PickleFile, HoldsCifarAsTorchvisionLeavesIt) {
  for (int batch = 1; batch <= 5; ++batch) {
    folder_.write("cifar-10-batches-py/data_batch_" + std::to_string(batch),
                  bytes_of(cifar_pickle({static_cast<char>(batch)}, images(1))));
  }
  folder_.write("cifar-10-batches-py/test_batch", bytes_of(cifar_pickle("\x09\x08", images(2))));
  const Dataset dataset = load_dataset("cifar10", folder_.path());
  EXPECT_THAT(dataset.train.labels, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(dataset.test.labels, ElementsAre(9, 8));
  EXPECT_EQ(dataset.test.pixels, bytes_of(images(2)));
  folder_.write("cifar-100-python/train", bytes_of(cifar_pickle("\x63", images(1), "fine_labels")));
  folder_.write("cifar-100-python/test", bytes_of(cifar_pickle("\x01", images(1), "fine_labels")));
  EXPECT_THAT(load_dataset("cifar100", folder_.path()).train.labels, ElementsAre(99));
}

TEST_F(PickleFile, NamesWhatCifarLacks) {
  const auto refused = [&](const std::string& text) {
    return error_of([&] { read_cifar_pickles({write(text)}, cifar10_records); });
  };
  EXPECT_THAT(refused(cifar_pickle("\x01\x02", images(1))), HasSubstr("has not as many labels as images"));
  EXPECT_THAT(refused(cifar_pickle("\x0a", images(1))), HasSubstr("label 10 of image 0 (counted from 0)"));
  EXPECT_THAT(refused(cifar_pickle("\x01", images(1), "lables")),
              HasSubstr("has not as many labels as images"));
  EXPECT_THAT(refused("\x80\x02}."s), HasSubstr("has no array of NumPy under data"));
}

}  // namespace
}  // namespace tardigrad::data
