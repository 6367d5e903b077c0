#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/data/temporary_folder.h"

namespace tardigrad::data {

/// A PNG of 8 bits a channel, grey where there is one channel, else red, green and blue; `pixels` are
/// [height, width, channels].
inline Bytes png_file(int height, int width, int channels, const Bytes& pixels) {
  Bytes file = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  const auto big_endian = [](Bytes& bytes, std::uint32_t value) {
    for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<std::uint8_t>(value >> shift));
  };
  const auto add_chunk = [&](const std::string& name, const Bytes& data) {
    big_endian(file, static_cast<std::uint32_t>(data.size()));
    Bytes checked(name.begin(), name.end());
    checked.insert(checked.end(), data.begin(), data.end());
    file.insert(file.end(), checked.begin(), checked.end());
    big_endian(file,
               static_cast<std::uint32_t>(crc32(0, checked.data(), static_cast<unsigned>(checked.size()))));
  };
  Bytes header;
  big_endian(header, static_cast<std::uint32_t>(width));
  big_endian(header, static_cast<std::uint32_t>(height));
  header.insert(header.end(), {8, static_cast<std::uint8_t>(channels == 1 ? 0 : 2), 0, 0, 0});
  add_chunk("IHDR", header);
  const auto row_bytes = static_cast<std::ptrdiff_t>(width) * channels;
  Bytes rows;
  for (std::ptrdiff_t y = 0; y < height; ++y) {
    rows.push_back(0);  // no filter
    rows.insert(rows.end(), pixels.begin() + y * row_bytes, pixels.begin() + (y + 1) * row_bytes);
  }
  uLongf packed_bytes = compressBound(rows.size());
  Bytes packed(packed_bytes);
  compress(packed.data(), &packed_bytes, rows.data(), rows.size());
  packed.resize(packed_bytes);
  add_chunk("IDAT", packed);
  add_chunk("IEND", {});
  return file;
}

}  // namespace tardigrad::data
