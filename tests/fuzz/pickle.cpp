// Pickles, and those of CIFAR.
#include "data/formats/pickle.h"

#include "data/formats/cifar.h"
#include "tests/fuzz/input.h"

using namespace tardigrad;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::as_text(data, size));
  fuzz::taken_or_refused([&] { const data::Pickle pickle(file.path()); });
  fuzz::taken_or_refused([&] { data::read_cifar_names(file.path(), "labels"); });
  fuzz::taken_or_refused([&] {
    const data::Images images = data::read_cifar_pickles({file.path()}, data::cifar10_records);
    fuzz::require(images.pixels.size() == images.size() * images.shape.size(), "pixels for every label");
  });
  return 0;
}
