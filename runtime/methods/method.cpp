#include "runtime/methods/method.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

#include "runtime/base/nearest_name.h"

namespace tardigrad {
namespace {

/// A set of features, a bit each.
template <typename... Features>
constexpr unsigned with(Features... features) {
  return (0U | ... | (1U << static_cast<unsigned>(features)));
}

struct Entry {
  std::string_view name;
  std::unique_ptr<Method> (*make)(const MethodOptions&);
  unsigned features;

  constexpr bool has(Feature feature) const { return (features & with(feature)) != 0; }
};

using enum Feature;
constexpr Entry entries[] = {
    {"aced", make_aced, with(delay_threshold, lost_rows, table)},
    {"asgd", make_asgd, with(each_arrival)},
    {"asgd-delay-adaptive", make_asgd_delay_adaptive, with(delay_threshold, smoothness)},
    {"asgd-rescaled", make_asgd_rescaled, with()},
    {"asgd-shuffled", make_asgd_shuffled, with()},
    {"asgd-uniform", make_asgd_uniform, with()},
    {"ca2fl", make_ca2fl, with(gather, local_steps, lost_rows, table)},
    {"dude", make_dude, with(gather, lost_rows, table, each_arrival)},
    {"fedbuff", make_fedbuff, with(gather, local_steps)},
    {"ia2sgd", make_ia2sgd, with(lost_rows, table, each_arrival)},
    {"malenia", make_malenia, with(gather, table)},
    {"mifa", make_mifa, with(availability, lost_rows, table)},
    {"msync", make_msync, with(gather)},
    {"rennala", make_rennala, with(gather)},
    {"ringleader", make_ringleader, with(table)},
    {"ringmaster", make_ringmaster, with(delay_threshold)},
    {"sync", make_sync, with(all_reduce)},
};

const Entry& entry_of(std::string_view name) {
  for (const Entry& entry : entries) {
    if (entry.name == name) return entry;
  }
  throw std::invalid_argument(unknown_name_message("--method", name, method_names()));
}

}  // namespace

std::vector<std::string> method_names() {
  std::vector<std::string> names;
  for (const Entry& entry : entries) names.emplace_back(entry.name);
  return names;
}

bool has_feature(std::string_view method, Feature feature) {
  if (is_own_method(method)) return feature == table || feature == local_steps;
  return entry_of(method).has(feature);
}

void require_feature(std::string_view method, Feature feature, std::string_view flag) {
  if (has_feature(method, feature)) return;
  std::vector<std::string_view> having;
  for (const Entry& entry : entries) {
    if (entry.has(feature)) having.push_back(entry.name);
  }
  throw std::invalid_argument(fmt::format("{} has no use with --method {}; methods that use it: {}", flag,
                                          method, fmt::join(having, ", ")));
}

std::unique_ptr<Method> make_method(std::string_view name, const MethodOptions& options) {
  const Entry& entry = entry_of(name);
  if (options.gather) require_feature(name, gather, "--gather");
  if (options.delay_threshold) require_feature(name, delay_threshold, "--delay-threshold");
  if (options.smoothness) require_feature(name, smoothness, "--smoothness");
  if (options.availability) require_feature(name, availability, "--availability");
  if (options.lost_rows) require_feature(name, lost_rows, "--lost-rows");
  return entry.make(options);
}

void hand_over_to_all(int workers, Actions& actions) {
  for (int worker = 0; worker < workers; ++worker) actions.emplace_back(HandOver{worker});
}

}  // namespace tardigrad
