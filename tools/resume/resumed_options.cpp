#include "tools/resume/resumed_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

#include "models/tridiagonal.h"
#include "runtime/base/json_text.h"
#include "runtime/coordinator/learning_rate.h"
#include "runtime/objective/epochs.h"
#include "tools/options/option_records.h"
#include "tools/options/option_table.h"
#include "tools/resume/option_files.h"
#include "tools/resume/resume.h"
#include "tools/resume/same_network.h"

namespace tardigrad {
namespace {

using Json = nlohmann::ordered_json;

bool is_quadratic_file(const Json& model) {
  const std::string name = model.is_string() ? model.get<std::string>() : "";
  return name.starts_with("quadratic:") && !models::is_tridiagonal(name.substr(name.find(':') + 1));
}

bool has_other_workers(const Json& before, const Json& run) {
  return before.value("workers", Json()) != run.at("workers");
}

/// Whether the option is about workers one by one, or must go with their number.
bool goes_with_workers(const OptionRow& row, const Json& before, const Json& run) {
  const bool other_problem = row.name == "model" && is_quadratic_file(before.value(row.name, Json())) &&
                             is_quadratic_file(run.at(row.name));  // each is for so many workers
  return row.goes_with_workers || other_problem;
}

/// Whether the option may be another than before.
bool may_differ(const OptionRow& row, const Json& before, const Json& run) {
  const bool in_wall_time = run.value("clock", Json()) == "wall";
  if (row.name == "model" && is_same_network(before, run)) return true;
  return row.on_resume == MayDiffer::always || (row.on_resume == MayDiffer::in_wall_time && in_wall_time) ||
         (has_other_workers(before, run) && goes_with_workers(row, before, run));
}

/// "--throttle 0=2x was 2=5x", "--gather is not given any more, and was 3"
std::string describe_change(const std::string& flag, const Json& was, const Json& is) {
  if (!is_given(is)) return fmt::format("{} is not given any more, and was {}", flag, text_of(was));
  return fmt::format("{} {} was {}", flag, text_of(is), is_given(was) ? text_of(was) : "not given");
}

/// The step size of a run, as its record has it.
struct Schedule {
  double lr = 0;
  std::string name;
  RunLimits limits;
  std::string end;  // in words

  double at(const RunPosition& position) const { return LearningRate(lr, name).at(position, limits); }
};

Schedule schedule_of(const Json& run, const Objective& objective) {
  const auto number = [&run](const char* name) {
    const Json value = run.value(name, Json());
    return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
  };
  Schedule schedule;
  schedule.lr = number("lr").value_or(0);
  schedule.name = run.value("lr_schedule", std::string("constant"));
  std::vector<std::string> ends;
  if (const auto updates = number("updates")) {
    schedule.limits.updates = static_cast<std::uint64_t>(*updates);
    ends.push_back(fmt::format("{} updates", *updates));
  }
  if (const auto epochs = number("epochs")) {
    schedule.limits.examples = examples_in(*epochs, objective);
    ends.push_back(fmt::format("{} epochs", *epochs));
  }
  if (const auto time = number("time_limit")) {
    schedule.limits.time = *time;
    ends.push_back(fmt::format("time {}", *time));
  }
  schedule.end = fmt::format("{}", fmt::join(ends, " or "));
  return schedule;
}

RunPosition position_of(const Checkpoint& checkpoint, const Json& run, const Objective& objective) {
  const CheckpointRecord record = record_of(checkpoint);
  const bool wall = run.value("clock", Json()) == "wall";
  const Json time =
      checkpoint.state().value(Json::json_pointer(wall ? "/coordinator/train_time_s" : "/clock/now"), Json());
  const Json examples = checkpoint.state().value(Json::json_pointer("/coordinator/examples"), Json());
  return {.updates = record.update,
          .gradients = record.gradients,
          .examples = examples.is_number_unsigned() ? examples.get<std::uint64_t>()
                                                    : record.gradients * objective.examples_per_job(0),
          .time = time.is_number() ? time.get<double>() : 0.0};
}

std::string why(const Schedule& before, const Schedule& now) {
  std::vector<std::string> reasons;
  if (before.lr != now.lr) reasons.push_back(fmt::format("--lr {} was {}", now.lr, before.lr));
  if (before.name != now.name) {
    reasons.push_back(fmt::format("--lr-schedule {} was {}", now.name, before.name));
  } else if (before.end != now.end) {
    reasons.push_back(
        fmt::format("--lr-schedule {} now ends at {}, and did at {}", now.name, now.end, before.end));
  }
  return fmt::format("{}", fmt::join(reasons, " and "));
}

}  // namespace

void check_resume(const Checkpoint& checkpoint, const std::string& run_json) {
  const Json& before = run_record_of(checkpoint);
  const Json run = parse_own_json<Json>(run_json);
  const auto check = [&](const std::string& name, const Json& usual, const char* hint) {
    const Json was = before.value(name, usual);
    if (was == run.at(name)) return;
    throw std::invalid_argument(fmt::format("--resume {}: {} was {}; expected it again{}, found {}",
                                            checkpoint.path.string(), name, json_text(was), hint,
                                            json_text(run.at(name))));
  };
  require_same_network(fmt::format("--resume {}", checkpoint.path.string()), before, run);
  check("dimension", Json(), "");
  for (const OptionRow& row : rows_of(Record::run)) {
    if (may_differ(row, before, run)) continue;
    const Json usual = row.value(TrainOptions());  // as older programs did without it
    check(row.name, usual, goes_with_workers(row, before, run) ? ", as --workers is" : "");
  }
}

std::optional<std::string> change_of_workers(const Checkpoint& checkpoint, const std::string& run_json) {
  const Json& before = run_record_of(checkpoint);
  const Json run = parse_own_json<Json>(run_json);
  if (!has_other_workers(before, run)) return std::nullopt;
  std::string text = fmt::format(
      "--workers {}: they were {}, so the training data are dealt out anew: the method begins again at the "
      "model of the checkpoint, and rows of its gradient table are dropped and filled anew, as their data "
      "are "
      "others now",
      json_text(run.at("workers")), json_text(before.value("workers", Json())));
  for (const OptionRow& row : rows_of(Record::run)) {
    const Json was = before.value(row.name, Json());
    if (was == run.at(row.name) || !goes_with_workers(row, before, run)) continue;
    text += "; " + describe_change(row.flag(), was, run.at(row.name));
  }
  return text;
}

std::optional<std::string> change_of_step_size(const Checkpoint& checkpoint, const std::string& run_json,
                                               const Objective& objective) {
  constexpr double noticeable = 1e-3;  // of the larger one
  const Json& before = run_record_of(checkpoint);
  const Json run = parse_own_json<Json>(run_json);
  const Schedule old_schedule = schedule_of(before, objective);
  const Schedule schedule = schedule_of(run, objective);
  const RunPosition position = position_of(checkpoint, run, objective);
  const double was = old_schedule.at(position);
  const double is = schedule.at(position);
  if (std::abs(is - was) <= noticeable * std::max(is, was)) return std::nullopt;
  return fmt::format("the step size goes from {:.3g} to {:.3g} at update {}, as {}", was, is,
                     position.updates, why(old_schedule, schedule));
}

}  // namespace tardigrad
