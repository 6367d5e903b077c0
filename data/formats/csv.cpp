#include "data/formats/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "data/formats/byte_reader.h"
#include "data/formats/dense_rows.h"
#include "data/formats/number_text.h"
#include "data/refuse_file.h"

namespace tardigrad::data {
namespace {

using Cells = std::vector<std::string>;

/// Gives the rows of a text, each with the line that it begins in.
class CsvRows {
 public:
  explicit CsvRows(std::string_view text) : left_(text) {
    const std::string_view first = text.substr(0, text.find('\n'));
    for (const char separator : {',', ';', '\t'}) {
      if (first.find(separator) == first.npos) continue;
      separator_ = separator;
      return;
    }
  }

  /// Returns the next row that is not empty; nothing behind the last. Throws std::invalid_argument for quotes
  /// that never close.
  std::optional<Cells> next() {
    while (!left_.empty()) {
      line_ = next_line_;
      Cells cells = take_row();
      if (cells.size() > 1 || !cells.front().empty()) return cells;
    }
    return std::nullopt;
  }

  std::size_t line() const { return line_; }

 private:
  Cells take_row() {
    Cells cells(1);
    bool quoted = false;
    while (!left_.empty()) {
      const char c = left_.front();
      left_.remove_prefix(1);
      if (c == '\n') ++next_line_;
      if (c == '"') {
        const bool doubled = quoted && left_.starts_with('"');  // stands for one
        if (doubled) left_.remove_prefix(1);
        if (doubled) cells.back() += '"';
        if (!doubled) quoted = !quoted;
      } else if (!quoted && c == separator_) {
        cells.emplace_back();
      } else if (!quoted && c == '\n') {
        break;
      } else {
        cells.back() += c;
      }
    }
    if (quoted) throw std::invalid_argument("its quotes never close, expected a second \"");
    for (std::string& cell : cells) cell = trimmed(cell);
    return cells;
  }

  std::string_view left_;
  char separator_ = ',';
  std::size_t line_ = 1;
  std::size_t next_line_ = 1;
};

class CsvReader {
 public:
  CsvReader(const std::filesystem::path& path, const std::string& label)
      : path_(path), label_(label), text_(read_text(path)), rows_(text_) {}

  NamedExamples read() {
    auto row = next();
    if (!row) refuse("no rows, expected some");
    columns_ = row->size();
    find_label(*row);
    if (is_heading(*row)) {
      names_ = *row;
      row = next();
    }
    for (; row; row = next()) add(*row);
    if (labels_.empty()) refuse("no rows behind the names of the columns, expected some");
    NamedExamples examples{make_rows(path_, labels_.size(), columns_ - 1), {}};
    examples.images.values = std::move(values_);
    examples.images.labels = std::move(labels_);
    examples.class_names = classes_.sort(examples.images.labels);
    return examples;
  }

 private:
  std::optional<Cells> next() {
    try {
      return rows_.next();
    } catch (const std::invalid_argument& error) {
      refuse(error.what());
    }
  }

  void find_label(const Cells& first) {
    if (columns_ < 2) refuse("one column, expected a label and at least one feature");
    const auto named = std::ranges::find(first, label_);
    const auto number = parse_number<std::size_t>(label_);
    if (named != first.end() && (!number || !parse_value(*named))) {
      label_column_ = static_cast<std::size_t>(named - first.begin());
      label_is_named_ = true;
    } else if (number && *number >= 1 && *number <= columns_) {
      label_column_ = *number - 1;
    } else {
      refuse(
          fmt::format("no column {}, expected a name in the first row, such as {}, or a number from 1 to {}",
                      in_quotes(label_), in_quotes(first.back()), columns_));
    }
  }

  bool is_heading(const Cells& first) const {
    if (label_is_named_) return true;
    for (std::size_t i = 0; i < columns_; ++i) {
      if (i != label_column_ && !parse_value(first[i])) return true;
    }
    return false;
  }

  void add(const Cells& row) {
    if (row.size() != columns_) {
      refuse(fmt::format("{} columns, expected {} as in the first row", row.size(), columns_));
    }
    for (std::size_t i = 0; i < columns_; ++i) {
      if (i == label_column_) continue;
      const auto value = parse_float(row[i]);
      if (!value) refuse(fmt::format("{} in {}, expected a number", in_quotes(row[i]), column_name(i)));
      values_.push_back(*value);
    }
    if (row[label_column_].empty()) {
      refuse(fmt::format("nothing in {}, expected a label", column_name(label_column_)));
    }
    try {
      labels_.push_back(classes_.add(row[label_column_]));
    } catch (const std::length_error& error) {
      refuse(error.what());
    }
  }

  std::string column_name(std::size_t i) const {
    return names_.empty() ? fmt::format("column {}", i + 1)
                          : fmt::format("column {} ({})", i + 1, in_quotes(names_[i]));
  }

  [[noreturn]] void refuse(const std::string& reason) const { refuse_line(path_, rows_.line(), reason); }

  std::filesystem::path path_;
  std::string label_;
  std::string text_;
  CsvRows rows_;
  std::size_t columns_ = 0;
  std::size_t label_column_ = 0;
  bool label_is_named_ = false;
  Cells names_;
  std::vector<float> values_;
  std::vector<Label> labels_;
  ClassNames classes_;
};

}  // namespace

NamedExamples read_csv(const std::filesystem::path& path, const std::string& label) {
  return CsvReader(path, label).read();
}

}  // namespace tardigrad::data
