// Updates that workers' streams make by themselves give the bits of one after another, in the order of turns.

#include "kernels/update_in_turn.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "tests/kernels/arrivals.h"
#include "tests/kernels/shared.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

constexpr Combination asgd{Fold::none, Mean::none, true, false, true};
constexpr Combination dude_bf16{Fold::replace, Mean::accumulate, true, true, true, true};

/// What streams share that take turns, and what each has of its own.
class TurnTakers {
 public:
  /// `taken` turns have been taken, and are over.
  TurnTakers(Backend backend, std::size_t dimension, std::uint32_t streams, std::uint32_t taken = 0)
      : backend_(backend),
        streams_(streams),
        gate_(backend, {std::uint64_t{taken} << 32 | taken}),
        over_(backend, std::vector<std::uint32_t>(UpdateInTurn::tiles(dimension), taken)),
        own_(backend, std::vector<TurnOfStream>(streams)),
        order_(backend, {}),
        refused_(backend, {}),
        taken_(backend, 0) {}

  UpdateInTurn of(std::uint32_t worker, const ServerUpdate& update, std::uint64_t job, bool again = false) {
    UpdateInTurn in;
    in.update = update;
    in.turns = {gate_.data(), over_.data(), order_->data(), capacity};
    in.own = own_.data() + worker;
    in.refused = refused_->data() + worker;
    in.job = job;
    in.worker = worker;
    in.streams = streams_;
    in.again = again;
    return in;
  }

  void limit(std::uint32_t turns) { execute(backend_, LimitTurns{gate_.data(), false, turns, taken_.get()}); }

  std::uint32_t close() {
    execute(backend_, LimitTurns{gate_.data(), true, 0, taken_.get()});
    return *taken_;
  }

  std::int64_t worker_of(std::uint32_t turn) const {
    return worker_of_turn((*order_)[turn % capacity], turn);
  }

  /// The job that was refused, and 1; 0 where none was. It is forgotten.
  std::uint64_t take_refused(std::uint32_t worker) { return std::exchange((*refused_)[worker], 0); }

 private:
  static constexpr std::uint32_t capacity = 64;

  Backend backend_;
  std::uint32_t streams_;
  Guarded<std::uint64_t> gate_;
  Guarded<std::uint32_t> over_;
  Guarded<TurnOfStream> own_;
  Shared<std::array<std::uint64_t, capacity>> order_;
  Shared<std::array<std::uint64_t, row_count>> refused_;
  Shared<std::uint32_t> taken_;
};

/// Runs what each stream has, all at the same time.
void execute_at_once(Backend backend, const std::vector<std::vector<UpdateInTurn>>& streams) {
  std::vector<std::jthread> threads;
  for (const std::vector<UpdateInTurn>& stream : streams) {
    threads.emplace_back([&stream, backend] {
      if (backend == Backend::cpu) {
        for (const UpdateInTurn& update : stream) update.run();
      } else {
        on_cuda_stream([&](CudaStream native) {
          for (const UpdateInTurn& update : stream) update.launch(native);
        });
      }
    });
  }
}

void expect_equal(const Arrivals& got, const Arrivals& want) {
  const auto expected = want.values();
  const auto values = got.values();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_TRUE(same_bits(values[i], expected[i])) << "vector " << i;
  }
}

class UpdatesInTurn : public OnBackend {};

TEST_P(UpdatesInTurn, AreServerUpdatesWhereNobodyElseTakesTurns) {
  for (const Combination& combination : {asgd, dude, dude_bf16}) {
    for (const std::size_t dimension : {0, 1, 7, 2047, 2048, 2049, 9001}) {
      for (const std::size_t offset : {0, 1}) {
        SCOPED_TRACE(::testing::Message() << combination << ", d = " << dimension << ", offset " << offset);
        Arrivals in_turn(GetParam(), dimension, offset);
        Arrivals ordered(GetParam(), dimension, offset);
        TurnTakers takers(GetParam(), dimension, 1);
        takers.limit(2);
        for (std::uint64_t job = 0; job < 2; ++job) {
          execute(GetParam(), takers.of(0, in_turn.next(0, combination), job));
          execute(GetParam(), ordered.next(0, combination));
        }
        expect_equal(in_turn, ordered);
      }
    }
  }
}

TEST_P(UpdatesInTurn, AreMadeOneAfterAnotherInTheOrderOfTurns) {
  constexpr std::size_t dimension = 5 * UpdateInTurn::tile + 3;
  constexpr std::uint64_t jobs = 8;
  for (const Combination& combination : {asgd, dude, dude_bf16}) {
    for (const std::uint32_t taken : {0U, std::numeric_limits<std::uint32_t>::max() - 5}) {
      SCOPED_TRACE(::testing::Message() << combination << ", " << taken << " turns before");
      Arrivals in_turn(GetParam(), dimension, 0);
      Arrivals ordered(GetParam(), dimension, 0);
      TurnTakers takers(GetParam(), dimension, row_count, taken);
      std::vector<std::vector<UpdateInTurn>> streams(row_count);
      std::vector<std::vector<ServerUpdate>> same(row_count);
      for (std::uint64_t job = 0; job < jobs; ++job) {
        for (std::uint32_t worker = 0; worker < row_count; ++worker) {
          streams[worker].push_back(takers.of(worker, in_turn.next(worker, combination), job));
          same[worker].push_back(ordered.next(worker, combination));
        }
      }
      constexpr std::uint32_t all = jobs * row_count;
      takers.limit(taken + all);
      execute_at_once(GetParam(), streams);
      EXPECT_EQ(takers.close(), taken + all);
      std::array<std::size_t, row_count> had{};
      for (std::uint32_t turn = taken; turn != taken + all; ++turn) {
        const std::int64_t worker = takers.worker_of(turn);
        ASSERT_GE(worker, 0) << "turn " << turn << " is not over";
        const auto index = static_cast<std::size_t>(worker);
        execute(GetParam(), same.at(index).at(had.at(index)++));
      }
      expect_equal(in_turn, ordered);
    }
  }
}

TEST_P(UpdatesInTurn, AreRefusedBeyondTheLimitUntilTheyAreMadeAgain) {
  constexpr std::size_t dimension = 2 * UpdateInTurn::tile;
  Arrivals in_turn(GetParam(), dimension, 0);
  Arrivals ordered(GetParam(), dimension, 0);
  TurnTakers takers(GetParam(), dimension, 2);
  std::vector<ServerUpdate> updates;
  for (int i = 0; i < 4; ++i) {
    updates.push_back(in_turn.next(0, dude));
    const ServerUpdate same = ordered.next(0, dude);
    if (i != 2) execute(GetParam(), same);  // that one is of a gradient that is thrown away
  }

  takers.limit(1);
  execute(GetParam(), takers.of(0, updates[0], 0));
  execute(GetParam(), takers.of(0, updates[1], 1));
  EXPECT_EQ(takers.worker_of(0), 0);
  EXPECT_EQ(takers.worker_of(1), -1);
  EXPECT_EQ(takers.take_refused(0), 2U);

  takers.limit(100);
  execute(GetParam(), takers.of(0, updates[2], 2));  // behind one that was refused
  EXPECT_EQ(takers.take_refused(0), 0U);
  EXPECT_EQ(takers.close(), 1U);
  execute(GetParam(), takers.of(0, updates[1], 1, true));
  EXPECT_EQ(takers.take_refused(0), 2U);

  takers.limit(100);
  execute(GetParam(), takers.of(0, updates[1], 1, true));
  execute(GetParam(), takers.of(0, updates[3], 2));
  EXPECT_EQ(takers.take_refused(0), 0U);
  EXPECT_EQ(takers.take_refused(1), 0U);
  EXPECT_EQ(takers.close(), 3U);
  EXPECT_EQ(takers.worker_of(2), 0);
  expect_equal(in_turn, ordered);
}

TEST(UpdateInTurn, RefusesWhatItCannotDo) {
  Arrivals arrivals(Backend::cpu, 8, 0);
  TurnTakers takers(Backend::cpu, 8, 1);
  const ServerUpdate possible = arrivals.next(0, dude);
  expect_refused(takers.of(0, arrivals.next(0, {Fold::replace, Mean::accumulate, true, true, false}), 0),
                 "steps and hands over");
  expect_refused(takers.of(0, arrivals.next(0, {Fold::average, Mean::accumulate, true, true, true}), 0),
                 "a fold that replaces or none");
  const auto without = [&](auto change) {
    UpdateInTurn in = takers.of(0, possible, 0);
    change(in);
    return in;
  };
  expect_refused(without([](UpdateInTurn& in) { in.update.row = nullptr; }), "row is null");
  expect_refused(without([](UpdateInTurn& in) { in.turns.gate = nullptr; }), "the turns are null");
  expect_refused(without([](UpdateInTurn& in) { in.turns.over = nullptr; }), "the turns are null");
  expect_refused(without([](UpdateInTurn& in) { in.turns.order = nullptr; }), "the turns are null");
  expect_refused(without([](UpdateInTurn& in) { in.own = nullptr; }), "own or refused is null");
  expect_refused(without([](UpdateInTurn& in) { in.refused = nullptr; }), "own or refused is null");
  std::uint64_t gate = 0;
  std::uint32_t taken = 0;
  expect_refused(LimitTurns{nullptr, false, 1, &taken}, "gate or taken is null");
  expect_refused(LimitTurns{&gate, false, 1, nullptr}, "gate or taken is null");
}

INSTANTIATE_TEST_SUITE_P(Backends, UpdatesInTurn, every_backend, ::testing::PrintToStringParamName());

}  // namespace
}  // namespace tardigrad
