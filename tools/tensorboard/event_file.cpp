#include "tools/tensorboard/event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <ctime>
#include <string>

namespace tardigrad {
namespace {

/// Of the reflected Castagnoli polynomial.
constexpr std::array<std::uint32_t, 256> make_crc32c_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
    table[byte] = crc;
  }
  return table;
}

/// CRC-32C as TFRecord files have it, so that checksums of data that hold checksums stay good.
std::uint32_t masked_crc32c(std::string_view bytes) {
  static constexpr auto table = make_crc32c_table();
  std::uint32_t crc = ~0U;
  for (const char byte : bytes) crc = crc >> 8 ^ table[(crc ^ static_cast<unsigned char>(byte)) & 0xff];
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

template <typename Unsigned>
std::string little_endian(Unsigned value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof value; ++i) bytes.push_back(static_cast<char>(value >> 8 * i & 0xff));
  return bytes;
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

std::filesystem::path new_file_in(const std::filesystem::path& folder) {
  return folder / fmt::format("events.out.tfevents.{:010}.{}.{}", std::time(nullptr), host_name(), getpid());
}

}  // namespace

EventFile::EventFile(const std::filesystem::path& folder)
    : file_("--tensorboard", new_file_in(folder), OutputFile::Begin::new_one) {}

void EventFile::write(std::string_view record) {
  const std::string length = little_endian(std::uint64_t{record.size()});
  std::string framed = length + little_endian(masked_crc32c(length));
  framed += record;
  framed += little_endian(masked_crc32c(record));
  file_.write(framed);
  file_.flush();
}

}  // namespace tardigrad
