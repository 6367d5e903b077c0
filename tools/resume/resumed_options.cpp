#include "tools/resume/resumed_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "models/tridiagonal.h"
#include "runtime/coordinator/learning_rate.h"
#include "runtime/objective/epochs.h"
#include "tools/options/train_options.h"
#include "tools/resume/option_files.h"
#include "tools/resume/resume.h"

namespace tardigrad {
namespace {

using Json = nlohmann::ordered_json;

bool is_in(const auto& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

bool is_quadratic_file(const Json& model) {
  const std::string name = model.is_string() ? model.get<std::string>() : "";
  return name.starts_with("quadratic:") && !models::is_tridiagonal(name.substr(name.find(':') + 1));
}

bool has_other_workers(const Json& before, const Json& run) {
  return before.value("workers", Json()) != run.at("workers");
}

/// Options that are about workers one by one, or must go with their number.
bool goes_with_workers(const std::string& name, const Json& before, const Json& run) {
  constexpr std::array<std::string_view, 6> names = {"compute_time", "throttle",        "events",
                                                     "gather",       "delay_threshold", "partition"};
  const bool other_problem = name == "model" && is_quadratic_file(before.value(name, Json())) &&
                             is_quadratic_file(run.at(name));  // each is for so many workers
  return is_in(names, name) || other_problem;
}

/// Options that may be others than before.
bool is_free(const std::string& name, const Json& before, const Json& run) {
  constexpr std::array<std::string_view, 27> always = {"device",
                                                       "server_device",
                                                       "workers",
                                                       "gradient_route",
                                                       "deterministic",
                                                       "cuda_graphs",
                                                       "precision",
                                                       "data_dir",
                                                       "eval_every",
                                                       "eval_objective",
                                                       "init",
                                                       "eval_gradient",
                                                       "eval_examples",
                                                       "completions",
                                                       "updates",
                                                       "epochs",
                                                       "time_limit",
                                                       "lr",
                                                       "target_accuracy",
                                                       "target_loss",
                                                       "lr_schedule",
                                                       "resum_every",
                                                       "clip_norm",
                                                       "weight_decay",
                                                       "target_gradient_norm_sq",
                                                       "smoothness",
                                                       "worker_timeout"};
  constexpr std::array<std::string_view, 3> in_wall_time = {"compute_time", "throttle", "time_unit"};
  return is_in(always, name) || (run.value("clock", Json()) == "wall" && is_in(in_wall_time, name)) ||
         (has_other_workers(before, run) && goes_with_workers(name, before, run));
}

std::vector<std::string> compared_names() {
  std::vector<std::string> names{"dimension"};
  const Json options = Json::parse(to_json(TrainOptions{}));  // items() refers to it
  for (const auto& [name, value] : options.items()) names.push_back(name);
  return names;
}

std::string as_flag(std::string name) {
  std::ranges::replace(name, '_', '-');
  return "--" + name;
}

/// "--throttle 0=2x was 2=5x", "--gather is not given any more, and was 3"
std::string describe_change(const std::string& name, const Json& was, const Json& is) {
  const auto text = [](const Json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  if (!is_given(is)) return fmt::format("{} is not given any more, and was {}", as_flag(name), text(was));
  return fmt::format("{} {} was {}", as_flag(name), text(is), is_given(was) ? text(was) : "not given");
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
    schedule.limits.gradients = gradients_in(*epochs, objective);
    ends.push_back(fmt::format("{} epochs", *epochs));
  }
  if (const auto time = number("time_limit")) {
    schedule.limits.time = *time;
    ends.push_back(fmt::format("time {}", *time));
  }
  schedule.end = fmt::format("{}", fmt::join(ends, " or "));
  return schedule;
}

RunPosition position_of(const Checkpoint& checkpoint, const Json& run) {
  const CheckpointRecord record = record_of(checkpoint);
  const bool wall = run.value("clock", Json()) == "wall";
  const Json time =
      checkpoint.state.value(Json::json_pointer(wall ? "/coordinator/train_time_s" : "/clock/now"), Json());
  return {record.update, record.gradients, time.is_number() ? time.get<double>() : 0.0};
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
  const Json run = Json::parse(run_json);
  for (const std::string& name : compared_names()) {
    const Json was = before.value(name, Json());
    if (is_free(name, before, run) || was == run.at(name)) continue;
    const bool with_workers = goes_with_workers(name, before, run);
    throw std::invalid_argument(fmt::format("--resume {}: {} was {}; expected it again{}, found {}",
                                            checkpoint.path.string(), name, was.dump(),
                                            with_workers ? ", as --workers is" : "", run.at(name).dump()));
  }
}

std::optional<std::string> change_of_workers(const Checkpoint& checkpoint, const std::string& run_json) {
  const Json& before = run_record_of(checkpoint);
  const Json run = Json::parse(run_json);
  if (!has_other_workers(before, run)) return std::nullopt;
  std::string text = fmt::format(
      "--workers {}: they were {}, so the training data are dealt out anew: the method begins again at the "
      "model of the checkpoint, and rows of its gradient table are dropped and filled anew, as their data "
      "are "
      "others now",
      run.at("workers").dump(), before.value("workers", Json()).dump());
  for (const std::string& name : compared_names()) {
    const Json was = before.value(name, Json());
    if (was == run.at(name) || !goes_with_workers(name, before, run)) continue;
    text += "; " + describe_change(name, was, run.at(name));
  }
  return text;
}

std::optional<std::string> change_of_step_size(const Checkpoint& checkpoint, const std::string& run_json,
                                               const Objective& objective) {
  constexpr double noticeable = 1e-3;  // of the larger one
  const Json& before = run_record_of(checkpoint);
  const Json run = Json::parse(run_json);
  const Schedule old_schedule = schedule_of(before, objective);
  const Schedule schedule = schedule_of(run, objective);
  const RunPosition position = position_of(checkpoint, run);
  const double was = old_schedule.at(position);
  const double is = schedule.at(position);
  if (std::abs(is - was) <= noticeable * std::max(is, was)) return std::nullopt;
  return fmt::format("the step size goes from {:.3g} to {:.3g} at update {}, as {}", was, is,
                     position.updates, why(old_schedule, schedule));
}

}  // namespace tardigrad
