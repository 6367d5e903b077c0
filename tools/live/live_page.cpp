#include "tools/live/live_page.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <future>
#include <optional>
#include <shared_mutex>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "runtime/base/start_thread.h"
#include "tools/live/guarded_server.h"
#include "tools/live/live_feed.h"
#include "tools/live/request_guard.h"

namespace tardigrad {
namespace {

using httplib::Request;
using httplib::Response;

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
        texts_(std::move(content.texts)),
        patience_(options.patience),
        where_(options.where),
        http_(static_cast<std::size_t>(options.max_listeners) + threads_for_pages) {
    http_.set_payload_max_length(0);
    bind();
    guard_.emplace(where_, options.hosts, options.token);
    route();
  }

  int port() const { return where_.port; }

  std::string url() const {
    // Not the token itself: this goes into logs.
    return fmt::format("http://{}/{}", host_and_port(where_.host, where_.port),
                       guard_->needs_token() ? "?token=TOKEN (the token of --serve-token)" : "");
  }

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
    {
      const std::scoped_lock no_more(texts_mutex_);  // a thread that is left behind asks nobody any more
      texts_over_ = true;
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
      return guard_->refuses(request, response) ? Handled::Handled : Handled::Unhandled;
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
    for (const LiveText& text : texts_) {
      http_.Get(text.path, [this, &text](const Request&, Response& response) {
        const std::shared_lock present(texts_mutex_);
        if (texts_over_) return answer(response, 503, "the run has ended");
        const LiveText::Answer said = text.answer();
        response.status = said.status;
        response.set_content(said.text, text.content_type);
      });
    }
  }

  bool has_ended(std::chrono::milliseconds patience) {
    return is_over_.wait_for(patience) == std::future_status::ready;
  }

  void bind() {
    // Not the library's SO_REUSEPORT, with which two programs would share a port.
    http_.set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
    errno = 0;
    const char* address = where_.address.c_str();
    const int port = where_.port == 0 ? http_.bind_to_any_port(address) : where_.port;
    if (port > 0 && (where_.port == 0 || http_.bind_to_port(address, port))) {
      where_.port = port;
      return;
    }
    const int error = errno;
    throw std::invalid_argument(
        fmt::format("--serve {}: {} cannot be listened on: {}; expected {}",
                    where_.given.empty() ? std::to_string(where_.port) : where_.given,
                    host_and_port(where_.address, where_.port), std::strerror(error),
                    error == EADDRNOTAVAIL ? "an address of this machine" : "a free port"));
  }

  std::function<std::string(const std::string&)> page_;
  LiveFeed feed_;
  std::vector<LiveText> texts_;
  std::shared_mutex texts_mutex_;
  bool texts_over_ = false;
  std::chrono::milliseconds patience_;
  ServeAddress where_;
  std::optional<RequestGuard> guard_;
  GuardedServer http_;
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
std::string LivePage::url() const { return server_->url(); }

}  // namespace tardigrad
