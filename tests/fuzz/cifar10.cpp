// CIFAR-10 records. The input has of each record its label and three pixels, one a plane, so that a file of
// many is short; a length byte at its front cuts the file short or lengthens it.
#include <algorithm>

#include "data/formats/cifar.h"
#include "tests/fuzz/input.h"

using namespace tardigrad;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t plane_bytes = 1024;
  if (size == 0) return 0;
  std::string bytes;
  for (std::size_t at = 1; at < size; ++at) {
    bytes.append((at - 1) % 4 == 0 ? 1 : plane_bytes, static_cast<char>(data[at]));
  }
  const auto change = static_cast<std::int8_t>(data[0]);
  if (change > 0) bytes.append(static_cast<std::size_t>(change), '\0');
  if (change < 0) bytes.resize(bytes.size() - std::min(bytes.size(), static_cast<std::size_t>(-change)));
  const fuzz::InputFile file(bytes);
  fuzz::taken_or_refused([&] {
    const data::Images images = data::read_cifar({file.path()}, data::cifar10_records);
    fuzz::require(images.pixels.size() == images.size() * images.shape.size(), "pixels for every label");
    for (const data::Label label : images.labels) fuzz::require(label < 10, "labels below 10");
  });
  return 0;
}
