#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tools/live/serve_address.h"

namespace tardigrad {

/// Is what a server answers besides the page, and does not keep: for programs that watch a run.
struct LiveText {
  struct Answer {
    int status = 200;
    std::string text;
  };
  std::string path;  ///< "/health"
  std::string content_type;
  std::function<Answer()> answer;  ///< called on the server's threads, several at once, and quick
};

/// Says what a live page shows. It is called on the server's threads, and on the thread that ends it; never
/// by two at once.
struct LiveContent {
  /// Returns all that there is to see, as one line of JSON. `live` says whether there is more to come.
  std::function<std::string(bool live)> data;
  /// Returns the page with that data in it, which listens to `events` for newer data.
  std::function<std::string(const std::string& data)> page;
  std::vector<LiveText> texts = {};
};

struct LiveOptions {
  ServeAddress where = {};
  std::vector<std::string> hosts = {};     ///< further names that it is called by (RequestGuard)
  std::string token = {};                  ///< that requests need; empty: none
  std::chrono::milliseconds period{1000};  ///< between messages, and between looks at the data
  int max_listeners = 16;                  ///< to events; further ones get 503
  /// Limits how long listeners may take to hear of the end, and again connections to close. What is open then
  /// is left behind.
  std::chrono::milliseconds patience{1000};
};

/// Serves `--serve`: a page of a run while it goes on. `/` is the page, `/events` a stream of server-sent
/// events, each of which holds the data anew.
///
/// It has threads of its own: whoever listens, or stops reading, takes nothing from the run but what a call
/// of LiveContent::data does, at most once in a period, and only while somebody listens, and what is asked of
/// LiveContent::texts. Who may ask is up to RequestGuard. Connections are limited in number, and requests in
/// length and time (GuardedServer).
class LivePage {
 public:
  /// Begins to serve. Throws std::invalid_argument where the address or the port cannot be had, or the
  /// program was built without cpp-httplib.
  LivePage(LiveContent content, LiveOptions options);
  /// Sends every listener the data once more, no longer live. It takes no longer than twice `patience`.
  ~LivePage();
  LivePage(const LivePage&) = delete;
  LivePage& operator=(const LivePage&) = delete;

  int port() const;
  std::string url() const;  ///< "http://127.0.0.1:8080/", for a person: it does not hold the token

 private:
  class Server;
  std::shared_ptr<Server> server_;  // with the threads that a client holds up at the end
};

}  // namespace tardigrad
