#include "runtime/checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace tardigrad {
namespace {

using ::testing::HasSubstr;

class Safetensors : public ::testing::Test {
 protected:
  Safetensors() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("tardigrad-safetensors-") + test->name() + "-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    layout_.add("a.weight", {2, 3});
    layout_.add("a.bias", {2});
  }
  ~Safetensors() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path file(const char* name = "model.safetensors") const { return folder_ / name; }

  /// A file with this header and so many bytes of data.
  std::filesystem::path write(const std::string& header, std::size_t data_bytes) const {
    std::ofstream out(file(), std::ios::binary);
    const std::uint64_t size = header.size();
    out.write(reinterpret_cast<const char*>(&size), 8);
    out << header << std::string(data_bytes, '\0');
    return file();
  }

  std::string refusal(const std::filesystem::path& path) const {
    std::vector<float> values(layout_.dimension());
    try {
      load_safetensors(path, layout_, values);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "accepted";
  }

  std::filesystem::path folder_;
  ParameterLayout layout_;
};

constexpr const char* good_bias = R"("a.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";

TEST_F(Safetensors, WhatIsSavedIsLoaded) {
  const std::vector<float> saved = {1, 2, 3, 4, 5, 6, 7, -0.0F};
  save_safetensors(file(), layout_, saved);
  std::vector<float> loaded(8);
  load_safetensors(file(), layout_, loaded);
  EXPECT_EQ(loaded, saved);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);  // no .partial left
}

TEST_F(Safetensors, TheOrderInTheFileIsFree) {
  const std::string header = std::string(R"({"__metadata__":{"format":"pt"},)") + good_bias +
                             R"(,"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]}})";
  std::vector<float> loaded(8, -1);
  load_safetensors(write(header, 32), layout_, loaded);
  EXPECT_EQ(loaded, std::vector<float>(8, 0));
}

TEST_F(Safetensors, RefusalsNameTheFileAndTheTensor) {
  const std::string bias = good_bias;
  const auto with_weight = [&](const std::string& weight) {
    return refusal(write("{" + bias + weight + "}", 32));
  };
  EXPECT_THAT(refusal(file("absent")), HasSubstr("absent: cannot be read: No such file"));
  EXPECT_THAT(with_weight(""), HasSubstr("model.safetensors: has no tensor \"a.weight\""));
  EXPECT_THAT(with_weight(R"(,"a.weight":{"dtype":"F16","shape":[2,3],"data_offsets":[8,20]})"),
              HasSubstr("tensor \"a.weight\" is \"F16\"; expected \"F32\""));
  EXPECT_THAT(with_weight(R"(,"a.weight":{"dtype":"F32","shape":[3,2],"data_offsets":[8,32]})"),
              HasSubstr("tensor \"a.weight\" has shape [3, 2]; expected [2, 3]"));
  EXPECT_THAT(with_weight(R"(,"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[8,33]})"),
              HasSubstr("its 24 bytes are not where"));
  EXPECT_THAT(with_weight(R"(,"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[80,104]})"),
              HasSubstr("its 24 bytes are not where"));
  EXPECT_THAT(with_weight(R"(,"a.weight":{"shape":[2,3]})"),
              HasSubstr("expected dtype, shape and data_offsets"));
  EXPECT_THAT(with_weight(R"(,"a.weight":7)"), HasSubstr("expected dtype, shape and data_offsets"));
  EXPECT_THAT(with_weight(R"(,"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},"b":{})"),
              HasSubstr("tensor \"b\" does not belong to this model"));
}

TEST_F(Safetensors, DataThatBelongToNoTensorAreRefused) {
  const std::string header =
      std::string("{") + good_bias + R"(,"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]}})";
  EXPECT_EQ(refusal(write(header, 32)), "accepted");
  EXPECT_THAT(refusal(write(header, 36)), HasSubstr("holds 36 bytes of data; expected 32"));
}

TEST_F(Safetensors, NamesFromTheFileStayOnOneLine) {
  const std::string header = std::string("{") + good_bias + R"(,"x\n\u001b[2J":{},)" +
                             R"("a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]}})";
  EXPECT_THAT(refusal(write(header, 32)), HasSubstr(R"(tensor "x\n\u001b[2J" does not belong)"));
}

TEST_F(Safetensors, FilesThatAreNoneAreRefused) {
  EXPECT_THAT(refusal(write("nonsense", 0)), HasSubstr("its header is not a JSON object"));
  EXPECT_THAT(refusal(write("[]", 0)), HasSubstr("its header is not a JSON object"));
  std::ofstream(file(), std::ios::binary) << "abc";
  EXPECT_THAT(refusal(file()), HasSubstr("shorter than 8 bytes"));
  std::ofstream(file(), std::ios::binary) << std::string(20, '\xff');
  EXPECT_THAT(refusal(file()), HasSubstr("claims 18446744073709551615 bytes, the file has 20"));
  EXPECT_THAT(refusal(folder_), HasSubstr("cannot be read"));
}

TEST_F(Safetensors, SavingIntoNowhereSaysSo) {
  try {
    save_safetensors(folder_ / "no" / "file", layout_, std::vector<float>(8));
    FAIL() << "saved";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("no/file: cannot be written"));
  }
}

}  // namespace
}  // namespace tardigrad
