// Arrays of NumPy, as examples and as labels.
#include "data/formats/npy.h"

#include "tests/fuzz/input.h"

using namespace tardigrad;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::as_text(data, size));
  fuzz::taken_or_refused([&] { data::read_npy(file.path()); });
  fuzz::taken_or_refused([&] {
    const data::NamedExamples examples = data::read_npy_examples(file.path(), file.path());
    fuzz::require(examples.images.labels.size() > 0, "labels");
  });
  constexpr char labels[] =
      "\x93NUMPY\x01\x00\x38\x00{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}\n\x01\x02";
  const fuzz::InputFile two(std::string_view(labels, sizeof labels - 1));
  fuzz::taken_or_refused([&] {
    const data::Images images = data::read_npy_examples(file.path(), two.path()).images;
    const std::size_t values = images.size() * images.shape.size();
    fuzz::require(images.pixels.size() + images.values.size() == values, "values for every label");
  });
  return 0;
}
