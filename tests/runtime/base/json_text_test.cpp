#include "runtime/base/json_text.h"

#include <gtest/gtest.h>

namespace tardigrad {
namespace {

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

std::string object_of(std::size_t members) {
  std::string text = "{";
  for (std::size_t i = 0; i < members; ++i) text += "\"" + std::to_string(i) + "\":0,";
  text.back() = '}';
  return text;
}

TEST(ParseJson, TakesModerateTextsAndRefusesOthers) {
  EXPECT_EQ(parse_json(R"({"a":[1,2]})")["a"][1], 2);
  EXPECT_TRUE(parse_json("{").is_discarded());
  EXPECT_TRUE(parse_json(nested(most_json_nesting)).is_array());
  EXPECT_TRUE(parse_json(nested(most_json_nesting + 1)).is_discarded());
  EXPECT_TRUE(parse_json(std::string(10'000'000, '[')).is_discarded());
  EXPECT_EQ(parse_json(object_of(most_json_members)).size(), most_json_members);
  EXPECT_TRUE(parse_json(object_of(most_json_members + 1)).is_discarded());
}

TEST(ParseJson, BracketsAndColonsInTextsDoNotCount) {
  EXPECT_EQ(parse_json("[\"" + std::string(1000, '[') + R"(\"{{"])")[0].get<std::string>().size(), 1003U);
  EXPECT_TRUE(parse_json("[\"" + std::string(2 * most_json_members, ':') + "\"]").is_array());
}

TEST(ParseJson, ListsMayBeLong) {
  std::string text = "[";
  for (int i = 0; i < 50'000; ++i) text += R"({"a":0},)";
  text.back() = ']';
  EXPECT_EQ(parse_json(text).size(), 50'000U);
}

template <typename T>
bool takes(const char* value) {
  const auto json = parse_json(std::string(R"({"x":)") + value + "}");
  try {
    [[maybe_unused]] const T taken = json_member(json, "x");
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

TEST(JsonMember, IsOnlyWhatItIsTakenFor) {
  EXPECT_TRUE(takes<int>("-7"));
  EXPECT_FALSE(takes<int>("2147483648"));
  EXPECT_FALSE(takes<int>("1.0"));
  EXPECT_FALSE(takes<int>("true"));
  EXPECT_TRUE(takes<std::uint64_t>("18446744073709551615"));
  EXPECT_FALSE(takes<std::uint64_t>("-1"));
  EXPECT_TRUE(takes<double>("3"));
  EXPECT_FALSE(takes<double>("null"));
  EXPECT_TRUE(takes<std::string>(R"("text")"));
  EXPECT_FALSE(takes<std::string>("1"));
  EXPECT_TRUE(takes<std::vector<std::int64_t>>("[1,-2]"));
  EXPECT_FALSE(takes<std::vector<std::int64_t>>("[1,1e300]"));
  EXPECT_THROW(static_cast<void>(static_cast<int>(json_member(parse_json("[]"), "x"))),
               std::invalid_argument);
}

TEST(InQuotes, IsOneShortLine) {
  EXPECT_EQ(in_quotes("a\nb\x1b\xff"), R"("a\nb\u001b\ufffd")");
  EXPECT_LT(in_quotes(std::string(1000, '\n')).size(), 200U);
}

}  // namespace
}  // namespace tardigrad
