#include "runtime/events/event_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <variant>

#include "runtime/base/json_text.h"
#include "runtime/base/parse_number.h"
#include "runtime/base/toml_file.h"

namespace tardigrad {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// A worker is so many times slower from then on.
struct NewSlowdown {
  double time;
  int worker;
  double slowdown;
};

using ScriptEvent = std::variant<NewSlowdown, EventScript::Change>;

/// Reads a script and checks it, event by event.
class Script {
 public:
  Script(const std::string& file, int workers) : file_(file), failed_(static_cast<std::size_t>(workers)) {}

  std::vector<ScriptEvent> events() {
    std::vector<ScriptEvent> events;
    const toml::table document = parse_toml("--events", file_, read_text("--events", file_));
    for (const auto& [key, value] : document) {
      if (key != "event" || !value.is_array_of_tables()) {
        refuse(key.source(), fmt::format("[[event]] tables alone, found {}", in_quotes(key.str())));
      }
      for (const toml::node& event : *value.as_array()) events.push_back(read(*event.as_table()));
    }
    return events;
  }

 private:
  ScriptEvent read(const toml::table& event) {
    static constexpr std::array<std::string_view, 4> keys = {"time", "worker", "slowdown", "state"};
    for (const auto& [key, value] : event) {
      if (std::find(keys.begin(), keys.end(), key.str()) == keys.end()) {
        refuse(key.source(), fmt::format("time, worker, slowdown or state, found {}", in_quotes(key.str())));
      }
    }
    const double time = next_time(event);
    const int worker = worker_of(event);
    if (event.contains("slowdown") == event.contains("state")) {
      refuse(event.source(), "either slowdown or state in an event");
    }
    if (event.contains("state")) return EventScript::Change{time, worker, fails(event, worker)};
    return NewSlowdown{
        time, worker,
        number(event, "slowdown", "slowdown, a number above 0", [](double value) { return value > 0; })};
  }

  double next_time(const toml::table& event) {
    const double time =
        number(event, "time", "time, a number of at least 0", [](double value) { return value >= 0; });
    if (time < latest_time_) {
      refuse(event.get("time")->source(),
             fmt::format("events in the order of their times, found {} after {}", time, latest_time_));
    }
    latest_time_ = time;
    return time;
  }

  int worker_of(const toml::table& event) const {
    const auto valid = [count = static_cast<double>(failed_.size())](double value) {
      return value >= 0 && value < count && value == std::floor(value);
    };
    const std::string expected = fmt::format("worker, a whole number from 0 to {}", failed_.size() - 1);
    return static_cast<int>(number(event, "worker", expected, valid));
  }

  bool fails(const toml::table& event, int worker) {
    const toml::node& node = *event.get("state");
    const auto state = node.value<std::string_view>();
    if (state != "failed" && state != "working") {
      refuse(node.source(), fmt::format("state, \"failed\" or \"working\", found {}", text(node)));
    }
    const bool fails = state == "failed";
    std::vector<bool>::reference failed = failed_[static_cast<std::size_t>(worker)];
    if (fails == failed) {
      refuse(node.source(), fmt::format("state \"{}\", as worker {} {}", fails ? "working" : "failed", worker,
                                        fails ? "has failed already" : "has not failed"));
    }
    failed = fails;
    return fails;
  }

  template <typename Valid>
  double number(const toml::table& event, std::string_view key, std::string_view expected,
                Valid&& valid) const {
    const toml::node* const node = event.get(key);
    if (node == nullptr) refuse(event.source(), fmt::format("{}, found none", expected));
    const double value = node->is_number() ? *node->value<double>() : infinity;
    if (!std::isfinite(value) || !valid(value)) {
      refuse(node->source(), fmt::format("{}, found {}", expected, text(*node)));
    }
    return value;
  }

  /// A value as the script has it, a long or many-lined one in short.
  static std::string text(const toml::node& node) {
    std::ostringstream stream;
    stream << toml::node_view(node);
    const std::string text = stream.str();
    return text.size() < 40 && text.find('\n') == std::string::npos ? text : in_quotes(text);
  }

  [[noreturn]] void refuse(const toml::source_region& where, const std::string& expected) const {
    throw std::invalid_argument(
        fmt::format("--events {}:{}: expected {}", file_, where.begin.line, expected));
  }

  const std::string& file_;
  std::vector<bool> failed_;  // per worker, after the events so far
  double latest_time_ = 0;
};

}  // namespace

EventScript EventScript::read(const std::string& file, int workers) {
  EventScript speeds;
  speeds.phases_.resize(static_cast<std::size_t>(workers));
  for (const ScriptEvent& event : Script(file, workers).events()) {
    if (const auto* change = std::get_if<Change>(&event)) {
      speeds.changes_.push_back(*change);
      continue;
    }
    const auto& [time, worker, slowdown] = std::get<NewSlowdown>(event);
    Phases& phases = speeds.phases_[static_cast<std::size_t>(worker)];
    if (phases.empty()) phases.push_back({-infinity, 1});
    // An event that changes nothing must not split a job's time into parts, each rounded.
    if (phases.back().slowdown != slowdown) phases.push_back({time, slowdown});
  }
  return speeds;
}

void EventScript::throttle(const std::string& text, int workers) {
  const auto refuse = [&](const std::string& what) {
    throw std::invalid_argument(fmt::format("--throttle {}: {}", text, what));
  };
  phases_.resize(static_cast<std::size_t>(workers));
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view part = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    const std::size_t equals = std::min(part.find('='), part.size());
    const auto worker = parse_number<std::int64_t>(part.substr(0, equals));
    const bool has_factor = part.ends_with('x') && equals < part.size();
    const std::string_view number =
        has_factor ? part.substr(equals + 1, part.size() - equals - 2) : std::string_view();
    const double factor = parse_number<double>(number).value_or(0);
    if (!worker || factor <= 0) {
      refuse(fmt::format("expected WORKER=FACTORx, such as 2=5x, with factors above 0, found '{}'", part));
    }
    if (*worker < 0 || *worker >= workers) {
      refuse(fmt::format("there is no worker {}; expected workers from 0 to {}", *worker, workers - 1));
    }
    Phases& phases = phases_[static_cast<std::size_t>(*worker)];
    if (phases.empty()) phases.push_back({-infinity, 1});
    for (Phase& phase : phases) phase.slowdown *= factor;
  }
}

EventScript::Phases::const_iterator EventScript::next_phase(const Phases& phases, double time) {
  return std::upper_bound(phases.begin(), phases.end(), time,
                          [](double at, const Phase& phase) { return at < phase.begin; });
}

double EventScript::slowdown(int worker, double time) const {
  const auto row = static_cast<std::size_t>(worker);
  if (phases_.empty() || phases_[row].empty()) return 1;
  return std::prev(next_phase(phases_[row], time))->slowdown;
}

double EventScript::end_time(const Phases& phases, double start, double work) {
  auto next = next_phase(phases, start);
  double left = work;
  for (double time = start;; time = next->begin, ++next) {
    const double slowdown = std::prev(next)->slowdown;
    const double phase_end = next == phases.end() ? infinity : next->begin;
    const double end = time + left * slowdown;
    if (end <= phase_end) return end;
    left = std::max(0.0, left - (phase_end - time) / slowdown);
  }
}

}  // namespace tardigrad
