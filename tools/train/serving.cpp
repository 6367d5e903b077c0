#include "tools/train/serving.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "runtime/base/parse_number.h"

namespace tardigrad {
namespace {

constexpr const char* token_variable = "TARDIGRAD_SERVE_TOKEN";

bool consists_of(std::string_view text, std::string_view marks) {
  return std::ranges::all_of(text, [marks](unsigned char c) {
    return (c < 128 && std::isalnum(c) != 0) || marks.find(static_cast<char>(c)) != marks.npos;
  });
}

/// `source`: where it comes from, without the token itself.
void check_token(const std::string& source, const std::string& token) {
  constexpr std::size_t least = 8;
  constexpr std::size_t most = 1024;
  if (token.size() >= least && token.size() <= most && consists_of(token, "-._~")) return;
  throw std::invalid_argument(fmt::format(
      "{}: not a token; expected {} to {} letters, digits or -._~, such as openssl rand -hex 16 gives",
      source, least, most));
}

/// Its first line.
std::string token_in_file(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!file || !std::getline(file, line)) {
    throw std::invalid_argument(fmt::format(
        "--serve-token @{}: cannot be read; expected a file with a token in its first line", path));
  }
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

std::string token_of(const TrainOptions& options) {
  if (options.serve_token) {
    const bool is_file = options.serve_token->starts_with('@');
    std::string token = is_file ? token_in_file(options.serve_token->substr(1)) : *options.serve_token;
    check_token(is_file ? "--serve-token " + *options.serve_token : "--serve-token", token);
    return token;
  }
  const char* variable = std::getenv(token_variable);
  if (variable == nullptr || *variable == '\0') return "";
  check_token(token_variable, variable);
  return variable;
}

std::vector<std::string> parse_hosts(const std::string& text) {
  std::vector<std::string> hosts;
  for (const std::string_view host : split(text, ',')) {
    if (host.empty() || !consists_of(host, "-._:[]")) {
      throw std::invalid_argument(fmt::format(
          "--serve-host {}: expected names of this machine, such as gpu1.example.org,gpu1 or gpu1:8443",
          text));
    }
    hosts.emplace_back(host);
  }
  return hosts;
}

}  // namespace

std::optional<LiveOptions> serving(const TrainOptions& options) {
  if (!options.serve) {
    if (options.serve_host || options.serve_token) {
      throw std::invalid_argument(fmt::format("{} has no use without --serve",
                                              options.serve_host ? "--serve-host" : "--serve-token"));
    }
    return std::nullopt;
  }
  LiveOptions live{.where = parse_serve_address(*options.serve), .token = token_of(options)};
  if (options.serve_host) live.hosts = parse_hosts(*options.serve_host);
  if (live.token.empty() && !live.where.is_loopback()) {
    throw std::invalid_argument(
        fmt::format("--serve {}: others reach that address; expected --serve-token "
                    "(or {}) with it, or an address such as 127.0.0.1",
                    *options.serve, token_variable));
  }
  return live;
}

}  // namespace tardigrad
