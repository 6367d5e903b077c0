#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "models/cuda/classification.h"
#include "models/cuda/network.h"

namespace tardigrad::models::cuda {

/// Says what a plan was chosen for, as a JSON text: the kind of GPU, the driver, the libraries, the network,
/// its batch size and how it is to compute. A plan is good where all of it is the same.
std::string plan_key(Device device, const Architecture& architecture, int batch,
                     const NetworkOptions& options);

/// Keeps plans in a folder, one file each, from run to run. Several processes may share the folder: a file is
/// replaced whole. What cannot be read or written is said in one line on stderr, and the run goes on.
class PlanCache {
 public:
  /// Keeps nothing where the folder is empty. The folder is made when the first plan is stored.
  explicit PlanCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Returns the plan for the key, or nothing where there is none, or one that is damaged or for something
  /// else.
  std::optional<Plan> load(const std::string& key) const;

  void store(const std::string& key, const Plan& plan) const;

  /// Returns where the plan for a key lies.
  std::filesystem::path file_of(const std::string& key) const;

 private:
  std::filesystem::path folder_;
};

/// Writes a plan as a JSON text, and reads it. `plan_from_json` throws std::invalid_argument or
/// nlohmann::json::exception where the text is no plan.
std::string plan_to_json(const Plan& plan);
Plan plan_from_json(const std::string& text);

}  // namespace tardigrad::models::cuda
