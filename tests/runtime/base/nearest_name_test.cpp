#include "runtime/base/nearest_name.h"

#include <gtest/gtest.h>

namespace tardigrad {
namespace {

TEST(UnknownName, SuggestsOnlyWhatIsNear) {
  const std::vector<std::string> known = {"ringleader", "ringmaster", "asgd"};
  EXPECT_EQ(unknown_name_message("--method", "ringleder", known),
            "--method ringleder: unknown; did you mean ringleader? known: ringleader, ringmaster, asgd");
  EXPECT_EQ(unknown_name_message("--method", "sagd", known),
            "--method sagd: unknown; did you mean asgd? known: ringleader, ringmaster, asgd");
  EXPECT_EQ(unknown_name_message("--method", "q", known),
            "--method q: unknown; known: ringleader, ringmaster, asgd");
  EXPECT_EQ(unknown_name_message("--method", "", known),
            "--method : unknown; known: ringleader, ringmaster, asgd");
}

TEST(NearestName, SpellingsOfAName) {
  const std::vector<std::string> known = {"fashion-mnist", "mnist", "cifar10", "asgd-uniform"};
  EXPECT_EQ(known_spelling("FashionMNIST", known), "fashion-mnist");
  EXPECT_EQ(known_spelling("CIFAR-10", known), "cifar10");
  EXPECT_EQ(known_spelling("asgd_uniform ", known), "asgd-uniform");
  EXPECT_EQ(known_spelling("cifar100", known), "");
  EXPECT_EQ(known_spelling("", known), "");
}

TEST(NearestName, PlainSpellingLeavesSpacesWithinWords) {
  EXPECT_EQ(in_plain_spelling(" CUDA:0 ,\t1,  2 "), "cuda:0,1,2");
  EXPECT_EQ(in_plain_spelling("1 2"), "1 2");
  EXPECT_EQ(in_plain_spelling("  "), "");
  EXPECT_EQ(in_plain_spelling(", "), ",");
}

}  // namespace
}  // namespace tardigrad
