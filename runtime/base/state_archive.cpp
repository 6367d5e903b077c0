#include "runtime/base/state_archive.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace tardigrad {

StateArchive::StateArchive() : json_(std::make_unique<Json>(Json::object())) {}

StateArchive::StateArchive(Json json, std::string what)
    : json_(std::make_unique<Json>(std::move(json))), what_(std::move(what)), restoring_(true) {}

StateArchive::StateArchive(StateArchive&&) noexcept = default;
StateArchive& StateArchive::operator=(StateArchive&&) noexcept = default;
StateArchive::~StateArchive() = default;

bool StateArchive::has(const char* name) const { return json_->contains(name); }

std::size_t StateArchive::length(const char* name) const {
  return array(name, 0, std::numeric_limits<std::size_t>::max()).size();
}

void StateArchive::refuse(const char* name, const std::string& expected) const {
  throw std::invalid_argument(fmt::format("{}: {}: expected {}", what_, name, expected));
}

const StateArchive::Json& StateArchive::member(const char* name) const {
  const auto found = json_->is_object() ? json_->find(name) : json_->end();
  if (found == json_->end()) refuse(name, "it to be there");
  return *found;
}

const StateArchive::Json& StateArchive::array(const char* name, std::size_t least, std::size_t most) const {
  const Json& list = member(name);
  if (!list.is_array() || list.size() < least || list.size() > most) {
    refuse(name,
           least == most ? fmt::format("a list of {}", most) : fmt::format("a list of at most {}", most));
  }
  return list;
}

double StateArchive::real_of(const char* name, const Json& value) const {
  if (value.is_null()) return std::numeric_limits<double>::infinity();
  if (!value.is_number()) refuse(name, "a number");
  return value.get<double>();
}

std::optional<double> StateArchive::real_or_nothing(const char* name, const Json& value) const {
  return value.is_null() ? std::nullopt : std::optional(real_of(name, value));
}

template <std::integral T>
T StateArchive::whole(const char* name, const Json& value, T least, T most) const {
  const bool fits = value.is_number_unsigned()
                        ? std::in_range<T>(value.get<std::uint64_t>())
                        : value.is_number_integer() && std::in_range<T>(value.get<std::int64_t>());
  const T result = fits ? value.get<T>() : T{};
  if (!fits || result < least || result > most) {
    refuse(name, "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return result;
}

template <std::integral Wide>
void StateArchive::whole_number(const char* name, Wide& value, Wide least, Wide most) {
  if (restoring_) {
    value = whole(name, member(name), least, most);
  } else {
    (*json_)[name] = value;
  }
}
template void StateArchive::whole_number(const char*, std::int64_t&, std::int64_t, std::int64_t);
template void StateArchive::whole_number(const char*, std::uint64_t&, std::uint64_t, std::uint64_t);

template <std::integral Wide>
void StateArchive::whole_numbers(const char* name, std::vector<Wide>& values, std::size_t count, Wide least,
                                 Wide most) {
  if (!restoring_) {
    (*json_)[name] = values;
    return;
  }
  const Json& list = array(name, count, count);
  values.clear();
  for (const Json& value : list) values.push_back(whole(name, value, least, most));
}
template void StateArchive::whole_numbers(const char*, std::vector<std::int64_t>&, std::size_t, std::int64_t,
                                          std::int64_t);
template void StateArchive::whole_numbers(const char*, std::vector<std::uint64_t>&, std::size_t,
                                          std::uint64_t, std::uint64_t);

StateArchive StateArchive::begin_object(const char* name) const {
  return restoring_ ? StateArchive(member(name), what_ + "." + name) : StateArchive();
}

void StateArchive::end_object(const char* name, StateArchive& inner) {
  if (!restoring_) (*json_)[name] = std::move(*inner.json_);
}

void StateArchive::flag(const char* name, bool& value) {
  if (!restoring_) {
    (*json_)[name] = value;
    return;
  }
  const Json& given = member(name);
  if (!given.is_boolean()) refuse(name, "true or false");
  value = given.get<bool>();
}

void StateArchive::text(const char* name, std::string& value) {
  if (!restoring_) {
    (*json_)[name] = value;
    return;
  }
  const Json& given = member(name);
  if (!given.is_string()) refuse(name, "a text");
  value = given.get<std::string>();
}

void StateArchive::real(const char* name, double& value) {
  if (restoring_) {
    value = real_of(name, member(name));
  } else {
    (*json_)[name] = value;  // null where it is infinite
  }
}

void StateArchive::real(const char* name, std::optional<double>& value) {
  if (!restoring_) {
    (*json_)[name] = value ? Json(*value) : Json();
    return;
  }
  value = real_or_nothing(name, member(name));
}

void StateArchive::lists(const char* name, std::vector<std::vector<std::uint64_t>>& values,
                         std::size_t count) {
  if (!restoring_) {
    (*json_)[name] = values;
    return;
  }
  values.clear();
  for (const Json& list : array(name, count, count)) {
    if (!list.is_array()) refuse(name, "lists");
    std::vector<std::uint64_t>& numbers = values.emplace_back();
    for (const Json& value : list) numbers.push_back(whole(name, value, std::uint64_t{0}, any));
  }
}

void StateArchive::reals(const char* name, std::vector<double>& values, std::size_t count) {
  if (!restoring_) {
    (*json_)[name] = values;
    return;
  }
  const Json& list = array(name, count, count);
  values.clear();
  for (const Json& value : list) values.push_back(real_of(name, value));
}

void StateArchive::texts(const char* name, std::vector<std::string>& values, std::size_t count) {
  if (!restoring_) {
    (*json_)[name] = values;
    return;
  }
  values.clear();
  for (const Json& value : array(name, count, count)) {
    if (!value.is_string()) refuse(name, "texts");
    values.push_back(value.get<std::string>());
  }
}

void StateArchive::reals(const char* name, std::vector<std::optional<double>>& values, std::size_t most) {
  if (!restoring_) {
    (*json_)[name] = Json::array();
    for (const auto& value : values) (*json_)[name].push_back(value ? Json(*value) : Json());
    return;
  }
  values.clear();
  if (json_->is_object() && !json_->contains(name)) return;
  for (const Json& value : array(name, 0, most)) values.push_back(real_or_nothing(name, value));
}

void StateArchive::flags(const char* name, std::vector<bool>& values, std::size_t count) {
  std::vector<int> bits(values.begin(), values.end());
  numbers(name, bits, count, 0, 1);
  values.assign(bits.begin(), bits.end());
}

void StateArchive::workers(const char* name, std::vector<int>& values, int n, bool all) {
  if (!restoring_) {
    (*json_)[name] = values;
    return;
  }
  const auto most = static_cast<std::size_t>(n);
  const Json& list = array(name, all ? most : 0, most);
  std::vector<bool> seen(most);
  values.clear();
  for (const Json& value : list) {
    const int worker = whole(name, value, 0, n - 1);
    if (seen[static_cast<std::size_t>(worker)]) refuse(name, "no worker twice");
    seen[static_cast<std::size_t>(worker)] = true;
    values.push_back(worker);
  }
}

}  // namespace tardigrad
