#include "runtime/device/start_times.h"

#include <gmock/gmock.h>

namespace tardigrad {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(StartTimes, AddsUpPartsUntilItsEnd) {
  StartTimes times;
  times.add("data", 2s);
  times.add("driver", 1s);
  times.add("data", 500ms);
  EXPECT_THAT(times.end(), HasSubstr(", data 2.50, driver 1.00, other "));
  times.add("late", 1s);
  EXPECT_THAT(times.end(), Not(HasSubstr("late")));
}

}  // namespace
}  // namespace tardigrad
