#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tardigrad::data {

/// Holds what a pickle of plain Python objects has. Nothing of it is executed: what calls for a function is a
/// value with the function's name, what it was called with, and the state that it was given.
struct PickleValue {
  enum class Kind { none, number, text, list, dictionary, tuple, function, object };

  Kind kind = Kind::none;
  std::int64_t number = 0;     ///< also 0 and 1 for False and True
  std::string_view text = {};  ///< of text, bytes, and the name of a function
  /// Holds the members of a list or tuple, the keys and values of a dictionary in turn, or of an object the
  /// function, what it was called with, and its state.
  std::vector<const PickleValue*> members = {};

  /// Returns the value of a key that is a text; null where there is none.
  const PickleValue* at(std::string_view key) const;
};

/// Is a file as Python's pickle writes plain objects, in protocols 2 to 5, with the values in it.
class Pickle {
 public:
  /// Reads the file. Throws std::invalid_argument naming it for what is no pickle, is cut short or has what
  /// plain objects have not.
  explicit Pickle(const std::filesystem::path& path);
  Pickle(const Pickle&) = delete;
  Pickle& operator=(const Pickle&) = delete;

  const PickleValue& value() const { return *value_; }

 private:
  friend class PickleReader;

  std::string file_;
  std::deque<PickleValue> values_;  // one owner of all, so that deep ones need no deep destructors
  const PickleValue* value_ = nullptr;
};

}  // namespace tardigrad::data
