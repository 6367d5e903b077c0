#include "runtime/base/json_text.h"

#include <array>

namespace tardigrad {

bool is_moderate_json(std::string_view text) {
  std::array<std::size_t, most_json_nesting + 1> members{};  // of what is open
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"') {
      in_string = !in_string;
    } else if (in_string) {
      if (c == '\\') ++at;
    } else if (c == '{' || c == '[') {
      if (++depth > most_json_nesting) return false;
      members[depth] = 0;
    } else if (c == '}' || c == ']') {
      if (depth > 0) --depth;
    } else if (c == ':' && ++members[depth] > most_json_members) {
      return false;
    }
  }
  return true;
}

template <typename Json>
Json parse_json(std::string_view text) {
  if (!is_moderate_json(text)) return Json(nlohmann::detail::value_t::discarded);
  return Json::parse(text, nullptr, false);
}

template <typename Json>
Json parse_own_json(std::string_view text) {
  return Json::parse(text);
}

template <typename Json>
std::string json_text(const Json& value, int indent) {
  return value.dump(indent);
}

template <typename Json>
std::string json_text_of_any_bytes(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

template nlohmann::json parse_json(std::string_view text);
template nlohmann::json parse_own_json(std::string_view text);
template std::string json_text(const nlohmann::json& value, int indent);
template std::string json_text_of_any_bytes(const nlohmann::json& value);
template nlohmann::ordered_json parse_json(std::string_view text);
template nlohmann::ordered_json parse_own_json(std::string_view text);
template std::string json_text(const nlohmann::ordered_json& value, int indent);
template std::string json_text_of_any_bytes(const nlohmann::ordered_json& value);

std::string in_quotes(std::string_view text) {
  constexpr std::size_t most = 80;
  const bool cut = text.size() > most;
  const std::string shown(text.substr(0, most));
  const auto replace = nlohmann::json::error_handler_t::replace;
  return nlohmann::json(shown).dump(-1, ' ', true, replace) + (cut ? "…" : "");
}

}  // namespace tardigrad
