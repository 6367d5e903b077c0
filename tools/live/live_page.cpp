#include "tools/live/live_page.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <future>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "runtime/start_thread.h"
#include "tools/live/guarded_server.h"
#include "tools/live/live_feed.h"

namespace tardigrad {
namespace {

using httplib::Request;
using httplib::Response;

constexpr const char* address = "127.0.0.1";
constexpr std::size_t threads_for_pages = 8;

/// The page holds all that it needs; nobody else may frame, read or keep it.
const httplib::Headers& page_headers() {
  static const httplib::Headers headers = {
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
       "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"X-Frame-Options", "DENY"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Referrer-Policy", "no-referrer"},
      {"Cache-Control", "no-store"}};
  return headers;
}

void answer(Response& response, int status, const char* text) {
  response.status = status;
  response.set_content(std::string(text) + "\n", "text/plain");
}

/// A name of this server. Not so for a page elsewhere whose own name was made to lead here.
bool is_own_host(const std::string& host, int port) {
  return host == fmt::format("{}:{}", address, port) || host == fmt::format("localhost:{}", port) ||
         (port == 80 && (host == address || host == "localhost"));
}

bool is_own_origin(const std::string& origin, int port) {
  constexpr std::string_view scheme = "http://";
  return origin.starts_with(scheme) && is_own_host(origin.substr(scheme.size()), port);
}

bool has_body(const Request& request) {
  const auto [first, last] = request.headers.equal_range("Content-Length");
  return request.has_header("Transfer-Encoding") ||
         std::any_of(first, last, [](const auto& length) { return length.second != "0"; });
}

/// Answers what is no request of our page's; false where it may be one.
bool refused(const Request& request, Response& response, int port) {
  if (request.get_header_value_count("Host") != 1 || !is_own_host(request.get_header_value("Host"), port) ||
      (request.has_header("Origin") && !is_own_origin(request.get_header_value("Origin"), port))) {
    answer(response, 403, "only for pages of this server");
  } else if (request.method != "GET" && request.method != "HEAD") {
    response.set_header("Allow", "GET, HEAD");
    answer(response, 405, "only GET and HEAD");
  } else if (has_body(request)) {
    answer(response, 413, "a request has no body here");
  } else {
    return false;
  }
  return true;
}

/// In pieces, so that a client that reads slowly cannot hold up the end for long.
bool send(httplib::DataSink& sink, std::string_view text, const LiveFeed& feed) {
  constexpr std::size_t piece = 16 << 10;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    if (feed.over() || !sink.write(text.data() + at, std::min(piece, text.size() - at))) return false;
  }
  return true;
}

/// Makes one listener's stream: each call sends one message, or what keeps the connection open.
class EventStream {
 public:
  EventStream(LiveFeed& feed, std::shared_ptr<void> listener) : feed_(feed), listener_(std::move(listener)) {}

  bool operator()(std::size_t, httplib::DataSink& sink) {
    try {
      const auto message = sent_ == 0 ? feed_.newest() : feed_.next();
      const bool is_new = message->number != sent_;
      sent_ = message->number;
      const bool sent = send(sink, is_new ? "data: " + message->data + "\n\n" : ": nothing new\n\n", feed_);
      if (sent && message->last) {
        sink.done();
        listener_.reset();
      }
      return sent;
    } catch (const std::exception&) {  // out of memory, say: this listener's loss, not the run's
      return false;
    }
  }

 private:
  LiveFeed& feed_;
  std::shared_ptr<void> listener_;
  std::uint64_t sent_ = 0;
};

}  // namespace

class LivePage::Server {
 public:
  Server(LiveContent content, const LiveOptions& options)
      : page_(std::move(content.page)),
        feed_(std::move(content.data), options.period, options.max_listeners),
        patience_(options.patience),
        http_(static_cast<std::size_t>(options.max_listeners) + threads_for_pages) {
    http_.set_payload_max_length(0);
    route();
    bind(options.port);
  }

  int port() const { return port_; }

  /// The threads keep `self` as long as they need it.
  static void start(const std::shared_ptr<Server>& self) {
    self->listener_ = start_thread("the live page", [self, ended = std::move(self->ended_)]() mutable {
      try {
        self->http_.listen_after_bind();
      } catch (const std::exception&) {  // no threads to be had: a page less, not a run
      }
      ended.set_value();
    });
  }

  void end() {
    try {
      feed_.end(patience_);
    } catch (const std::exception&) {  // no last message, then
    }
    http_.hurry();
    const auto deadline = std::chrono::steady_clock::now() + patience_;
    do {
      http_.stop();  // has no effect on a server that is about to begin
    } while (!has_ended(std::chrono::milliseconds(1)) && std::chrono::steady_clock::now() < deadline);
    has_ended(std::chrono::milliseconds(0)) ? listener_.join() : listener_.detach();
  }

 private:
  void route() {
    using Handled = httplib::Server::HandlerResponse;
    http_.set_default_headers(page_headers());
    http_.set_pre_routing_handler([this](const Request& request, Response& response) {
      return refused(request, response, port_) ? Handled::Handled : Handled::Unhandled;
    });
    http_.Get("/", [this](const Request&, Response& response) {
      // By a provider, which the library does not compress: that would take more than it saves.
      const auto page = std::make_shared<const std::string>(page_(feed_.newest()->data));
      response.set_content_provider(
          page->size(), "text/html; charset=utf-8",
          [this, page](std::size_t from, std::size_t size, httplib::DataSink& sink) {
            return send(sink, {page->data() + from, size}, feed_);
          });
    });
    http_.Get("/events", [this](const Request&, Response& response) {
      auto listener = feed_.listen();
      if (!listener) return answer(response, 503, "enough are listening");
      response.set_chunked_content_provider("text/event-stream", EventStream(feed_, std::move(listener)));
    });
  }

  bool has_ended(std::chrono::milliseconds patience) {
    return is_over_.wait_for(patience) == std::future_status::ready;
  }

  void bind(int port) {
    // Not the library's SO_REUSEPORT, with which two programs would share a port.
    http_.set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
    errno = 0;
    port_ = port == 0 ? http_.bind_to_any_port(address) : port;
    if (port_ > 0 && (port == 0 || http_.bind_to_port(address, port))) return;
    throw std::invalid_argument(fmt::format("--serve {}: {} cannot be listened on: {}; expected a free port",
                                            port, address, std::strerror(errno)));
  }

  std::function<std::string(const std::string&)> page_;
  LiveFeed feed_;
  std::chrono::milliseconds patience_;
  GuardedServer http_;
  int port_ = 0;
  std::promise<void> ended_;  // of the thread
  std::future<void> is_over_ = ended_.get_future();
  std::jthread listener_;
};

LivePage::LivePage(LiveContent content, LiveOptions options)
    : server_(std::make_shared<Server>(std::move(content), options)) {
  Server::start(server_);
}

LivePage::~LivePage() { server_->end(); }
int LivePage::port() const { return server_->port(); }
std::string LivePage::url() const { return fmt::format("http://{}:{}/", address, port()); }

}  // namespace tardigrad
