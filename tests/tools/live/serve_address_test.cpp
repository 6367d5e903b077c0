#include "tools/live/serve_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace tardigrad {
namespace {

using ::testing::HasSubstr;

TEST(ServeAddress, APortIsOnThisMachineAlone) {
  const ServeAddress where = parse_serve_address("8080");
  EXPECT_EQ(where.address, "127.0.0.1");
  EXPECT_EQ(where.port, 8080);
  EXPECT_TRUE(where.is_loopback());
  EXPECT_FALSE(where.is_any());
}

TEST(ServeAddress, AddressesAndNamesWithAPort) {
  EXPECT_EQ(parse_serve_address("192.0.2.7:0").address, "192.0.2.7");
  EXPECT_EQ(parse_serve_address("[2001:db8::1]:80").address, "2001:db8::1");
  EXPECT_EQ(parse_serve_address("[2001:db8::1]:80").port, 80);
  EXPECT_EQ(parse_serve_address("localhost:65535").address, "127.0.0.1");
  EXPECT_EQ(parse_serve_address("localhost:65535").host, "localhost");
}

TEST(ServeAddress, WhatOthersReach) {
  for (const char* own : {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "localhost:1"}) {
    EXPECT_TRUE(parse_serve_address(own).is_loopback()) << own;
  }
  for (const char* open : {"0.0.0.0:1", "[::]:1", "192.0.2.7:1", "[fe80::1%1]:1", "[::ffff:192.0.2.7]:1"}) {
    EXPECT_FALSE(parse_serve_address(open).is_loopback()) << open;
  }
  for (const char* any : {"0.0.0.0:1", "[::]:1"}) EXPECT_TRUE(parse_serve_address(any).is_any()) << any;
  for (const char* one : {"192.0.2.7:1", "[::1]:1"}) EXPECT_FALSE(parse_serve_address(one).is_any()) << one;
}

TEST(ServeAddress, AHostAndAPortAreWrittenAsInAUrl) {
  EXPECT_EQ(host_and_port("::1", 80), "[::1]:80");
  EXPECT_EQ(host_and_port("127.0.0.1", 80), "127.0.0.1:80");
  EXPECT_EQ(host_and_port("localhost", 80), "localhost:80");
}

class BadAddress : public ::testing::TestWithParam<const char*> {};

TEST_P(BadAddress, IsRefused) {
  try {
    parse_serve_address(GetParam());
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr(std::string("--serve ") + GetParam() + ": "));
    EXPECT_THAT(error.what(), HasSubstr("expected"));
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, BadAddress,
                         ::testing::Values("", "web", "65536", "-1", "80.5", ":8080",
                                           "127.0.0.1:", "127.0.0.1:65536", "::1:8080", "[127.0.0.1]:80",
                                           "[localhost]:80", "[::1]", "[]:80", "http://127.0.0.1:80/",
                                           "127.0.0.1:80 ", "no-such-name.invalid:80"));

}  // namespace
}  // namespace tardigrad
