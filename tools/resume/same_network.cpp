#include "tools/resume/same_network.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace tardigrad {
namespace {

/// Of the record of a run of a network file.
std::string network_of(const nlohmann::ordered_json& record) {
  return record.value("network", std::string());
}

}  // namespace

bool is_same_network(const nlohmann::ordered_json& before, const nlohmann::ordered_json& run) {
  return !network_of(run).empty() && network_of(run) == network_of(before);
}

void require_same_network(const std::string& what, const nlohmann::ordered_json& before,
                          const nlohmann::ordered_json& run) {
  if (network_of(before).empty() || network_of(run).empty() || is_same_network(before, run)) return;
  throw std::invalid_argument(
      fmt::format("{}: {} has other layers than the network of that run, expected the same", what,
                  run.value("model", std::string())));
}

}  // namespace tardigrad
