#include "runtime/ranks/agreement.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "runtime/base/json_text.h"
#include "runtime/ranks/blocking.h"
#include "runtime/ranks/messages.h"

namespace tardigrad {
namespace {

/// Comes first: everything else can be read where this can.
struct StatusHeader {
  static constexpr std::uint32_t expected_order = 0x01020304;
  std::uint32_t byte_order = expected_order;
  std::uint32_t text_bytes = 0;
  std::array<char, 120> host{};
};

void send_status(Transport& transport, const RankStatus& status) {
  const nlohmann::json record{{"trouble", status.trouble}, {"facts", status.facts}, {"own", status.own}};
  const std::string text = json_text_of_any_bytes(record);
  StatusHeader header;
  header.text_bytes = static_cast<std::uint32_t>(text.size());
  static_cast<void>(gethostname(header.host.data(), header.host.size() - 1));
  blocking_send(transport, 0, tag_status, &header, sizeof(header));
  blocking_send(transport, 0, tag_text, text.data(), text.size());
}

/// "it has --lr 0.2, and rank 0 has 0.1"; empty where the facts are the same.
std::string describe_difference(const std::map<std::string, std::string>& expected,
                                const nlohmann::json& facts) {
  for (const auto& [name, value] : expected) {
    const std::string there = facts.value(name, std::string());
    if (there != value) return fmt::format("{} is {} there, expected {}, as on rank 0", name, there, value);
  }
  return "";
}

/// Knows, of what a rank must have for itself, who has it.
class Owners {
 public:
  /// "the GPU is cuda:0 there, which rank 1 has, too"; empty where nobody had it before.
  std::string describe_conflict(int rank, const std::map<std::string, std::string>& own) {
    for (const auto& [name, value] : own) {
      const auto [owner, is_first] = ranks_.try_emplace({name, value}, rank);
      if (is_first) continue;
      return fmt::format("{} is {} there, which rank {} has, too; expected one for each rank", name, value,
                         owner->second);
    }
    return "";
  }

 private:
  std::map<std::pair<std::string, std::string>, int> ranks_;
};

/// Receives what a rank says, and returns why it cannot take part; empty if it can.
std::string trouble_of(Transport& transport, int rank, const RankStatus& here, Owners& owners) {
  StatusHeader header;
  blocking_receive(transport, rank, tag_status, &header, sizeof(header));
  header.host.back() = '\0';
  const std::string whose = fmt::format("rank {} on {}: ", rank, header.host.data());
  if (header.byte_order != StatusHeader::expected_order) {
    return whose + "its processor has another byte order than that of rank 0";
  }
  std::string text(header.text_bytes, '\0');
  blocking_receive(transport, rank, tag_text, text.data(), text.size());
  const auto status = parse_own_json(text);
  const std::string trouble = status.at("trouble").get<std::string>();
  if (!trouble.empty()) return whose + trouble;
  std::map<std::string, std::string> expected = here.facts;
  if (here.facts_of_rank) expected.merge(here.facts_of_rank(rank));
  std::string difference = describe_difference(expected, status.at("facts"));
  if (difference.empty()) {
    difference = owners.describe_conflict(rank, status.at("own").get<std::map<std::string, std::string>>());
  }
  return difference.empty() ? "" : whose + difference;
}

}  // namespace

void agree(Transport& transport, const RankStatus& status) {
  std::uint32_t refused = 0;
  if (transport.rank() > 0) {
    send_status(transport, status);
    blocking_receive(transport, 0, tag_verdict, &refused, sizeof(refused));
    if (refused != 0) throw RefusedByRank0();
    return;
  }
  std::string trouble = status.trouble;
  Owners owners;
  static_cast<void>(owners.describe_conflict(0, status.own));
  for (int rank = 1; rank < transport.size(); ++rank) {
    const std::string there = trouble_of(transport, rank, status, owners);
    if (trouble.empty()) trouble = there;
  }
  refused = trouble.empty() ? 0 : 1;
  for (int rank = 1; rank < transport.size(); ++rank) {
    blocking_send(transport, rank, tag_verdict, &refused, sizeof(refused));
  }
  if (refused != 0) throw std::invalid_argument(trouble);
}

}  // namespace tardigrad
