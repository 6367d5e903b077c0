// Who may ask a live page for what: addresses, names of the server, and tokens.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "tests/tools/live/connection.h"
#include "tools/live/live_page.h"

namespace tardigrad {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using testing::Connection;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::string secret = "c29t.ZSBz-ZWNy_ZXQ~";

class LiveAccess : public ::testing::Test {
 protected:
  void open(LiveOptions options) {
    options.period = 5ms;
    options.patience = 200ms;
    try {
      page_ = std::make_unique<LivePage>(
          LiveContent{
              .data = [](bool) { return std::string("the data"); },
              .page = [](const std::string& data) { return data; },
              .texts = {{.path = "/health",
                         .content_type = "application/json",
                         .answer = [] { return LiveText::Answer{.status = 503, .text = "the health"}; }}}},
          options);
    } catch (const std::invalid_argument& error) {
      if (std::string(error.what()).find("cpp-httplib") == std::string::npos) throw;
      GTEST_SKIP() << error.what();
    }
  }

  std::string port() const { return std::to_string(page_->port()); }

  std::string answer_to(const std::string& path, const std::string& host,
                        const std::string& headers = "") const {
    Connection connection(page_->port());
    connection.write("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + headers + "\r\n");
    return connection.read_all();
  }

  int status(const std::string& path, const std::string& host, const std::string& headers = "") const {
    const std::string answer = answer_to(path, host, headers);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 "));
    return std::stoi(answer.substr(std::string("HTTP/1.1 ").size()));
  }

  std::unique_ptr<LivePage> page_;
};

TEST_F(LiveAccess, TextsAreAnsweredWithTheirTypeAndStatus) {
  open({});
  EXPECT_THAT(answer_to("/health", "127.0.0.1:" + port()),
              AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Content-Type: application/json"),
                    HasSubstr("Cache-Control: no-store"), HasSubstr("the health")));
}

TEST_F(LiveAccess, ATokenIsNeededForEverything) {
  open({.token = secret});
  const std::string host = "127.0.0.1:" + port();
  for (const std::string path : {"/", "/events", "/health", "/nothing"}) {
    const std::string refused = answer_to(path, host);
    EXPECT_THAT(refused, AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("WWW-Authenticate: Bearer"),
                               Not(HasSubstr("the data")), Not(HasSubstr("the health"))))
        << path;
  }
  const std::string as_parameter = "?token=" + secret;
  EXPECT_EQ(status("/" + as_parameter, host), 200);
  EXPECT_EQ(status("/health?token=c29t.ZSBz-ZWNy%5FZXQ%7E", host), 503);
  EXPECT_EQ(status("/", host, "Authorization: Bearer " + secret + "\r\n"), 200);
  Connection events(page_->port());
  events.write("GET /events" + as_parameter + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
  events.read_until("data: the data\n\n");
}

TEST_F(LiveAccess, OnlyTheWholeTokenWillDo) {
  open({.token = secret});
  const std::string host = "127.0.0.1:" + port();
  for (const std::string& wrong :
       {std::string(), secret.substr(1), secret.substr(0, secret.size() - 1), secret + secret,
        "C" + secret.substr(1), std::string(secret.size(), 'x')}) {
    EXPECT_EQ(status("/?token=" + wrong, host), 401) << wrong;
    EXPECT_EQ(status("/", host, "Authorization: Bearer " + wrong + "\r\n"), 401) << wrong;
  }
  EXPECT_EQ(status("/", host, "Authorization: Basic " + secret + "\r\n"), 401);
  EXPECT_EQ(status("/", host, "Authorization: " + secret + "\r\n"), 401);
  EXPECT_EQ(status("/", host, "Cookie: token=" + secret + "\r\n"), 401);
}

// A page elsewhere that knows the token is still no page of this server.
TEST_F(LiveAccess, ATokenIsNoSubstituteForANameOfTheServer) {
  open({.token = secret});
  EXPECT_EQ(status("/?token=" + secret, "evil.example:" + port()), 403);
  EXPECT_EQ(status("/?token=" + secret, "127.0.0.1:" + port(), "Origin: http://evil.example\r\n"), 403);
}

TEST_F(LiveAccess, WhatAPersonIsToldDoesNotHoldTheToken) {
  open({.token = secret});
  EXPECT_THAT(page_->url(),
              AllOf(StartsWith("http://127.0.0.1:" + port() + "/?token="), Not(HasSubstr(secret))));
}

TEST_F(LiveAccess, AllAddressesAnswerToAddressesButNotToNames) {
  open({.where = parse_serve_address("0.0.0.0:0"), .token = secret});
  const std::string path = "/?token=" + secret;
  EXPECT_EQ(Connection(page_->port(), "127.0.0.2").error(), 0);
  for (const std::string& own :
       {"192.0.2.7:" + port(), std::string("192.0.2.7:9000"), std::string("192.0.2.7"),
        "[2001:db8::1]:" + port(), "localhost:" + port()}) {
    EXPECT_EQ(status(path, own), 200) << own;
    EXPECT_EQ(status(path, own, "Origin: http://" + own + "\r\n"), 200) << own;
  }
  for (const std::string& foreign : {"evil.example:" + port(), "192.0.2.7.evil.example:" + port(),
                                     std::string("[evil]:80"), std::string(":" + port()), std::string()}) {
    EXPECT_EQ(status(path, foreign), 403) << foreign;
  }
  EXPECT_EQ(status(path, "192.0.2.7:" + port(), "Origin: http://192.0.2.8:" + port() + "\r\n"), 403);
}

TEST_F(LiveAccess, FurtherNamesAreAllowed) {
  open({.hosts = {"Train.example", "gpu1:9000"}});
  for (const std::string own : {"train.example", "TRAIN.example:8443", "gpu1:9000"}) {
    EXPECT_EQ(status("/", own), 200) << own;
    EXPECT_EQ(status("/", own, "Origin: http://" + own + "\r\n"), 200) << own;
    EXPECT_EQ(status("/", own, "Origin: https://" + own + "\r\n"), 200) << own;
  }
  // A proxy may call the server by its address.
  EXPECT_EQ(status("/", "127.0.0.1:" + port(), "Origin: https://train.example\r\n"), 200);
  for (const std::string foreign : {"gpu1", "gpu1:9001", "train.example.evil", "evil.train.example"}) {
    EXPECT_EQ(status("/", foreign), 403) << foreign;
  }
  EXPECT_EQ(status("/", "train.example", "Origin: http://evil.example\r\n"), 403);
}

TEST_F(LiveAccess, OneAddressAnswersToItselfAndItsName) {
  open({.where = parse_serve_address("localhost:0")});
  EXPECT_EQ(page_->url(), "http://localhost:" + port() + "/");
  EXPECT_EQ(status("/", "localhost:" + port()), 200);
  EXPECT_EQ(status("/", "127.0.0.1:" + port()), 200);
  EXPECT_EQ(status("/", "127.0.0.2:" + port()), 403);
  EXPECT_EQ(status("/", "localhost:9000"), 403);
}

TEST_F(LiveAccess, ListensOnIpv6) {
  try {
    open({.where = parse_serve_address("[::1]:0")});
  } catch (const std::invalid_argument& error) {
    GTEST_SKIP() << error.what();  // a machine without
  }
  EXPECT_EQ(page_->url(), "http://[::1]:" + port() + "/");
  Connection connection(page_->port(), "::1");
  connection.write("GET / HTTP/1.1\r\nHost: [::1]:" + port() + "\r\n\r\n");
  EXPECT_THAT(connection.read_all(), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("the data")));
  EXPECT_EQ(Connection(page_->port(), "127.0.0.1").error(), ECONNREFUSED);
}

TEST_F(LiveAccess, AnAddressThatIsNotOfThisMachineIsRefused) {
  try {
    open({.where = parse_serve_address("192.0.2.7:8080"), .token = secret});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(
        error.what(),
        "--serve 192.0.2.7:8080: 192.0.2.7:8080 cannot be listened on: Cannot assign requested address; "
        "expected an address of this machine");
  }
}

}  // namespace
}  // namespace tardigrad
