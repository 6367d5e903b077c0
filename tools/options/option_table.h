#pragma once

#include <string_view>
#include <vector>

#include "tools/options/option_row.h"

namespace tardigrad {

/// Gives all that is known of the options of `train`, a row each, in the order of records.
const std::vector<OptionRow>& option_table();

/// Gives the row of that name, which there is.
const OptionRow& row_of(std::string_view name);

/// Gives the rows of the options that a record holds.
std::vector<OptionRow> rows_of(Record record);

/// Gives the options for runs of that method (a known name): without those that only other methods have a use
/// for.
TrainOptions options_for_method(const TrainOptions& options, const std::string& method);

/// Resets the options that none of the methods (known names) has a use for.
void reset_without_use(TrainOptions& options, const std::vector<std::string>& methods);

/// Throws std::invalid_argument for an option that none of the methods has a use for.
void require_use(const TrainOptions& options, const std::vector<std::string>& methods);

// These are the rows of option_table(): those of the record of what is run, and the others.
std::vector<OptionRow> run_rows();
std::vector<OptionRow> output_rows();

}  // namespace tardigrad
