#include "runtime/events/delays.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "kernels/random.h"
#include "runtime/base/json_text.h"
#include "runtime/base/parse_number.h"

namespace tardigrad {
namespace {

constexpr std::string_view trace_prefix = "trace:";
constexpr std::string_view trace_shift = "+shift";
constexpr std::string_view network_prefix = "+network:";

/// A form NAME:A or NAME:A:B from which each worker's time is drawn; `b` is 0 in a form of one parameter.
struct Distribution {
  std::string_view form;
  std::string_view condition;
  bool (*valid)(double a, double b);
  double (*draw)(double a, double b, int worker, Random& random);
  bool permuted = false;  ///< the workers get the times in an order that is drawn, too

  std::string_view name() const { return form.substr(0, form.find(':')); }
  std::ptrdiff_t parameters() const { return std::count(form.begin(), form.end(), ':'); }
};

constexpr std::array distributions = {
    Distribution{.form = "linear:A:B",
                 .condition = "numbers",
                 .valid = [](double, double) { return true; },
                 .draw = [](double a, double b, int worker, Random&) { return a + b * worker; }},
    Distribution{.form = "permuted:A:B",
                 .condition = "numbers",
                 .valid = [](double, double) { return true; },
                 .draw = [](double a, double b, int place, Random&) { return a + b * place; },
                 .permuted = true},
    Distribution{.form = "truncnorm:MEAN:STD",
                 .condition = "numbers of at least 0, not both 0",
                 .valid = [](double mean, double std) { return mean >= 0 && std >= 0 && mean + std > 0; },
                 // Rejection from the normal distribution: any mean ≥ 0 takes two tries at most on average.
                 .draw =
                     [](double mean, double std, int, Random& random) {
                       double time = 0;
                       while (time <= 0) time = mean + std * random.normal();
                       return time;
                     }},
    Distribution{.form = "lognormal:MU:SIGMA",
                 .condition = "numbers, SIGMA at least 0",
                 .valid = [](double, double sigma) { return sigma >= 0; },
                 .draw = [](double mu, double sigma, int,
                            Random& random) { return std::exp(mu + sigma * random.normal()); }},
    Distribution{.form = "pareto:SCALE:SHAPE",
                 .condition = "numbers above 0",
                 .valid = [](double scale, double shape) { return scale > 0 && shape > 0; },
                 .draw = [](double scale, double shape, int,
                            Random& random) { return scale * std::exp(random.exponential() / shape); }},
    Distribution{
        .form = "exponential:MEAN",
        .condition = "a number above 0",
        .valid = [](double mean, double) { return mean > 0; },
        .draw = [](double mean, double, int, Random& random) { return mean * random.exponential(); }},
};

[[noreturn]] void refuse(std::string_view value, const std::string& expected) {
  throw std::invalid_argument(fmt::format("--compute-time {}: expected {}", value, expected));
}

/// Where the noise begins, else the length: at a '+' before a letter, as digits follow that of 1e+3.
std::size_t base_length(std::string_view value) {
  std::size_t plus = value.find('+');
  while (plus != std::string_view::npos && plus + 1 < value.size()) {
    if (std::isalpha(static_cast<unsigned char>(value[plus + 1])) != 0) return plus;
    plus = value.find('+', plus + 1);
  }
  return value.size();
}

bool is_list(std::string_view base) {
  return base.find_first_not_of("0123456789.,eE+-") == std::string_view::npos && !base.empty();
}

std::vector<double> parse_list(const std::string& value, std::string_view base, int workers) {
  std::vector<double> times;
  for (const std::string_view part : split(base, ',')) {
    const std::optional<double> number = parse_number<double>(part);
    if (!number || *number <= 0) refuse(value, fmt::format("positive times, found '{}'", part));
    times.push_back(*number);
  }
  if (std::ssize(times) != workers) {
    refuse(value, fmt::format("one time for each of the {} workers, found {}", workers, times.size()));
  }
  return times;
}

std::vector<double> draw(const std::string& value, const Distribution& distribution, std::string_view base,
                         int workers, std::uint64_t seed) {
  std::array<double, 2> parameters = {};
  const auto parts = split(base, ':');
  bool valid = std::ssize(parts) == distribution.parameters() + 1;
  for (std::size_t i = 1; valid && i < parts.size(); ++i) {
    const std::optional<double> number = parse_number<double>(parts[i]);
    valid = number.has_value();
    parameters[i - 1] = number.value_or(0);
  }
  const auto [a, b] = parameters;
  if (!valid || !distribution.valid(a, b)) {
    refuse(value, fmt::format("{} with {}", distribution.form, distribution.condition));
  }
  std::vector<double> times;
  for (int worker = 0; worker < workers; ++worker) {
    Random random(seed, Purpose::delay, static_cast<std::uint64_t>(worker));
    const double time = distribution.draw(a, b, worker, random);
    if (!(time > 0) || !std::isfinite(time)) {
      refuse(value, fmt::format("positive times, found {} for worker {}", time, worker));
    }
    times.push_back(time);
  }
  const auto beyond_workers = static_cast<std::uint64_t>(workers);
  if (distribution.permuted) Random(seed, Purpose::delay, beyond_workers).shuffle(std::span(times));
  return times;
}

std::vector<double> parse_base(const std::string& value, std::string_view base, int workers,
                               std::uint64_t seed) {
  if (is_list(base)) return parse_list(value, base, workers);
  std::string forms = "a list such as 1,2,40";
  for (const Distribution& distribution : distributions) {
    if (split(base, ':')[0] == distribution.name()) return draw(value, distribution, base, workers, seed);
    forms += fmt::format(", {}", distribution.form);
  }
  refuse(value, fmt::format("measured or trace:FILE or, with noise or without, one of {}", forms));
}

struct RecordedJob {
  std::size_t worker;
  double compute_time;
};

/// The job that a line of a trace records, if it does; `place` names the line.
std::optional<RecordedJob> parse_trace_line(const std::string& line, const std::string& place, int workers) {
  const auto record = parse_json(line);
  if (record.is_discarded()) refuse(place, "a line of JSON");
  const auto number = [&record](const char* name) -> std::optional<double> {
    if (!record.is_object() || !record.contains(name) || !record[name].is_number()) return std::nullopt;
    return record[name].get<double>();
  };
  const std::optional<double> worker = number("worker");
  const std::optional<double> time = number("compute_time");
  if (!worker || !time) return std::nullopt;
  if (!(*worker >= 0 && *worker < workers && *worker == std::floor(*worker))) {
    refuse(place, fmt::format("a worker from 0 to {}, found {}", workers - 1, *worker));
  }
  if (*time <= 0) refuse(place, fmt::format("a positive compute_time, found {}", *time));
  return RecordedJob{static_cast<std::size_t>(*worker), *time};
}

std::vector<std::vector<double>> read_trace(const std::string& value, int workers) {
  std::ifstream file(Delays::trace_file(value).value());
  if (!file) {
    refuse(value,
           fmt::format("trace:FILE, without noise, of a file that can be read: {}", std::strerror(errno)));
  }
  std::vector<std::vector<double>> trace(static_cast<std::size_t>(workers));
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.empty()) continue;
    if (const auto job = parse_trace_line(line, fmt::format("{}:{}", value, number), workers)) {
      trace[job->worker].push_back(job->compute_time);
    }
  }
  for (std::size_t worker = 0; worker < trace.size(); ++worker) {
    if (trace[worker].empty()) {
      refuse(value, fmt::format("jobs of each of the {} workers, found none of worker {}", workers, worker));
    }
  }
  return trace;
}

/// Lets all workers begin at the same share of their jobs.
void shift(std::vector<std::vector<double>>& trace, std::uint64_t seed) {
  const double share = Random(seed, Purpose::delay).uniform();
  for (std::vector<double>& jobs : trace) {
    const auto first = static_cast<std::ptrdiff_t>(share * static_cast<double>(jobs.size()));
    std::rotate(jobs.begin(), jobs.begin() + first, jobs.end());
  }
}

/// Returns a value without its network.
std::string times_of(const std::string& value) { return value.substr(0, value.rfind(network_prefix)); }

NetworkSpeed parse_network(const std::string& value) {
  const auto parts = split(std::string_view(value).substr(value.rfind(network_prefix)), ':');
  const auto number = [&](std::size_t i) {
    return i < parts.size() ? parse_number<double>(parts[i]).value_or(-1) : -1;
  };
  const NetworkSpeed speed{.latency = number(1), .bandwidth = number(2)};
  if (parts.size() != 3 || !(speed.latency >= 0) || !(speed.bandwidth > 0)) {
    refuse(value,
           "a network +network:LATENCY:BANDWIDTH, behind any noise, in units of time and in bytes a unit, "
           "with numbers of at least 0 and above 0");
  }
  return speed;
}

}  // namespace

bool Delays::has_network(const std::string& value) { return value.find(network_prefix) != std::string::npos; }

std::optional<std::string> Delays::trace_file(const std::string& value) {
  if (!value.starts_with(trace_prefix)) return std::nullopt;
  const std::string file = times_of(value).substr(trace_prefix.size());
  return file.ends_with(trace_shift) ? file.substr(0, file.size() - trace_shift.size()) : file;
}

std::optional<int> Delays::list_length(const std::string& value) {
  const std::string_view base = std::string_view(value).substr(0, base_length(value));
  if (!is_list(base)) return std::nullopt;
  return static_cast<int>(std::count(base.begin(), base.end(), ',')) + 1;
}

Delays Delays::parse(const std::string& value, int workers, std::uint64_t seed) {
  if (!has_network(value)) return parse_times(value, workers, seed);
  const std::string times = times_of(value);
  if (times.empty() || has_network(times)) refuse(value, "times of gradients, and behind them one network");
  if (times == "measured") refuse(value, "times of gradients beside the network, not measured ones");
  Delays delays = parse_times(times, workers, seed);
  delays.network_ = parse_network(value);
  return delays;
}

Delays Delays::parse_times(const std::string& value, int workers, std::uint64_t seed) {
  Delays delays;
  delays.seed_ = seed;
  if (value == "measured") return delays;
  if (value.starts_with(trace_prefix)) {
    delays.trace_ = read_trace(value, workers);
    if (value.ends_with(trace_shift)) shift(delays.trace_, seed);
    return delays;
  }
  const std::size_t length = base_length(value);
  delays.base_ = parse_base(value, std::string_view(value).substr(0, length), workers, seed);
  if (length < value.size()) delays.add_noise(value, value.substr(length));
  return delays;
}

void Delays::add_noise(const std::string& value, const std::string& noise) {
  const auto parts = split(noise, ':');
  if (parts[0] == "+halfnormal") noise_ = Noise::halfnormal;
  if (parts[0] == "+exponential") noise_ = Noise::exponential;
  const bool by_worker = noise == "+halfnormal:worker";
  const bool by_number = parts.size() == 2 && !by_worker;
  const double scale = by_number ? parse_number<double>(parts[1]).value_or(0) : 0;
  if (noise_ == Noise::none || parts.size() > 2 || (by_number && !(scale > 0))) {
    refuse(value, fmt::format("noise +halfnormal, +halfnormal:STD, +halfnormal:worker, +exponential or "
                              "+exponential:MEAN with a number above 0, found '{}'",
                              noise));
  }
  for (std::size_t worker = 0; worker < base_.size(); ++worker) {
    const double time = by_worker ? static_cast<double>(worker + 1) : base_[worker];
    noise_scale_.push_back(by_number ? scale : noise_ == Noise::halfnormal ? std::sqrt(time) : time);
  }
}

double Delays::duration(int worker, std::uint64_t job) const {
  const auto row = static_cast<std::size_t>(worker);
  if (!trace_.empty()) return trace_.at(row)[job % trace_[row].size()];
  const double base = base_.at(row);
  if (noise_ == Noise::none) return base;
  Random random(seed_, Purpose::delay_noise, row, job);
  const double noise = noise_ == Noise::halfnormal ? std::abs(random.normal()) : random.exponential();
  return base + noise_scale_[row] * noise;
}

std::vector<double> Delays::fixed() const {
  return noise_ == Noise::none && !network_ ? base_ : std::vector<double>();
}

}  // namespace tardigrad
