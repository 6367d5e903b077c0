#pragma once

#include <charconv>
#include <limits>
#include <map>
#include <regex>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace tardigrad::testing {

/// A metric, of Prometheus' text format.
struct Metric {
  using Labels = std::map<std::string, std::string>;
  struct Sample {
    std::string name;
    Labels labels;
    double value = 0;
  };

  std::string type;
  std::string help;
  std::vector<Sample> samples;
};

/// Reads version 0.0.4 of the format, more strictly than Prometheus itself: every metric has help, type and
/// samples, in this order and in one piece, and a name that its conventions allow.
class ExpositionParser {
 public:
  /// Throws std::runtime_error with the line.
  static std::map<std::string, Metric> parse(const std::string& text) {
    ExpositionParser parser;
    if (!text.ends_with('\n')) throw std::runtime_error("no end of the last line");
    std::size_t begin = 0;
    while (begin < text.size()) {
      const std::size_t end = text.find('\n', begin);
      parser.line_ = text.substr(begin, end - begin);
      parser.take_line();
      begin = end + 1;
    }
    parser.end_metric();
    return std::move(parser.metrics_);
  }

 private:
  void require(bool holds, const char* what) const {
    if (!holds) throw std::runtime_error(std::string(what) + ": " + line_);
  }

  void take_line() {
    require(line_.find_first_of("\r\t") == std::string::npos, "a control character");
    if (line_.starts_with("# HELP ")) {
      end_metric();
      take_help();
    } else if (line_.starts_with("# TYPE ")) {
      take_type();
    } else {
      take_sample();
    }
  }

  void take_help() {
    static const std::regex form(R"re(# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ((?:[^\\]|\\\\|\\n)+))re");
    std::smatch match;
    require(std::regex_match(line_, match, form), "no help");
    name_ = match[1];
    require(metrics_.emplace(name_, Metric{"", match[2], {}}).second, "a metric in two pieces");
  }

  void take_type() {
    static const std::regex form(R"re(# TYPE ([a-zA-Z0-9_:]+) (counter|gauge|summary))re");
    std::smatch match;
    require(std::regex_match(line_, match, form), "no type");
    require(name_ == match[1] && metrics_[name_].type.empty(), "a type not behind its help");
    metrics_[name_].type = match[2];
    require((match[2] == "counter") == name_.ends_with("_total"), "counters alone are totals");
    for (const char* suffix : {"_sum", "_count", "_bucket", "_info_total"}) {
      require(!name_.ends_with(suffix), "a suffix of its own");
    }
  }

  void take_sample() {
    static const std::regex form(R"re(([a-zA-Z0-9_:]+)(?:\{(.*)\})? (\S+))re");
    std::smatch match;
    require(std::regex_match(line_, match, form), "no sample");
    Metric& metric = metrics_[name_];
    require(!metric.type.empty(), "a sample without a type");
    const std::string name = match[1];
    const bool of_summary = metric.type == "summary" && (name == name_ + "_sum" || name == name_ + "_count");
    require(name == name_ || of_summary, "a sample of another metric");
    const Metric::Labels labels = labels_in(match[2]);
    require(seen_.emplace(name, labels).second, "a sample twice");
    require((metric.type == "summary" && !of_summary) == labels.contains("quantile"), "a quantile");
    const double value = number(match[3]);
    require(metric.type != "counter" || value >= 0, "a counter below 0");
    metric.samples.push_back({name, labels, value});
  }

  Metric::Labels labels_in(const std::string& text) const {
    static const std::regex label(R"re(([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\\\|\\"|\\n)*)"(?:,|$))re");
    Metric::Labels labels;
    auto at = text.cbegin();
    for (std::smatch match; at != text.cend(); at = match[0].second) {
      require(std::regex_search(at, text.cend(), match, label, std::regex_constants::match_continuous),
              "no labels");
      require(labels.emplace(match[1], unescaped(match[2])).second, "a label twice");
    }
    require(!text.ends_with(','), "no label behind a comma");
    return labels;
  }

  static std::string unescaped(const std::string& text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        result += text[i];
      } else {
        result += text[++i] == 'n' ? '\n' : text[i];
      }
    }
    return result;
  }

  double number(const std::string& text) const {
    if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
    if (text == "+Inf") return std::numeric_limits<double>::infinity();
    if (text == "-Inf") return -std::numeric_limits<double>::infinity();
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    require(error == std::errc() && end == text.data() + text.size() && text.find("inf") == text.npos,
            "no number");
    return value;
  }

  void end_metric() {
    if (name_.empty()) return;
    const Metric& metric = metrics_[name_];
    require(!metric.samples.empty(), "a metric without samples");
    if (metric.type != "summary") return;
    require(seen_.contains({name_ + "_sum", {}}) && seen_.contains({name_ + "_count", {}}), "half a summary");
    double before = 0;
    for (const Metric::Sample& sample : metric.samples) {
      if (sample.name != name_) continue;
      const double share = number(sample.labels.at("quantile"));
      require(share >= 0 && share <= 1 && !(sample.value < before), "quantiles in no order");
      before = sample.value;
    }
  }

  std::string line_;
  std::string name_;
  std::map<std::string, Metric> metrics_;
  std::set<std::pair<std::string, Metric::Labels>> seen_;
};

}  // namespace tardigrad::testing
