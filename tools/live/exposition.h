#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tardigrad {

/// Writes metrics in the text format of Prometheus, version 0.0.4.
class Exposition {
 public:
  static constexpr const char* content_type = "text/plain; version=0.0.4; charset=utf-8";
  using Labels = std::vector<std::pair<std::string_view, std::string>>;

  /// Begins a metric, whose samples follow. `type` is counter, gauge or summary; `help` is a line.
  void begin(std::string_view name, std::string_view type, std::string_view help);

  /// Adds a sample of the metric. `suffix` is "_sum" or "_count" of a summary.
  void sample(double value, const Labels& labels = {}, std::string_view suffix = "");

  /// Adds a metric of one sample without labels.
  void add(std::string_view name, std::string_view type, std::string_view help, double value);

  const std::string& text() const { return text_; }

 private:
  std::string name_;
  std::string text_;
};

}  // namespace tardigrad
