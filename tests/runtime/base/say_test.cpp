#include "runtime/base/say.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>

namespace tardigrad {
namespace {

/// The zone of this process, until the end of a test.
class Zone {
 public:
  explicit Zone(const char* name) {
    if (const char* before = std::getenv("TZ")) before_ = before;
    set(name);
  }
  ~Zone() { set(before_ ? before_->c_str() : nullptr); }
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

 private:
  static void set(const char* name) {
    name != nullptr ? setenv("TZ", name, 1) : unsetenv("TZ");
    tzset();
  }

  std::optional<std::string> before_;
};

std::string text_in(const char* zone, std::int64_t since_1970_ms) {
  const Zone here(zone);
  return zoned_time(std::chrono::system_clock::time_point(std::chrono::milliseconds(since_1970_ms)));
}

TEST(Say, ATimeIsLocalAndHasItsZone) {
  constexpr std::int64_t ms = 1'772'370'187'250;
  EXPECT_EQ(text_in("UTC0", ms), "2026-03-01T13:03:07.250+00:00");
  EXPECT_EQ(text_in("IST-5:30", ms), "2026-03-01T18:33:07.250+05:30");
  EXPECT_EQ(text_in("NST3:30", ms), "2026-03-01T09:33:07.250-03:30");
  EXPECT_EQ(text_in("HALF0:30", ms), "2026-03-01T12:33:07.250-00:30");
}

TEST(Say, ATimeIsCutToTheMillisecondAlsoBefore1970) {
  EXPECT_EQ(text_in("UTC0", -1), "1969-12-31T23:59:59.999+00:00");
  const Zone here("UTC0");
  EXPECT_EQ(zoned_time(std::chrono::system_clock::time_point(std::chrono::microseconds(1999))),
            "1970-01-01T00:00:00.001+00:00");
}

}  // namespace
}  // namespace tardigrad
