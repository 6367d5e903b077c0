#include "runtime/checkpoint/model_import.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "runtime/checkpoint/safetensors.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

/// Files of a model of "w" [2, 2] and "b" [1].
class ModelImport : public ::testing::Test {
 protected:
  ModelImport() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("tardigrad-import-") + test->name() + "-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    layout_.add("w", {2, 2});
    layout_.add("b", {1});
  }
  ~ModelImport() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path file() const { return folder_ / "m.safetensors"; }

  /// Adds a tensor to the file that write() writes.
  template <typename Element>
  void add(const std::string& name, const char* dtype, const std::vector<std::int64_t>& shape,
           const std::vector<Element>& elements) {
    const std::size_t bytes = elements.size() * sizeof(Element);
    tensors_[name] = safetensors_entry(dtype, shape, data_.size(), bytes);
    data_.append(reinterpret_cast<const char*>(elements.data()), bytes);
  }

  std::string bytes() const { return safetensors_header(tensors_) + data_; }
  void write() const { std::ofstream(file(), std::ios::binary) << bytes(); }

  std::string refusal() { return refusal_of(bytes()); }

  std::string refusal_of(const std::string& bytes) {
    std::ofstream(file(), std::ios::binary) << bytes;
    try {
      import_model(file(), layout_, values_);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "accepted";
  }

  std::filesystem::path folder_;
  ParameterLayout layout_;
  std::vector<float> values_ = std::vector<float>(5);
  nlohmann::ordered_json tensors_ = nlohmann::ordered_json::object();
  std::string data_;
};

TEST_F(ModelImport, FloatsKeepTheirBits) {
  const std::vector<float> model = {-0.0F, std::numeric_limits<float>::denorm_min(), 3.4e38F, 0.1F, -1};
  save_safetensors(file(), layout_, model);
  EXPECT_EQ(import_model(file(), layout_, values_), "");
  for (std::size_t i = 0; i < model.size(); ++i) {
    EXPECT_EQ(std::bit_cast<std::uint32_t>(values_[i]), std::bit_cast<std::uint32_t>(model[i]));
  }
}

TEST_F(ModelImport, TheSixteenBitsOfHalvesAndOfBfloats) {
  // The least and the largest of F16, a third, and −0.
  add("w", "F16", {2, 2}, std::vector<std::uint16_t>{0x0001, 0x7bff, 0x3555, 0x8000});
  add("b", "BF16", {1}, std::vector<std::uint16_t>{0xc049});
  write();
  EXPECT_EQ(import_model(file(), layout_, values_),
            "1 tensor converted from BF16, 1 tensor converted from F16");
  EXPECT_THAT(values_, ElementsAre(0x1p-24F, 65504.0F, 0x1.554p-2F, -0.0F, -3.140625F));
  EXPECT_TRUE(std::signbit(values_[3]));
}

TEST_F(ModelImport, DoublesAreRounded) {
  add("w", "F64", {2, 2}, std::vector<double>{0.1, 1e-60, 0x1.fffffefp127, -0x1.fffffep127});
  add("b", "F64", {1}, std::vector<double>{1});
  write();
  EXPECT_EQ(import_model(file(), layout_, values_), "2 tensors converted from F64");
  constexpr float most = std::numeric_limits<float>::max();
  EXPECT_THAT(values_, ElementsAre(0.1F, 0, most, -most, 1));
}

TEST_F(ModelImport, DoublesBeyondTheRangeOfFloatsAreRefused) {
  add("w", "F64", {2, 2}, std::vector<double>{0, 0, -1e39, 0});
  add("b", "F64", {1}, std::vector<double>{0});
  EXPECT_THAT(refusal(),
              HasSubstr("m.safetensors: tensor \"w\": element [1, 0] is -1e+39; expected what is in "
                        "the range of F32"));
}

TEST_F(ModelImport, WhatIsNotFiniteIsNamed) {
  add("b", "F16", {1}, std::vector<std::uint16_t>{0xfc00});
  add("w", "F32", {2, 2}, std::vector<float>{1, std::nanf(""), 1, 1});
  EXPECT_THAT(refusal(),
              HasSubstr("m.safetensors: tensor \"w\": element [0, 1] is nan; expected a finite number"));
  tensors_.erase("w");
  add("w", "F32", {2, 2}, std::vector<float>{1, 1, 1, 1});
  EXPECT_THAT(refusal(), HasSubstr("tensor \"b\": element [0] is -inf; expected a finite number"));
}

TEST_F(ModelImport, NamesMayBeWrapped) {
  for (const std::string wrapper : {"module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."}) {
    tensors_.clear();
    data_.clear();
    add(wrapper + "b", "F32", {1}, std::vector<float>{5});
    add(wrapper + "w", "F32", {2, 2}, std::vector<float>{1, 2, 3, 4});
    write();
    EXPECT_EQ(import_model(file(), layout_, values_),
              "names taken without \"module.\" or \"_orig_mod.\" before them");
    EXPECT_THAT(values_, ElementsAre(1, 2, 3, 4, 5));
  }
  add("b", "F32", {1}, std::vector<float>{5});
  EXPECT_THAT(refusal(), HasSubstr(R"("_orig_mod.module.b" and "b" would be the same tensor)"));
}

TEST_F(ModelImport, WhatTheFileHasIsListed) {
  add("fc.weight", "F32", {2, 2}, std::vector<float>(4));
  add("b", "F32", {1}, std::vector<float>(1));
  EXPECT_THAT(refusal(),
              EndsWith(R"(m.safetensors: has no tensor "w"; the file has "fc.weight" [2, 2], "b" [1])"));
  add("w", "F32", {4}, std::vector<float>(4));
  EXPECT_THAT(refusal(), AllOf(HasSubstr(R"(tensor "w" has shape [4]; expected [2, 2]; the file has)"),
                               HasSubstr(R"("fc.weight" [2, 2])")));
  add("w", "I32", {2, 2}, std::vector<std::int32_t>(4));
  EXPECT_THAT(refusal(), HasSubstr(R"(tensor "w" is "I32"; expected F32, F16, BF16 or F64; the file has)"));
  add("w", "F32", {2, 2}, std::vector<float>(4));
  EXPECT_THAT(refusal(), HasSubstr(R"(tensor "fc.weight" does not belong to this model; the file has)"));
}

TEST_F(ModelImport, OfManyTensorsSomeAreListed) {
  for (int layer = 0; layer < 100; ++layer) {
    add(fmt::format("a_layer_with_a_long_name.{}.weight", layer), "F32", {1}, std::vector<float>(1));
  }
  const std::string said = refusal();
  EXPECT_THAT(said, AllOf(HasSubstr("a_layer_with_a_long_name.0.weight"), HasSubstr(" more"),
                          Not(HasSubstr("name.99"))));
  EXPECT_LT(said.size(), 700U);
}

TEST_F(ModelImport, DataThatBelongToNoTensorAreRefused) {
  add("w", "F16", {2, 2}, std::vector<std::uint16_t>(4));
  add("b", "F64", {1}, std::vector<double>(1));
  data_ += "more";
  EXPECT_THAT(refusal(), HasSubstr("holds 20 bytes of data; expected 16 as its tensors have"));
  data_.resize(15);
  EXPECT_THAT(refusal(), HasSubstr("tensor \"b\": its 8 bytes are not where data_offsets says"));
}

TEST_F(ModelImport, FilesOfOtherProgramsAreRefused) {
  EXPECT_THAT(refusal_of("PK\x03\x04 and what follows"),
              HasSubstr("is what torch.save writes; expected safetensors, as"));
  EXPECT_THAT(refusal_of("PK"), HasSubstr("not a safetensors file: shorter than 8 bytes"));
  for (const std::string absent : {"absent", "."}) {
    EXPECT_THROW(import_model(folder_ / absent, layout_, values_), std::invalid_argument);
  }
}

TEST_F(ModelImport, APipeWillDo) {
  add("w", "F32", {2, 2}, std::vector<float>{1, 2, 3, 4});
  add("b", "F32", {1}, std::vector<float>{5});
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  std::jthread writer([this] { std::ofstream(folder_ / "pipe", std::ios::binary) << bytes(); });
  EXPECT_EQ(import_model(folder_ / "pipe", layout_, values_), "");
  EXPECT_THAT(values_, ElementsAre(1, 2, 3, 4, 5));
}

}  // namespace
}  // namespace tardigrad
