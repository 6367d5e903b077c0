#pragma once

#include <optional>
#include <string>

#include "models/precision.h"
#include "runtime/execution/completions.h"
#include "runtime/methods/method.h"
#include "runtime/server/gradient_route.h"
#include "tools/options/option_row.h"

namespace tardigrad {

// What the values of the options are that say what is run. Types that several options have, whatever they
// say, stand in option_values.h.

/// Words and lists of words and numbers, in the spelling of in_plain_spelling(); behind `prefix` the name of
/// a file, as it is.
OptionType<std::string> words_or_file(const std::string& values, const std::string& prefix);

OptionType<std::string> model_name();
OptionType<std::string> dataset_name();
OptionType<std::string> method_name();
OptionType<RanksOver> ranks_over();
OptionType<SyncOver> sync_over();
OptionType<std::optional<GradientRoute>> gradient_route();
OptionType<models::Precision> precision();
OptionType<bool> on_or_off();
OptionType<LostRows> lost_rows();
OptionType<TableType> table_type();
OptionType<std::optional<Completions>> completions();
OptionType<bool> host_or_device();
OptionType<ClockKind> clock_kind();
OptionType<Optimizer> optimizer();
OptionType<double> number_from_0();
OptionType<double> any_number();
OptionType<double> share_below_1();
OptionType<data::ImageSize> image_size();
OptionType<data::Colour> colour();

/// Makes the row of TrainOptions::batch_size. Records hold a number where one says it all.
OptionRow batch_size_row(OptionTraits traits);

}  // namespace tardigrad
