#include "runtime/nearest_name.h"

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

}  // namespace
}  // namespace tardigrad
