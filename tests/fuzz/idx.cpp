// IDX images and labels: the first byte of the input says of which rank the file is to be.
#include "data/formats/idx.h"

#include "tests/fuzz/input.h"

using namespace tardigrad;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const int rank = 1 + data[0] % 4;
  const fuzz::InputFile file(fuzz::as_text(data, size).substr(1));
  fuzz::taken_or_refused([&] {
    const data::IdxArray array = data::read_idx(file.path(), rank);
    std::uint64_t values = 1;
    for (const std::uint32_t dimension : array.dimensions) values *= dimension;
    fuzz::require(array.values.size() == values, "as many values as the dimensions say");
  });
  fuzz::taken_or_refused([&] { data::read_idx_images(file.path(), file.path(), 10); });
  return 0;
}
