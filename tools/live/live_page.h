#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace tardigrad {

/// What a live page shows. Called on the server's threads, and on the thread that ends it; never two at once.
struct LiveContent {
  /// All that there is to see, as one line of JSON; `live`: whether there is more to come.
  std::function<std::string(bool live)> data;
  /// The page with that data in it, which listens to `events` for newer data.
  std::function<std::string(const std::string& data)> page;
};

struct LiveOptions {
  int port = 0;                            ///< 0: any that is free
  std::chrono::milliseconds period{1000};  ///< between messages, and between looks at the data
  int max_listeners = 16;                  ///< to events; further ones get 503
  /// For listeners to hear of the end, and again for connections to close; what is open then is left behind.
  std::chrono::milliseconds patience{1000};
};

/// `--serve PORT`: a page of a run while it goes on, to browsers on this machine only. `/` is the page,
/// `/events` a stream of server-sent events, each of which holds the data anew.
///
/// It has threads of its own: whoever listens, or stops reading, takes nothing from the run but what a call
/// of LiveContent::data does, at most once in a period, and only while somebody listens. Requests that a page
/// elsewhere on the web may have made (another Host or Origin) get 403. Connections are limited in number,
/// and requests in length and time (GuardedServer).
class LivePage {
 public:
  /// Throws std::invalid_argument where the port cannot be had, or the program was built without cpp-httplib.
  LivePage(LiveContent content, LiveOptions options);
  /// Sends every listener the data once more, no longer live; takes no longer than twice `patience`.
  ~LivePage();
  LivePage(const LivePage&) = delete;
  LivePage& operator=(const LivePage&) = delete;

  int port() const;
  std::string url() const;  ///< "http://127.0.0.1:8080/"

 private:
  class Server;
  std::shared_ptr<Server> server_;  // with the threads that a client holds up at the end
};

}  // namespace tardigrad
