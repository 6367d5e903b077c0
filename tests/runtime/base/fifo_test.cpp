#include "runtime/base/fifo.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <random>

namespace tardigrad {
namespace {

TEST(Fifo, DoesWhatADequeDoes) {
  std::mt19937 random(3);
  for (const int push_percent : {40, 50, 60}) {
    Fifo<int> fifo;
    std::deque<int> reference;
    for (int i = 0; i < 5000; ++i) {
      if (reference.empty() || static_cast<int>(random() % 100) < push_percent) {
        fifo.push(i);
        reference.push_back(i);
      } else {
        EXPECT_EQ(fifo.front(), reference.front());
        EXPECT_EQ(fifo.pop(), reference.front());
        reference.pop_front();
      }
      ASSERT_EQ(fifo.size(), reference.size());
      ASSERT_EQ(fifo.empty(), reference.empty());
    }
  }
}

TEST(Fifo, HoldsWhatCanOnlyBeMoved) {
  Fifo<std::unique_ptr<int>> fifo;
  for (int i = 0; i < 100; ++i) fifo.push(std::make_unique<int>(i));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(*fifo.pop(), i);
  EXPECT_TRUE(fifo.empty());
}

struct Counted {
  Counted() { most = std::max(most, ++alive); }
  Counted(Counted&&) noexcept { most = std::max(most, ++alive); }
  Counted& operator=(Counted&&) = default;
  ~Counted() { --alive; }
  static inline int alive = 0;
  static inline int most = 0;
};

// A queue that never runs empty must not keep what has left it.
TEST(Fifo, StaysSmallWhereItStaysShort) {
  Fifo<Counted> fifo;
  for (int i = 0; i < 3; ++i) fifo.push({});
  for (int i = 0; i < 10000; ++i) {
    fifo.push({});
    fifo.pop();
  }
  EXPECT_EQ(fifo.size(), 3U);
  EXPECT_LT(Counted::most, 100);
}

}  // namespace
}  // namespace tardigrad
