// PNG and JPEG images.
#include "data/images/image_file.h"

#include "tests/fuzz/input.h"

using namespace tardigrad;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr int most_side = 256;  // larger ones take their time
  const std::span<const std::uint8_t> file(data, size);
  fuzz::taken_or_refused([&] {
    const data::ImageHeader header = data::read_image_header("image", file);
    if (header.height > most_side || header.width > most_side) return;
    for (const int channels : {1, 3}) {
      const data::ImageShape shape{.channels = channels, .height = header.height, .width = header.width};
      fuzz::require(data::decode_image("image", file, shape).size() == shape.size(), "all pixels");
    }
  });
  return 0;
}
