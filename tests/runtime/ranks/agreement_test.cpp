#include "runtime/ranks/agreement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "runtime/ranks/messages.h"
#include "tests/support/thread_ranks.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using namespace ::tardigrad::testing;

/// What rank 0 throws; empty if nothing. All others are refused, or none.
std::string verdict(const std::vector<RankStatus>& of_ranks) {
  ThreadRanks job(static_cast<int>(of_ranks.size()));
  std::vector<int> refused(of_ranks.size());
  std::string said;
  {
    std::vector<std::jthread> others;
    for (std::size_t rank = 1; rank < of_ranks.size(); ++rank) {
      others.emplace_back([&, rank] {
        try {
          agree(job.rank(static_cast<int>(rank)), of_ranks[rank]);
        } catch (const RefusedByRank0&) {
          refused[rank] = 1;
        }
      });
    }
    try {
      agree(job.rank(0), of_ranks[0]);
    } catch (const std::invalid_argument& error) {
      said = error.what();
    }
  }
  for (std::size_t rank = 1; rank < of_ranks.size(); ++rank) EXPECT_EQ(refused[rank], said.empty() ? 0 : 1);
  return said;
}

TEST(Agreement, LetsRanksBeginThatAreTheSame) {
  const RankStatus status{.facts = {{"--lr", "0.1"}, {"the program", "1"}}};
  EXPECT_EQ(verdict({status, status, status}), "");
}

TEST(Agreement, NamesARankThatHasSomethingElse) {
  const RankStatus status{.facts = {{"--lr", "0.1"}}};
  const RankStatus other{.facts = {{"--lr", "0.2"}}};
  EXPECT_THAT(verdict({status, status, other}),
              AllOf(StartsWith("rank 2 on "), HasSubstr(": --lr is 0.2 there, expected 0.1, as on rank 0")));
}

TEST(Agreement, NamesARankWhosePartIsAnother) {
  const auto part = [](int rank) {
    return std::map<std::string, std::string>{{"its data", std::to_string(10 * rank)}};
  };
  const RankStatus here{.facts = {{"--lr", "0.1"}}, .facts_of_rank = part};
  const auto there = [](const std::string& data) {
    return RankStatus{.facts = {{"--lr", "0.1"}, {"its data", data}}};
  };
  EXPECT_EQ(verdict({here, there("10"), there("20")}), "");
  EXPECT_THAT(
      verdict({here, there("10"), there("10")}),
      AllOf(StartsWith("rank 2 on "), HasSubstr(": its data is 10 there, expected 20, as on rank 0")));
}

TEST(Agreement, NamesARankThatHasWhatAnotherHas) {
  const auto with = [](const std::string& gpu) { return RankStatus{.own = {{"the GPU", gpu}}}; };
  EXPECT_EQ(verdict({with("0"), with("1"), with("2")}), "");
  EXPECT_THAT(verdict({with("0"), with("1"), with("0")}),
              AllOf(StartsWith("rank 2 on "), HasSubstr(": the GPU is 0 there, which rank 0 has, too")));
  EXPECT_THAT(verdict({with("0"), with("1"), with("1")}), HasSubstr("which rank 1 has, too; expected one "));
}

TEST(Agreement, TellsTheTroubleOfTheFirstRankThatHasAny) {
  const RankStatus status;
  EXPECT_EQ(verdict({{.trouble = "no such file"}, status, {.trouble = "no such file"}}), "no such file");
  EXPECT_THAT(verdict({status, {.trouble = "images: cannot be read"}, {.trouble = "images: cannot be read"}}),
              AllOf(StartsWith("rank 1 on "), HasSubstr(": images: cannot be read")));
}

TEST(Agreement, RefusesProcessorsOfAnotherByteOrder) {
  ThreadRanks job(2);
  std::array<char, 128> header{};
  const std::uint32_t order = 0x04030201;
  std::memcpy(header.data(), &order, sizeof(order));
  std::uint32_t refused = 0;
  Transport& other = job.rank(1);
  other.send(0, tag_status, header.data(), header.size());
  other.receive(0, tag_verdict, &refused, sizeof(refused));
  try {
    agree(job.rank(0), {});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("another byte order"));
  }
  EXPECT_EQ(refused, 1U);
}

}  // namespace
}  // namespace tardigrad
