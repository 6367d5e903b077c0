#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <regex>
#include <string>

namespace tardigrad::testing {

/// A client on this machine. What it waits for in vain for half a minute is a failure.
class Connection {
 public:
  /// `flags`: SOCK_NONBLOCK for one that does not wait to be accepted.
  explicit Connection(int port, const std::string& address = "127.0.0.1", int flags = 0)
      : socket_(socket(family_of(address), SOCK_STREAM | flags, 0)) {
    const timeval patience{30, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(static_cast<std::uint16_t>(port));
    inet_pton(AF_INET, address.c_str(), &four.sin_addr);
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = four.sin_port;
    inet_pton(AF_INET6, address.c_str(), &six.sin6_addr);
    const int status = family_of(address) == AF_INET ? connect_to(four) : connect_to(six);
    error_ = status == 0 ? 0 : errno;
  }
  ~Connection() { close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int error() const { return error_; }  ///< 0: connected

  void write(const std::string& text) { EXPECT_TRUE(try_write(text)); }

  /// False where the other end has closed the connection.
  bool try_write(const std::string& text) {
    return send(socket_, text.data(), text.size(), MSG_NOSIGNAL) == std::ssize(text);
  }

  /// Asks for `path` as our own page would.
  void get(int port, const std::string& path) {
    write("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) + "\r\n\r\n");
  }

  /// All that comes until `mark`, which is the end of it, or until the end of the connection.
  std::string read_until(const std::string& mark) {
    while (received_.find(mark) == std::string::npos && receive()) {
    }
    const std::size_t at = received_.find(mark);
    EXPECT_NE(at, std::string::npos) << mark << " is not in " << received_.substr(0, 1000);
    if (at == std::string::npos) return "";
    const std::string text = received_.substr(0, at + mark.size());
    received_.erase(0, text.size());
    return text;
  }

  /// The data of the next server-sent event. A long one comes in chunks of HTTP/1.1, whose lengths it holds
  /// between "\r\n", which JSON never has.
  std::string read_event() {
    read_until("data: ");
    static const std::regex length_of_chunk("\r\n[0-9a-fA-F]+\r\n");
    return std::regex_replace(read_until("\n\n"), length_of_chunk, "");
  }

  std::string read_all() {
    while (receive()) {
    }
    return received_;
  }

 private:
  static int family_of(const std::string& address) {
    return address.find(':') == std::string::npos ? AF_INET : AF_INET6;
  }

  template <typename Address>
  int connect_to(const Address& address) const {
    return connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  }

  bool receive() {
    char bytes[65536];
    const ssize_t count = recv(socket_, bytes, sizeof(bytes), 0);
    if (count < 0) ADD_FAILURE() << "nothing came: error " << errno;
    if (count > 0) received_.append(bytes, static_cast<std::size_t>(count));
    return count > 0;
  }

  int socket_;
  int error_ = 0;
  std::string received_;
};

}  // namespace tardigrad::testing
