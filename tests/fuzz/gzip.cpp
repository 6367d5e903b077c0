// The gzip wrapping of the data sets' files: an IDX array behind it, and CIFAR-10 records.
#include "data/formats/cifar.h"
#include "data/formats/idx.h"
#include "tests/fuzz/input.h"

using namespace tardigrad;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::as_text(data, size));
  fuzz::taken_or_refused([&] { data::read_idx(file.path(), 3); });
  fuzz::taken_or_refused([&] { data::read_cifar({file.path()}, data::cifar10_records); });
  return 0;
}
