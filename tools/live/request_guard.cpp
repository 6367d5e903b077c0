#include "tools/live/request_guard.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "runtime/base/parse_number.h"

namespace tardigrad {
namespace {

using httplib::Request;
using httplib::Response;

constexpr int http_port = 80;

std::string in_small_letters(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// A Host header's name, without the brackets of IPv6, and its port.
std::pair<std::string, int> split_host(const std::string& host) {
  const std::size_t bracket = host.find(']');
  const std::size_t colon = host.find(':', bracket == std::string::npos ? 0 : bracket);
  std::string name = host.substr(0, colon);
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') name = name.substr(1, name.size() - 2);
  if (colon == std::string::npos) return {std::move(name), http_port};
  return {std::move(name), parse_number<int>(std::string_view(host).substr(colon + 1)).value_or(-1)};
}

bool has_body(const Request& request) {
  const auto [first, last] = request.headers.equal_range("Content-Length");
  return request.has_header("Transfer-Encoding") ||
         std::any_of(first, last, [](const auto& length) { return length.second != "0"; });
}

}  // namespace

RequestGuard::RequestGuard(ServeAddress where, std::vector<std::string> hosts, std::string token)
    : where_(std::move(where)), hosts_(std::move(hosts)), token_(std::move(token)) {
  for (std::string& host : hosts_) host = in_small_letters(std::move(host));
}

bool RequestGuard::refuses(const Request& request, Response& response) const {
  const std::string host = request.get_header_value("Host");
  if (request.get_header_value_count("Host") != 1 || !is_own_host(in_small_letters(host)) ||
      (request.has_header("Origin") && !is_own_origin(request.get_header_value("Origin"), host))) {
    answer(response, 403, "only for pages of this server (--serve-host allows further names of it)");
  } else if (request.method != "GET" && request.method != "HEAD") {
    response.set_header("Allow", "GET, HEAD");
    answer(response, 405, "only GET and HEAD");
  } else if (has_body(request)) {
    answer(response, 413, "a request has no body here");
  } else if (!token_.empty() && !has_token(request)) {
    response.set_header("WWW-Authenticate", "Bearer realm=\"tardigrad\"");
    answer(response, 401, "a token is needed: ?token=TOKEN, or the header Authorization: Bearer TOKEN");
  } else {
    return false;
  }
  return true;
}

bool RequestGuard::is_own_host(const std::string& host) const {
  const auto [name, port] = split_host(host);
  return is_own_address(name, port) || is_allowed_host(host);
}

bool RequestGuard::is_own_address(const std::string& name, int port) const {
  // On its way to all addresses, as out of a container, a port may become another.
  if (where_.is_any() && (is_address(name) || name == "localhost")) return true;
  const bool is_name = name == where_.address || name == in_small_letters(where_.host) ||
                       (where_.is_loopback() && name == "localhost");
  return is_name && port == where_.port;
}

bool RequestGuard::is_allowed_host(const std::string& host) const {
  const std::string name = split_host(host).first;
  return std::ranges::any_of(hosts_, [&](const std::string& own) { return own == host || own == name; });
}

/// A page of this very host, or one of an allowed name, which may have come by a proxy that encrypts.
bool RequestGuard::is_own_origin(const std::string& origin, const std::string& host) const {
  const std::string text = in_small_letters(origin);
  if (text == "http://" + in_small_letters(host)) return true;
  const auto is_allowed = [&](std::string_view scheme) {
    return text.starts_with(scheme) && is_allowed_host(text.substr(scheme.size()));
  };
  return is_allowed("http://") || is_allowed("https://");
}

bool RequestGuard::has_token(const Request& request) const {
  constexpr std::string_view scheme = "Bearer ";
  const std::string header = request.get_header_value("Authorization");
  const std::string parameter = request.get_param_value("token");
  const bool by_header = header.starts_with(scheme) &&
                         equal_in_constant_time(token_, std::string_view(header).substr(scheme.size()));
  return by_header || equal_in_constant_time(token_, parameter);
}

void answer(Response& response, int status, std::string_view text) {
  response.status = status;
  response.set_content(std::string(text) + "\n", "text/plain");
}

bool equal_in_constant_time(std::string_view secret, std::string_view guess) {
  volatile unsigned difference = secret.size() == guess.size() ? 0 : 1;
  for (std::size_t i = 0; i < guess.size(); ++i) {
    const char own = secret.empty() ? '\0' : secret[i % secret.size()];
    difference = difference | static_cast<unsigned>(static_cast<unsigned char>(own ^ guess[i]));
  }
  return difference == 0;
}

}  // namespace tardigrad
