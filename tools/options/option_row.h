#pragma once

#include <fmt/format.h>

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "runtime/methods/method.h"
#include "tools/options/option_values.h"
#include "tools/options/train_options.h"

namespace tardigrad {

/// Names the sections of a command's manual, in the order that `train` has them in. Some share a heading.
enum class Section {
  choice,  ///< what `compare` has lists of
  problem,
  method,
  server,
  machine,
  ranks,  ///< where, over the processes of one run
  length,
  targets,
  log,
  log_format,
  outputs,
  checkpoints,
  quiet,
  checks
};

/// Says which record of a run holds an option.
enum class Record {
  none,
  run,     ///< what is run: that of logs, recordings and checkpoints
  outputs  ///< what the run leaves, which whoever resumes it need not say again: that of checkpoints
};

/// Says when a run that repeats or resumes another may have another value of an option than that one.
enum class MayDiffer {
  never,
  always,
  unless_schedule_ends,  ///< unless the step size follows the end of the run
  in_wall_time,
};

/// Holds what a row of option_table() says of its option, besides its type.
struct OptionTraits {
  std::string name;  ///< in records; the flag has dashes in place of its underscores
  std::string help;
  Section section;
  int place = 0;    ///< in the section of the manual: lower ones come first, equal ones as in the table
  char letter = 0;  ///< a short flag besides
  bool required = false;
  bool secret = false;                  ///< no record, file or message may hold its value
  std::optional<Feature> feature = {};  ///< methods without it have no use for the option
  Record record = Record::run;
  MayDiffer on_replay = MayDiffer::never;
  MayDiffer on_resume = MayDiffer::never;
  bool goes_with_workers = false;  ///< may also differ on resume where the number of workers does
  bool says_where = false;         ///< where the run takes place or finds its data, and not what it computes
};

/// Holds all that is known of an option: a row of option_table().
struct OptionRow : OptionTraits {
  std::string values = {};  ///< as the manual calls them; empty for a switch, which has none
  /// Sets the option to what a text means. Throws BadValue. A switch has none.
  std::function<void(TrainOptions&, const std::string& text)> parse = {};
  /// Gives the option as records hold it: a text that parse() reads, a number, a truth value, or null where
  /// it was not given.
  std::function<nlohmann::ordered_json(const TrainOptions&)> value = {};
  /// Gives the value as the manual shows the default; empty where that is nothing.
  std::function<std::string(const TrainOptions&)> shown = {};
  std::function<void(TrainOptions&)> reset = {};  ///< to its default
  bool TrainOptions::*is_on = nullptr;            ///< of a switch

  /// Gives the flag: "--server-device".
  std::string flag() const;
};

/// Gives the value as records hold it. Whoever calls this includes JSON's full header.
template <typename Value, typename Json = nlohmann::ordered_json>
Json recorded(const OptionType<Value>& type, const Value& value) {
  if constexpr (std::is_arithmetic_v<Value> || std::is_same_v<Value, std::string>) {
    if (!type.print) return value;
  }
  return type.print(value);
}

/// Gives the value as the manual shows it.
template <typename Value>
std::string shown(const OptionType<Value>& type, const Value& value) {
  if (type.show) return type.show(value);
  if constexpr (std::is_arithmetic_v<Value> || std::is_same_v<Value, std::string>) {
    if (!type.print) return fmt::format("{}", value);
  }
  return type.print(value);
}

/// Makes the row of a member of TrainOptions, or of what else std::invoke gives of it: a value of that type,
/// or an optional one, which is null in records where there is none.
template <typename Member, typename Value>
OptionRow make_row(OptionTraits traits, Member member, OptionType<Value> type) {
  OptionRow row{std::move(traits), type.values};
  row.parse = [member, type, flag = row.flag()](TrainOptions& options, const std::string& text) {
    std::invoke(member, options) = type.parse(flag, text);
  };
  row.reset = [member](TrainOptions& options) {
    const TrainOptions defaults;
    std::invoke(member, options) = std::invoke(member, defaults);
  };
  using Type = std::decay_t<std::invoke_result_t<Member, const TrainOptions&>>;
  if constexpr (std::is_same_v<Type, Value>) {
    row.value = [member, type](const TrainOptions& options) {
      return recorded(type, std::invoke(member, options));
    };
    row.shown = [member, type](const TrainOptions& options) {
      return shown(type, std::invoke(member, options));
    };
  } else {
    row.value = [member, type](const TrainOptions& options) {
      const Type& target = std::invoke(member, options);
      using Json = decltype(recorded(type, *target));
      return target ? recorded(type, *target) : Json(nullptr);
    };
    row.shown = [](const TrainOptions&) { return std::string(); };
  }
  return row;
}

/// Makes the row of an option that says where a run takes place: a replay, or a resumed run, may have
/// another.
template <typename Member, typename Value>
OptionRow make_where_row(OptionTraits traits, Member member, OptionType<Value> type) {
  traits.on_replay = MayDiffer::always;
  traits.on_resume = MayDiffer::always;
  traits.says_where = true;
  return make_row(std::move(traits), member, std::move(type));
}

/// Makes the row of an option that has no value.
OptionRow make_switch_row(OptionTraits traits, bool TrainOptions::*is_on);

}  // namespace tardigrad
