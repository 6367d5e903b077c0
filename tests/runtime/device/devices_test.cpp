#include "runtime/device/devices.h"

#include <gmock/gmock.h>

namespace tardigrad {
namespace {

using ::testing::ElementsAre;

constexpr Device a{Backend::cpu, 0};
constexpr Device b{Backend::cpu, 1};
constexpr Device c{Backend::cpu, 2};

std::vector<Device> of_first(const Devices& devices, std::size_t workers) {
  std::vector<Device> list;
  for (std::size_t i = 0; i < workers; ++i) list.push_back(devices.of_worker(i));
  return list;
}

TEST(Devices, TakeTurns) {
  const Devices devices(std::vector<Device>{a, b, c});
  EXPECT_THAT(of_first(devices, 7), ElementsAre(a, b, c, a, b, c, a));
  EXPECT_EQ(devices.workers_on(a, 7), 3U);
  EXPECT_EQ(devices.workers_on(c, 7), 2U);
  EXPECT_EQ(devices.workers_on(c, 2), 0U);
}

TEST(Devices, TakeTurnsForAsLongAsTheyHaveRoom) {
  Devices devices(std::vector<Device>{a, b, c});
  devices.spread({3, 1, 2});
  EXPECT_THAT(of_first(devices, 6), ElementsAre(a, b, c, a, c, a));
  for (const auto& [device, count] : {std::pair{a, 3U}, {b, 1U}, {c, 2U}}) {
    EXPECT_EQ(devices.workers_on(device, 6), count);
    EXPECT_EQ(devices.workers_on(device, 12), 2 * count);
  }
  EXPECT_EQ(devices.workers_on(c, 4), 1U);
  EXPECT_THAT(devices.in_use(2), ElementsAre(a, b));
}

TEST(Devices, HaveTheShardsOfAServerInTurnItsOwnFirst) {
  Devices devices({a, b, c}, b);
  const auto shards = [&] {
    std::vector<Device> list;
    for (std::size_t i = 0; i < 5; ++i) list.push_back(devices.of_shard(i));
    return list;
  };
  EXPECT_THAT(shards(), ElementsAre(b, a, c, b, a));
  EXPECT_THAT(devices.of_server(), ElementsAre(b));
  devices.server_shards = 5;
  EXPECT_THAT(devices.of_server(), ElementsAre(b, a, c));
  devices = Devices({a, b}, c);
  EXPECT_THAT(shards(), ElementsAre(c, a, b, c, a));
}

}  // namespace
}  // namespace tardigrad
