#include "tools/options/option_table.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

namespace tardigrad {
namespace {

std::vector<OptionRow> all_rows() {
  std::vector<OptionRow> rows = run_rows();
  std::ranges::move(output_rows(), std::back_inserter(rows));
  return rows;
}

/// Tells whether one of the methods has a use for the option.
bool has_use(const OptionRow& row, const std::vector<std::string>& methods) {
  if (!row.feature) return true;
  return std::ranges::any_of(methods,
                             [&row](const std::string& method) { return has_feature(method, *row.feature); });
}

}  // namespace

std::string OptionRow::flag() const {
  std::string flag = "--" + name;
  std::ranges::replace(flag, '_', '-');
  return flag;
}

OptionRow make_switch_row(OptionTraits traits, bool TrainOptions::*is_on) {
  OptionRow row{std::move(traits)};
  row.value = [is_on](const TrainOptions& options) { return options.*is_on; };
  row.reset = [is_on](TrainOptions& options) { options.*is_on = TrainOptions{}.*is_on; };
  row.is_on = is_on;
  return row;
}

const std::vector<OptionRow>& option_table() {
  static const std::vector<OptionRow> table = all_rows();
  return table;
}

const OptionRow& row_of(std::string_view name) {
  return *std::ranges::find(option_table(), name, &OptionRow::name);
}

std::vector<OptionRow> rows_of(Record record) {
  std::vector<OptionRow> rows;
  std::ranges::copy_if(option_table(), std::back_inserter(rows),
                       [record](const OptionRow& row) { return row.record == record; });
  return rows;
}

TrainOptions options_for_method(const TrainOptions& options, const std::string& method) {
  TrainOptions kept = options;
  kept.method = method;
  reset_without_use(kept, {method});
  return kept;
}

void reset_without_use(TrainOptions& options, const std::vector<std::string>& methods) {
  for (const OptionRow& row : option_table()) {
    if (!has_use(row, methods)) row.reset(options);
  }
}

void require_use(const TrainOptions& options, const std::vector<std::string>& methods) {
  for (const OptionRow& row : option_table()) {
    if (has_use(row, methods) || row.value(options).is_null()) continue;
    require_feature(methods.front(), *row.feature, row.flag());
  }
}

}  // namespace tardigrad
