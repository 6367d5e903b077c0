#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tardigrad {

// JSON that may come from anywhere. The library reads it with care, but copies, compares and writes values
// recursively, looks members of ordered objects up one by one, and converts numbers without asking.

/// Limits how deep a text may nest, and how many members an object may have.
constexpr std::size_t most_json_nesting = 64;
constexpr std::size_t most_json_members = 10'000;

/// Tells whether a JSON text stays within these limits. It says nothing of what is no JSON.
bool is_moderate_json(std::string_view text);

// The following are for nlohmann::json and nlohmann::ordered_json. They are compiled once, in json_text.cpp:
// wherever the library's own parse() and dump() are called, its parser and writer are compiled again, which
// takes seconds.

/// Returns the value that `text` is. It is discarded (`is_discarded()`) where `text` is none, or not a
/// moderate one.
template <typename Json = nlohmann::json>
Json parse_json(std::string_view text);

/// Returns the value that `text` is, which this program has written. Throws Json::parse_error where it is
/// none.
template <typename Json = nlohmann::json>
Json parse_own_json(std::string_view text);

/// Returns the text of a value, on one line, or with so many spaces a level on several. Throws
/// Json::type_error where it holds a text that is not in UTF-8.
template <typename Json>
std::string json_text(const Json& value, int indent = -1);

/// Returns the text of a value, on one line, in which what is not UTF-8 is replaced (U+FFFD).
template <typename Json>
std::string json_text_of_any_bytes(const Json& value);

/// Reads a member of an object, by becoming the number, text or list of whole numbers that it initialises.
/// Throws std::invalid_argument where the member is not there or no such thing. Whole numbers are not
/// rounded, and must fit.
template <typename Json>
class JsonMember {
 public:
  JsonMember(const Json& object, const char* name) : value_(find(object, name)) {}

  template <std::integral T>
  requires(!std::same_as<T, bool>) operator T() const { return whole<T>(value_); }

  template <std::floating_point T>
  operator T() const {
    require(value_.is_number());
    return static_cast<T>(value_.template get<double>());
  }

  operator std::string() const {
    require(value_.is_string());
    return value_.template get<std::string>();
  }

  template <std::integral T>
  operator std::vector<T>() const {
    require(value_.is_array());
    std::vector<T> list;
    for (const Json& value : value_) list.push_back(whole<T>(value));
    return list;
  }

 private:
  static void require(bool holds) {
    if (!holds) throw std::invalid_argument("JSON of another kind than expected");
  }

  static const Json& find(const Json& object, const char* name) {
    require(object.is_object() && object.contains(name));
    return *object.find(name);
  }

  template <std::integral T>
  static T whole(const Json& value) {
    require(value.is_number_unsigned()
                ? std::in_range<T>(value.template get<std::uint64_t>())
                : value.is_number_integer() && std::in_range<T>(value.template get<std::int64_t>()));
    return value.template get<T>();
  }

  const Json& value_;
};

template <typename Json>
JsonMember<Json> json_member(const Json& object, const char* name) {
  return {object, name};
}

/// Returns the value, or JSON's null where there is none.
template <typename T>
nlohmann::ordered_json or_null(const std::optional<T>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

/// Returns foreign text for a message: in quotes, on one line, in ASCII, and not too long.
std::string in_quotes(std::string_view text);

}  // namespace tardigrad
