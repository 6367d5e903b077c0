#include "runtime/checkpoint/file_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "runtime/checkpoint/checkpoint_folder.h"
#include "tests/support/temporary_folder.h"

namespace tardigrad {
namespace {

using ::testing::HasSubstr;
using State = FileLock::State;

template <int error>
int fail_with(int, int) {
  errno = error;
  return -1;
}

template <int error>
State state_after() {
  const TemporaryFolder folder;
  const FileLock lock(folder.path() / "lock", fail_with<error>);
  EXPECT_EQ(lock.why(), std::strerror(error));
  return lock.state();
}

TEST(FileLock, IsHeldOnce) {
  const TemporaryFolder folder;
  {
    const FileLock first(folder.path() / "lock");
    EXPECT_EQ(first.state(), State::held);
    EXPECT_EQ(FileLock(folder.path() / "lock").state(), State::held_elsewhere);
  }
  EXPECT_EQ(FileLock(folder.path() / "lock").state(), State::held);
}

// What a file system without locks says is not what one says whose lock another has.
TEST(FileLock, ThatCannotBeHadIsNoOneElses) {
  EXPECT_EQ(state_after<EWOULDBLOCK>(), State::held_elsewhere);
  EXPECT_EQ(state_after<EACCES>(), State::held_elsewhere);
  EXPECT_EQ(state_after<ENOLCK>(), State::unknown);
  EXPECT_EQ(state_after<EOPNOTSUPP>(), State::unknown);
  EXPECT_EQ(state_after<ENOSYS>(), State::unknown);
  EXPECT_EQ(state_after<EINVAL>(), State::unknown);
  EXPECT_EQ(state_after<EIO>(), State::unknown);
}

TEST(FileLock, IsTriedAgainAfterASignal) {
  static int tries = 0;
  const TemporaryFolder folder;
  const FileLock lock(
      folder.path() / "lock", *+[](int, int) {
        errno = EINTR;
        return ++tries < 3 ? -1 : 0;
      });
  EXPECT_EQ(lock.state(), State::held);
  EXPECT_EQ(tries, 3);
}

TEST(FileLock, NeedsAFile) {
  const TemporaryFolder folder;
  EXPECT_THROW(FileLock(folder.path() / "nowhere" / "lock"), std::system_error);
}

TEST(CheckpointFolderLock, RefusesASecondRun) {
  const TemporaryFolder folder;
  const CheckpointFolder first(folder.path());
  try {
    const CheckpointFolder second(folder.path());
    FAIL() << "two at a time";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("is in use by another run"));
  }
}

}  // namespace
}  // namespace tardigrad
