#pragma once

#include <httplib.h>

#include <string>
#include <string_view>
#include <vector>

#include "tools/live/serve_address.h"

namespace tardigrad {

/// Decides which requests may be answered: those that read, without a body, that call the server by a name of
/// its own and do not come of a page of another origin; and, where there is a token, only those that have it.
///
/// A name of its own keeps out pages elsewhere whose own name was made to lead here. It is the address that
/// is listened on, with its port; on all addresses it is any address in figures, as such a page has a name;
/// and it is what `--serve-host` allows.
class RequestGuard {
 public:
  /// Takes `hosts`, each "NAME", with any port, or "NAME:PORT", and the `token`, which is empty where none is
  /// needed.
  RequestGuard(ServeAddress where, std::vector<std::string> hosts, std::string token);

  bool needs_token() const { return !token_.empty(); }

  /// Answers what is refused. Returns false where the request may be answered.
  bool refuses(const httplib::Request& request, httplib::Response& response) const;

 private:
  // Hosts in small letters.
  bool is_own_host(const std::string& host) const;
  bool is_own_address(const std::string& name, int port) const;
  bool is_allowed_host(const std::string& host) const;
  bool is_own_origin(const std::string& origin, const std::string& host) const;
  bool has_token(const httplib::Request& request) const;

  ServeAddress where_;
  std::vector<std::string> hosts_;  // in small letters
  std::string token_;
};

/// Sends a line of text as the answer.
void answer(httplib::Response& response, int status, std::string_view text);

/// Tells whether the texts are the same. It takes as long however much of them is, so that nobody can find
/// out a text piece by piece.
bool equal_in_constant_time(std::string_view secret, std::string_view guess);

}  // namespace tardigrad
