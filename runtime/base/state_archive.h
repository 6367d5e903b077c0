#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace tardigrad {

/// Saves and restores state by name, as JSON. One function that visits its members serves both directions:
///
///   void visit_state(StateArchive& state) {
///     state.number("round", round_, 0, n);
///     state.flag("warm", warm_);
///   }
///
/// Numbers keep their bits. What is restored may come from anywhere: ranges and sizes are checked, and what
/// does not fit throws std::invalid_argument naming the member and what was expected.
class StateArchive {
 public:
  using Json = nlohmann::ordered_json;

  /// The largest whole number, for those that may be any.
  static constexpr std::uint64_t any = std::numeric_limits<std::uint64_t>::max();

  /// Saves: visited members are written to json().
  StateArchive();

  /// Restores: visited members are read from an object; `what` names it in messages.
  StateArchive(Json json, std::string what);

  StateArchive(StateArchive&&) noexcept;
  StateArchive& operator=(StateArchive&&) noexcept;
  ~StateArchive();

  bool restoring() const { return restoring_; }
  /// Tells whether a member of that name is there to be restored, as older checkpoints may not have it.
  bool has(const char* name) const;
  const Json& json() const { return *json_; }

  void flag(const char* name, bool& value);

  void text(const char* name, std::string& value);

  /// Visits a whole number in [least, most].
  template <std::integral T>
  void number(const char* name, T& value, T least, T most) {
    Widest<T> wide = value;
    whole_number<Widest<T>>(name, wide, least, most);
    value = static_cast<T>(wide);
  }

  /// Visits any double but NaN. Infinities are written as null, with the sign lost: they come back positive.
  void real(const char* name, double& value);

  /// Visits a double, or null where there is none.
  void real(const char* name, std::optional<double>& value);

  /// Visits exactly `count` lists of whole numbers.
  void lists(const char* name, std::vector<std::vector<std::uint64_t>>& values, std::size_t count);

  /// Visits exactly `count` whole numbers, each in [least, most].
  template <std::integral T>
  void numbers(const char* name, std::vector<T>& values, std::size_t count, T least, T most) {
    std::vector<Widest<T>> wide(values.begin(), values.end());
    whole_numbers<Widest<T>>(name, wide, count, least, most);
    values.assign(wide.begin(), wide.end());
  }

  /// Returns the length of a list that is restored.
  std::size_t length(const char* name) const;

  /// Visits exactly `count` doubles.
  void reals(const char* name, std::vector<double>& values, std::size_t count);

  /// Visits a list of exactly `count` texts.
  void texts(const char* name, std::vector<std::string>& values, std::size_t count);

  /// Visits at most `most` doubles, with nothing in the place of some. There are none where the member is not
  /// there, as in what older programs saved.
  void reals(const char* name, std::vector<std::optional<double>>& values, std::size_t most);

  /// Visits exactly `count` flags.
  void flags(const char* name, std::vector<bool>& values, std::size_t count);

  /// Visits different workers out of 0 … n−1, in their order: at most n, or, with `all`, each of them once.
  void workers(const char* name, std::vector<int>& values, int n, bool all = false);

  /// Visits an object of its own by visit(StateArchive&).
  template <typename Visit>
  void object(const char* name, const Visit& visit) {
    StateArchive inner = begin_object(name);
    visit(inner);
    end_object(name, inner);
  }

  [[noreturn]] void refuse(const char* name, const std::string& expected) const;

 private:
  template <std::integral T>
  using Widest = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;

  template <std::integral Wide>
  void whole_number(const char* name, Wide& value, Wide least, Wide most);
  template <std::integral Wide>
  void whole_numbers(const char* name, std::vector<Wide>& values, std::size_t count, Wide least, Wide most);
  StateArchive begin_object(const char* name) const;
  void end_object(const char* name, StateArchive& inner);

  const Json& member(const char* name) const;
  const Json& array(const char* name, std::size_t least, std::size_t most) const;
  double real_of(const char* name, const Json& value) const;
  std::optional<double> real_or_nothing(const char* name, const Json& value) const;

  template <std::integral T>
  T whole(const char* name, const Json& value, T least, T most) const;

  std::unique_ptr<Json> json_;  // an object
  std::string what_;
  bool restoring_ = false;
};

}  // namespace tardigrad
