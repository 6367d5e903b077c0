#include "runtime/base/state_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "runtime/base/json_text.h"

namespace tardigrad {
namespace {

using ::testing::ElementsAre;

struct Members {
  int count = 0;
  std::uint64_t round = 0;
  double time = 0;
  bool warm = false;
  std::vector<int> waiting;
  std::vector<double> ends;
  std::vector<bool> pending;
  std::vector<std::optional<double>> shares;

  void visit(StateArchive& state) {
    state.number("count", count, -2, 5);
    state.number("round", round, std::uint64_t{0}, std::numeric_limits<std::uint64_t>::max());
    state.object("inner", [this](StateArchive& inner) { inner.real("time", time); });
    state.flag("warm", warm);
    state.workers("waiting", waiting, 4);
    state.reals("ends", ends, 2);
    state.flags("pending", pending, 3);
    state.reals("shares", shares, 3);
  }
};

StateArchive::Json saved(Members members) {
  StateArchive state;
  members.visit(state);
  return state.json();
}

Members restored(const StateArchive::Json& json) {
  Members members;
  StateArchive state(json, "state");
  members.visit(state);
  return members;
}

Members some() {
  constexpr double never = std::numeric_limits<double>::infinity();
  return {-2,
          std::numeric_limits<std::uint64_t>::max(),
          0.1 + 0.2,
          true,
          {3, 0},
          {1e-300, never},
          {true, false, true},
          {0.1, std::nullopt}};
}

TEST(StateArchive, GivesBackTheVeryBits) {
  const Members back = restored(parse_own_json<StateArchive::Json>(json_text(saved(some()))));
  EXPECT_EQ(back.count, -2);
  EXPECT_EQ(back.round, some().round);
  EXPECT_EQ(back.time, 0.1 + 0.2);
  EXPECT_TRUE(back.warm);
  EXPECT_THAT(back.waiting, ElementsAre(3, 0));
  EXPECT_EQ(back.ends, some().ends);
  EXPECT_THAT(back.pending, ElementsAre(true, false, true));
  EXPECT_EQ(back.shares, some().shares);
}

TEST(StateArchive, WhatOlderProgramsHadNoneOfMayBeMissing) {
  StateArchive::Json json = saved(some());
  json.erase("shares");
  EXPECT_TRUE(restored(json).shares.empty());
}

TEST(StateArchive, RefusesWhatDoesNotFitAndNamesTheMember) {
  const auto refused = [](const char* name, StateArchive::Json value) {
    StateArchive::Json json = saved(some());
    json[name] = std::move(value);
    try {
      restored(json);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("not refused");
  };
  EXPECT_EQ(refused("count", 6), "state: count: expected a whole number from -2 to 5");
  EXPECT_EQ(refused("count", 1.5), "state: count: expected a whole number from -2 to 5");
  EXPECT_EQ(refused("count", std::uint64_t{1} << 63), "state: count: expected a whole number from -2 to 5");
  EXPECT_EQ(refused("round", -1), "state: round: expected a whole number from 0 to 18446744073709551615");
  EXPECT_EQ(refused("warm", 1), "state: warm: expected true or false");
  EXPECT_EQ(refused("waiting", {1, 2, 1}), "state: waiting: expected no worker twice");
  EXPECT_EQ(refused("waiting", {4}), "state: waiting: expected a whole number from 0 to 3");
  EXPECT_EQ(refused("ends", {1}), "state: ends: expected a list of 2");
  EXPECT_EQ(refused("ends", {1, "x"}), "state: ends: expected a number");
  EXPECT_EQ(refused("shares", {1, 2, 3, 4}), "state: shares: expected a list of at most 3");
  EXPECT_EQ(refused("shares", {"x"}), "state: shares: expected a number");
  EXPECT_EQ(refused("inner", StateArchive::Json::object()), "state.inner: time: expected it to be there");
  EXPECT_EQ(refused("inner", 3), "state.inner: time: expected it to be there");
}

}  // namespace
}  // namespace tardigrad
