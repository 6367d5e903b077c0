#include "tools/live/live_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/tools/live/connection.h"

namespace tardigrad {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using testing::Connection;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// A page that shows a number.
class LivePageConnections : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      open({.period = 5ms, .patience = 200ms});
    } catch (const std::invalid_argument& error) {
      if (std::string(error.what()).find("cpp-httplib") == std::string::npos) throw;
      GTEST_SKIP() << error.what();
    }
  }

  void open(const LiveOptions& options) {
    page_ = std::make_unique<LivePage>(
        LiveContent{.data =
                        [this](bool live) {
                          ++questions_;
                          return R"({"live":)" + std::string(live ? "true" : "false") + R"(,"number":)" +
                                 std::to_string(number_) + padding_ + "}";
                        },
                    .page = [](const std::string& data) { return "<p>" + data; }},
        options);
  }

  int port() const { return page_->port(); }
  void close() { page_.reset(); }

  std::string answer_to(const std::string& request) const {
    Connection connection(port());
    connection.write(request);
    return connection.read_all();
  }

  std::string own_host() const { return "Host: 127.0.0.1:" + std::to_string(port()) + "\r\n"; }

  std::atomic<int> number_ = 1;
  std::atomic<int> questions_ = 0;
  std::string padding_;
  std::unique_ptr<LivePage> page_;
};

TEST_F(LivePageConnections, ServesThePageWithItsData) {
  EXPECT_EQ(page_->url(), "http://127.0.0.1:" + std::to_string(port()) + "/");
  const std::string page = answer_to("GET / HTTP/1.1\r\n" + own_host() + "\r\n");
  EXPECT_THAT(page, AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Content-Type: text/html; charset=utf-8"),
                          HasSubstr("default-src 'none'"), HasSubstr("X-Content-Type-Options: nosniff"),
                          HasSubstr("Cache-Control: no-store"), EndsWith(R"(<p>{"live":true,"number":1})")));
}

TEST_F(LivePageConnections, AHeadHasNoBody) {
  EXPECT_THAT(answer_to("HEAD / HTTP/1.1\r\n" + own_host() + "\r\n"),
              AllOf(StartsWith("HTTP/1.1 200"), EndsWith("\r\n\r\n")));
}

TEST_F(LivePageConnections, EventsFollowTheDataAndEndWithTheRun) {
  close();
  open({.period = 5ms, .patience = 30s});  // for its threads, on a machine that stalls
  Connection connection(port());
  connection.get(port(), "/events");
  EXPECT_THAT(connection.read_until("\r\n\r\n"), HasSubstr("Content-Type: text/event-stream"));
  connection.read_until("data: {\"live\":true,\"number\":1}\n\n");
  number_ = 2;
  connection.read_until("data: {\"live\":true,\"number\":2}\n\n");
  close();
  const std::string rest = connection.read_all();
  EXPECT_THAT(rest, HasSubstr("data: {\"live\":false,\"number\":2}\n\n"));
  EXPECT_THAT(rest, EndsWith("0\r\n\r\n"));
}

TEST_F(LivePageConnections, KeepsAStreamOpenWhileNothingHappens) {
  Connection connection(port());
  connection.get(port(), "/events");
  const std::string text = connection.read_until(": nothing new\n\n");
  EXPECT_EQ(text.find("data: "), text.rfind("data: "));
}

TEST_F(LivePageConnections, AsksForDataOnceAPeriodAndOnlyForSomebody) {
  close();
  open({.period = 1h, .patience = 200ms});
  questions_ = 0;
  answer_to("GET /favicon.ico HTTP/1.1\r\n" + own_host() + "\r\n");
  EXPECT_EQ(questions_, 0);
  for (int i = 0; i < 3; ++i) {
    Connection connection(port());
    connection.get(port(), "/events");
    connection.read_until("\"number\":1}\n\n");
    answer_to("GET / HTTP/1.1\r\n" + own_host() + "\r\n");
  }
  EXPECT_EQ(questions_, 1);
}

TEST_F(LivePageConnections, FurtherListenersAreTurnedAwayUntilOneLeaves) {
  close();
  open({.period = 5ms, .max_listeners = 2, .patience = 200ms});
  Connection first(port());
  first.get(port(), "/events");
  first.read_until("data: ");
  auto second = std::make_unique<Connection>(port());
  second->get(port(), "/events");
  second->read_until("data: ");
  const std::string request = "GET /events HTTP/1.1\r\n" + own_host() + "\r\n";
  EXPECT_THAT(answer_to(request), StartsWith("HTTP/1.1 503"));
  answer_to("GET / HTTP/1.1\r\n" + own_host() + "\r\n");  // the page itself is for everybody
  second.reset();
  while (true) {  // until the server has noticed
    Connection third(port());
    third.get(port(), "/events");
    if (third.read_until("\r\n") == "HTTP/1.1 200 OK\r\n") break;
  }
}

TEST_F(LivePageConnections, IsOnThisMachineOnly) {
  // Whatever listens on all addresses of the machine listens on this one, too.
  EXPECT_EQ(Connection(port(), "127.0.0.2").error(), ECONNREFUSED);
}

TEST_F(LivePageConnections, APortInUseIsRefused) {
  const int taken = port();
  const auto mine = std::move(page_);
  try {
    open({.where = parse_serve_address(std::to_string(taken))});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(error.what(), "--serve " + std::to_string(taken) + ": 127.0.0.1:" + std::to_string(taken) +
                                " cannot be listened on: Address already in use; expected a free port");
  }
}

// It gets no more than the buffers hold; others, and the end, do not wait for it.
TEST_F(LivePageConnections, AListenerThatNeverReadsHoldsNobodyUp) {
  padding_ = ",\"padding\":\"" + std::string(1 << 20, 'x') + "\"";
  Connection stalled(port());
  stalled.get(port(), "/events");
  Connection reading(port());
  reading.get(port(), "/events");
  for (int i = 2; i < 30; ++i) {
    number_ = i;
    reading.read_until("\"number\":" + std::to_string(i));
  }
  const auto start = std::chrono::steady_clock::now();
  close();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
}

TEST_F(LivePageConnections, ConnectionsThatSayNothingDoNotHoldUpTheEnd) {
  std::vector<std::unique_ptr<Connection>> silent;
  for (int i = 0; i < 40; ++i) silent.push_back(std::make_unique<Connection>(port()));
  for (int i = 0; i < 20; ++i) silent[static_cast<std::size_t>(i)]->write("GET / HTT");
  const auto start = std::chrono::steady_clock::now();
  close();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
}

// What it has read by then it has thrown away.
TEST_F(LivePageConnections, RequestsWithoutEndAreCutOff) {
  const std::string begin = "GET / HTTP/1.1\r\n" + own_host();
  const std::string header = "X: " + std::string(1000, 'x') + "\r\n";
  std::string headers;
  for (int i = 0; i < 64; ++i) headers += header;
  for (const auto& [first, more] :
       {std::pair{std::string("GET /"), std::string(1 << 16, 'x')}, std::pair{begin, headers}}) {
    Connection connection(port());
    connection.write(first);
    int pieces = 0;
    while (pieces < 1000 && connection.try_write(more)) ++pieces;
    EXPECT_LT(pieces, 1000) << first;  // fewer fit into the buffers of the connection
  }
}

TEST_F(LivePageConnections, RequestsThatComeSlowlyAreCutOff) {
  Connection slow(port());
  slow.write("GET / HTTP/1.1\r\n");
  const auto start = std::chrono::steady_clock::now();
  while (slow.try_write("X: y\r\n") && std::chrono::steady_clock::now() < start + 20s) {
    std::this_thread::sleep_for(20ms);  // well within any patience with one read
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, 20s);
}

int open_files() {
  return static_cast<int>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

// Files that the run may need are not taken up by them.
TEST_F(LivePageConnections, OfManyConnectionsOnlySomeAreOpen) {
  constexpr int clients = 300;
  constexpr int most_open = 16 + 8 + 40;  // listeners, pages, waiting
  const int before = open_files() + clients;
  std::vector<std::unique_ptr<Connection>> silent;
  for (int i = 0; i < clients; ++i) {
    silent.push_back(std::make_unique<Connection>(port(), "127.0.0.1", SOCK_NONBLOCK));
  }
  const auto start = std::chrono::steady_clock::now();
  while (open_files() - before < most_open && std::chrono::steady_clock::now() < start + 1s) {
  }
  for (int i = 0; i < 100; ++i) ASSERT_LE(open_files() - before, most_open + 2);
}

// ---- Requests that are not our page's ----

struct Foreign {
  std::string request;  ///< PORT is the server's
  int status;
};

void PrintTo(const Foreign& foreign, std::ostream* out) { *out << foreign.request; }

class ForeignRequest : public LivePageConnections, public ::testing::WithParamInterface<Foreign> {};

TEST_P(ForeignRequest, IsRefused) {
  std::string request = GetParam().request;
  for (std::size_t at; (at = request.find("PORT")) != std::string::npos;) {
    request.replace(at, 4, std::to_string(port()));
  }
  const std::string answer = answer_to(request);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 " + std::to_string(GetParam().status)));
  EXPECT_THAT(answer, Not(HasSubstr("number")));
  // And it harmed nobody.
  EXPECT_THAT(answer_to("GET / HTTP/1.1\r\n" + own_host() + "\r\n"), StartsWith("HTTP/1.1 200"));
}

const std::string host = "Host: localhost:PORT\r\n";

INSTANTIATE_TEST_SUITE_P(
    Cases, ForeignRequest,
    ::testing::Values(
        Foreign{"GET / HTTP/1.1\r\nHost: evil.example:PORT\r\n\r\n", 403},
        Foreign{"GET /events HTTP/1.1\r\nHost: evil.example:PORT\r\n\r\n", 403},
        Foreign{"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 403}, Foreign{"GET / HTTP/1.1\r\n\r\n", 403},
        Foreign{"GET / HTTP/1.1\r\n" + host + "Host: evil.example\r\n\r\n", 403},
        Foreign{"GET /events HTTP/1.1\r\n" + host + "Origin: http://evil.example\r\n\r\n", 403},
        Foreign{"GET /events HTTP/1.1\r\n" + host + "Origin: null\r\n\r\n", 403},
        Foreign{"GET /events HTTP/1.1\r\n" + host + "Origin: https://localhost:PORT\r\n\r\n", 403},
        Foreign{"POST / HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\nhi", 405},
        Foreign{"DELETE / HTTP/1.1\r\n" + host + "\r\n", 405},
        Foreign{"GET / HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\nhi", 413},
        Foreign{"GET / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413},
        Foreign{"HEAD / HTTP/1.1\r\n" + host + "Content-Length: 18446744073709551616\r\n\r\n", 413},
        Foreign{"GET / HTTP/1.1\r\n" + host + "Content-Length: 0\r\nContent-Length: 2\r\n\r\nhi", 413},
        Foreign{"GET / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", 413},
        Foreign{"GET /../etc/passwd HTTP/1.1\r\n" + host + "\r\n", 404},
        Foreign{"GET /favicon.ico HTTP/1.1\r\n" + host + "\r\n", 404},
        Foreign{"GET /" + std::string(10'000, 'x') + " HTTP/1.1\r\n" + host + "\r\n", 414},
        Foreign{"BREW / HTTP/1.1\r\n" + host + "\r\n", 400}, Foreign{"\r\n\r\n", 400}));

TEST_F(LivePageConnections, OwnNamesAndOriginsAreAnswered) {
  const std::string number = std::to_string(port());
  for (const std::string& name : {"127.0.0.1:" + number, "localhost:" + number}) {
    EXPECT_THAT(answer_to("GET / HTTP/1.1\r\nHost: " + name + "\r\nOrigin: http://" + name + "\r\n\r\n"),
                StartsWith("HTTP/1.1 200"));
  }
}

}  // namespace
}  // namespace tardigrad
