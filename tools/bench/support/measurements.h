#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace tardigrad::bench {

/// The file of `--json FILE`, to which a line is added for each thing measured: an object with
///   benchmark   whose it is
///   case        names of the members that tell lines of this benchmark apart: ["batch", "precision"]
///   device      as `--device` calls it
/// these members, and what was measured, with units in the names. tools/gpu_check/report.py reads it.
class Measurements {
 public:
  /// Keeps nothing if `path` is empty. Throws std::invalid_argument if the file cannot be opened.
  Measurements(std::string benchmark, std::string device, const std::string& path)
      : benchmark_(std::move(benchmark)), device_(std::move(device)) {
    if (path.empty()) return;
    file_.open(path, std::ios::app);
    if (!file_) throw std::invalid_argument("--json: cannot write " + path);
  }

  /// `which` is the case, `measured` the rest; both objects. On disk when the call returns: a benchmark may
  /// be stopped at any time.
  void add(const nlohmann::ordered_json& which, const nlohmann::ordered_json& measured) {
    if (!file_.is_open()) return;
    nlohmann::ordered_json line{{"benchmark", benchmark_}, {"device", device_}};
    line["case"] = nlohmann::ordered_json::array();
    for (const auto& [name, value] : which.items()) line["case"].push_back(name);
    line.update(which);
    line.update(measured);
    file_ << line.dump() << std::endl;
  }

 private:
  std::string benchmark_;
  std::string device_;
  std::ofstream file_;
};

}  // namespace tardigrad::bench
