#include "data/formats/libsvm.h"

#include <fmt/format.h>

#include <optional>
#include <stdexcept>
#include <string_view>

#include "data/formats/byte_reader.h"
#include "data/formats/dense_rows.h"
#include "data/formats/number_text.h"
#include "data/refuse_file.h"

namespace tardigrad::data {
namespace {

constexpr std::uint32_t most_features = 1U << 30;

/// Takes what stands before the next blank off a line.
std::string_view take_word(std::string_view& line) {
  line = trimmed(line);
  const std::size_t end = std::min(line.find_first_of(blanks), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

class LibsvmReader {
 public:
  explicit LibsvmReader(const std::filesystem::path& path) { rows_.path = path; }

  SparseRows read() {
    const std::string text = read_text(rows_.path);
    for (std::string_view left = text; !left.empty();) {
      ++line_number_;
      std::string_view line = take_line(left);
      line = trimmed(line.substr(0, line.find('#')));
      if (!line.empty()) add(line);
    }
    if (rows_.labels.empty()) refuse("no rows, expected lines LABEL INDEX:VALUE …");
    rows_.begin.push_back(rows_.columns.size());
    rows_.class_names = names_.sort(rows_.labels);
    return std::move(rows_);
  }

 private:
  void add(std::string_view line) {
    const std::string_view label = take_word(line);
    if (!parse_value(label) && label.find(':') != label.npos) {
      refuse(fmt::format("begins with {}, expected a label", in_quotes(label)));
    }
    try {
      rows_.labels.push_back(names_.add(label));
    } catch (const std::length_error& error) {
      refuse(error.what());
    }
    rows_.begin.push_back(rows_.columns.size());
    for (line = trimmed(line); !line.empty(); line = trimmed(line)) add_feature(take_word(line));
  }

  void add_feature(std::string_view word) {
    const std::size_t colon = std::min(word.find(':'), word.size());
    const std::uint32_t index = parse_number<std::uint32_t>(word.substr(0, colon)).value_or(0);
    const auto value = colon < word.size() ? parse_float(word.substr(colon + 1)) : std::nullopt;
    if (index == 0 || index > most_features || !value) {
      refuse(fmt::format("{}, expected INDEX:VALUE, an index from 1 to {} and a number", in_quotes(word),
                         most_features));
    }
    const bool first = rows_.columns.size() == rows_.begin.back();
    if (!first && index - 1 <= rows_.columns.back()) {
      refuse(
          fmt::format("index {} comes after {}, expected ascending ones", index, rows_.columns.back() + 1));
    }
    rows_.columns.push_back(index - 1);
    rows_.values.push_back(*value);
    rows_.features = std::max<std::size_t>(rows_.features, index);
  }

  [[noreturn]] void refuse(const std::string& reason) const { refuse_line(rows_.path, line_number_, reason); }

  SparseRows rows_;
  ClassNames names_;
  std::size_t line_number_ = 0;
};

}  // namespace

NamedExamples SparseRows::dense(std::size_t all_features) const {
  NamedExamples examples{make_rows(path, labels.size(), all_features), class_names};
  for (std::size_t row = 0; row < labels.size(); ++row) {
    float* const out = examples.images.values.data() + row * all_features;
    for (std::size_t i = begin[row]; i < begin[row + 1]; ++i) out[columns[i]] = values[i];
  }
  examples.images.labels = labels;
  return examples;
}

SparseRows read_libsvm(const std::filesystem::path& path) { return LibsvmReader(path).read(); }

}  // namespace tardigrad::data
