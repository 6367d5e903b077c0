#include "tools/options/option_records.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <string_view>

#include "runtime/base/json_text.h"
#include "tools/options/option_table.h"

namespace tardigrad {
namespace {

using Json = nlohmann::ordered_json;

/// For a shell; plain words stay as they are.
std::string quoted(const std::string& word) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_-+=:,./@%").find(c) != std::string_view::npos;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
  std::string result = "'";
  for (const char c : word) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

Json members_of(Record record, const TrainOptions& options) {
  Json members;
  for (const OptionRow& row : option_table()) {
    if (row.record == record) members[row.name] = row.value(options);
  }
  return members;
}

/// Whether a flag's value is to stay unknown.
bool is_secret(const std::string& flag) {
  return std::ranges::any_of(option_table(),
                             [&](const OptionRow& row) { return row.secret && row.flag() == flag; });
}

/// A word of a command line; `before` stands in front of it.
std::string shown_word(const std::string& word, const std::string& before) {
  if (is_secret(before)) return "...";
  const std::string flag = word.substr(0, word.find('='));
  return flag != word && is_secret(flag) ? flag + "=..." : quoted(word);
}

}  // namespace

std::string to_json(const TrainOptions& options) { return json_text(members_of(Record::run, options)); }

std::string outputs_json(const TrainOptions& options) {
  return json_text(members_of(Record::outputs, options));
}

bool is_given(const Json& value) {
  return !value.is_null() && !(value.is_string() && value.get_ref<const std::string&>().empty());
}

TrainOptions recorded_options(const Json& run) {
  TrainOptions options;
  for (const OptionRow& row : rows_of(Record::run)) {
    const Json value = run.value(row.name, Json());
    if (!is_given(value)) continue;
    if (row.is_on) {
      options.*row.is_on = value == true;
    } else {
      row.parse(options, text_of(value));
    }
  }
  return options;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : json_text(value);
}

/// The seed is always named: a run without one is easily taken for any.
std::string repeat_command(const TrainOptions& options) {
  std::string command = "tardigrad train";
  for (const OptionRow& row : rows_of(Record::run)) {
    const Json value = row.value(options);
    if (value == row.value({}) && row.name != "seed") continue;
    command += " " + row.flag();
    if (!row.is_on) command += " " + quoted(text_of(value));
  }
  return command;
}

std::string command_line_of(std::span<const std::string> words) {
  std::string line;
  std::string before;
  for (const std::string& word : words) {
    line += (line.empty() ? "" : " ") + shown_word(word, before);
    before = word;
  }
  return line;
}

}  // namespace tardigrad
