#include "runtime/device/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tardigrad {
namespace {

using ::testing::HasSubstr;

std::string refusal_of_devices(const std::string& value) {
  try {
    parse_devices(value);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ParseDevices, CpuCounts) {
  EXPECT_EQ(parse_devices("cpu").size(), static_cast<std::size_t>(default_cpu_devices()));
  const auto devices = parse_devices("cpu:3");
  ASSERT_EQ(devices.size(), 3U);
  EXPECT_EQ(devices[2].name(), "cpu:2");
}

TEST(ParseDevices, AutoIsNeverEmpty) {
  const auto devices = parse_devices("auto");
  ASSERT_FALSE(devices.empty());
  EXPECT_EQ(devices[0].backend, cuda_device_count() > 0 ? Backend::cuda : Backend::cpu);
}

TEST(ParseDevices, RefusalsNameTheValueAndWhatWasExpected) {
  for (const char* value : {"cpu:0", "cpu:-1", "cpu:", "cpu:x", "cpu:2x", "cpu:99999999999"}) {
    EXPECT_THAT(refusal_of_devices(value),
                HasSubstr(std::string("--device ") + value + ": expected a number of CPU devices"));
  }
  EXPECT_THAT(refusal_of_devices("gpu"), HasSubstr("--device gpu: unknown; expected auto, cpu"));
  EXPECT_THAT(refusal_of_devices(""), HasSubstr("expected auto, cpu"));
}

TEST(ParseDevices, AGpuThatIsNotThereIsNamed) {
  if (cuda_device_count() == 0) {
    EXPECT_FALSE(why_no_cuda().empty());
    EXPECT_THAT(refusal_of_devices("cuda"), HasSubstr("no GPU: " + why_no_cuda()));
    EXPECT_THAT(refusal_of_devices("cuda:0"), HasSubstr("--device cuda:0: no GPU"));
  } else {
    EXPECT_THAT(refusal_of_devices("cuda:0,999"), HasSubstr("no such GPU"));
    EXPECT_THAT(refusal_of_devices("cuda:0,0"), HasSubstr("named twice"));
  }
}

TEST(ParseDevice, TakesOneByItsName) {
  EXPECT_EQ(parse_device("--server-device", "cpu"), (Device{Backend::cpu, 0}));
  EXPECT_EQ(parse_device("--server-device", "cpu:3"), (Device{Backend::cpu, 3}));
  if (cuda_device_count() > 0) {
    EXPECT_EQ(parse_device("--server-device", "cuda:0"), (Device{Backend::cuda, 0}));
  }
  for (const char* value : {"", "cpu:-1", "cpu:1,2", "cuda", "cuda0", "auto"}) {
    EXPECT_THROW(parse_device("--server-device", value), std::invalid_argument) << value;
  }
}

TEST(FreeMemory, OfADeviceIsPartOfIt) {
  for (const DeviceDescription& device : describe_devices()) {
    EXPECT_GT(free_memory(device.device), 0U) << device.device.name();
    EXPECT_LE(free_memory(device.device), device.memory_bytes) << device.device.name();
  }
}

TEST(DescribeDevices, SaysWhatAGpuCouldDo) {
  for (const DeviceDescription& device : describe_devices()) {
    if (device.device.backend == Backend::cpu) continue;
    EXPECT_GT(device.fp32_per_s, 0);
    EXPECT_GT(device.bytes_per_s, 0);
  }
}

TEST(DescribeDevices, TheCpuIsAlwaysThere) {
  const auto devices = describe_devices();
  ASSERT_FALSE(devices.empty());
  EXPECT_EQ(devices.back().device, (Device{Backend::cpu, 0}));
  EXPECT_GT(devices.back().memory_bytes, 0U);
  EXPECT_FALSE(devices.back().model.empty());
}

}  // namespace
}  // namespace tardigrad
