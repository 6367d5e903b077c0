#include "tools/live/serve_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "runtime/base/parse_number.h"

namespace tardigrad {
namespace {

constexpr int most_port = 65535;

[[noreturn]] void refuse_address(const std::string& text, const std::string& why) {
  throw std::invalid_argument(fmt::format("--serve {}: {}", text, why));
}

std::optional<in_addr> ipv4(std::string_view text) {
  in_addr address{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return std::nullopt;
  return address;
}

std::optional<in6_addr> ipv6(std::string_view text) {
  in6_addr address{};
  const std::string without_scope(text.substr(0, text.find('%')));
  if (inet_pton(AF_INET6, without_scope.c_str(), &address) != 1) return std::nullopt;
  return address;
}

/// The parts before and behind the last colon, the first without brackets; nothing where there are none.
std::optional<std::pair<std::string, std::string>> split_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return std::pair(std::string("127.0.0.1"), text);
  std::string host = text.substr(0, colon);
  const bool in_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (in_brackets) host = host.substr(1, host.size() - 2);
  if (host.empty() || in_brackets != ipv6(host).has_value()) return std::nullopt;
  return std::pair(std::move(host), text.substr(colon + 1));
}

/// In figures.
std::string look_up(const std::string& text, const std::string& host) {
  if (is_address(host)) return host;
  if (host == "localhost") return "127.0.0.1";  // where the page has always been
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), nullptr, &wanted, &found);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  char figures[NI_MAXHOST] = "";
  if (error != 0 || getnameinfo(found->ai_addr, found->ai_addrlen, figures, sizeof(figures), nullptr, 0,
                                NI_NUMERICHOST) != 0) {
    refuse_address(text, fmt::format("no address of {} is known: {}; expected an address of this machine",
                                     host, gai_strerror(error)));
  }
  return figures;
}

}  // namespace

bool ServeAddress::is_loopback() const {
  if (const auto four = ipv4(address)) return ntohl(four->s_addr) >> 24 == 127;
  const auto six = ipv6(address);
  return six && (IN6_IS_ADDR_LOOPBACK(&*six) || (IN6_IS_ADDR_V4MAPPED(&*six) && six->s6_addr[12] == 127));
}

bool ServeAddress::is_any() const {
  if (const auto four = ipv4(address)) return four->s_addr == htonl(INADDR_ANY);
  const auto six = ipv6(address);
  return six && IN6_IS_ADDR_UNSPECIFIED(&*six);
}

std::string host_and_port(const std::string& host, int port) {
  return ipv6(host) ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

bool is_address(std::string_view host) { return ipv4(host) || ipv6(host); }

ServeAddress parse_serve_address(const std::string& text) {
  const auto parts = split_address(text);
  const auto port = parts ? parse_number<int>(parts->second) : std::nullopt;
  if (!port || *port < 0 || *port > most_port) {
    refuse_address(text, fmt::format("expected a port from 0 to {}, or an address and a port, such as "
                                     "127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080",
                                     most_port));
  }
  return {.given = text, .host = parts->first, .address = look_up(text, parts->first), .port = *port};
}

}  // namespace tardigrad
