#pragma once

#include <string>
#include <string_view>

namespace tardigrad {

/// Says where a page is served: an address of this machine, and a port.
struct ServeAddress {
  std::string given = {};             ///< as --serve has it, for messages
  std::string host = "127.0.0.1";     ///< as given, without brackets: a name or an address
  std::string address = "127.0.0.1";  ///< of IPv4 or IPv6, in figures
  int port = 0;                       ///< 0: any that is free

  bool is_loopback() const;  ///< nobody elsewhere reaches it
  bool is_any() const;       ///< all addresses of this machine
};

/// Returns "[::1]:8080" or "127.0.0.1:8080", as in a URL.
std::string host_and_port(const std::string& host, int port);

/// Tells whether that is an address of IPv4 or IPv6 in figures, without brackets.
bool is_address(std::string_view host);

/// Reads "PORT", which is on 127.0.0.1, "HOST:PORT" or "[IPV6]:PORT". A name is looked up. Throws
/// std::invalid_argument, which names --serve.
ServeAddress parse_serve_address(const std::string& text);

}  // namespace tardigrad
