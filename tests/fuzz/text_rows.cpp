// Rows in text: the first byte of the input says whether they are LIBSVM's, comma-separated or an assignment.
#include "data/formats/assignment.h"
#include "data/formats/csv.h"
#include "data/formats/libsvm.h"
#include "tests/fuzz/input.h"

using namespace tardigrad;

namespace {

void check(const data::NamedExamples& examples) {
  const data::Images& images = examples.images;
  fuzz::require(images.values.size() == images.size() * images.shape.size(), "values for every label");
  for (const data::Label label : images.labels) {
    fuzz::require(label < examples.class_names.size(), "a name for every class");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const fuzz::InputFile file(fuzz::as_text(data, size).substr(1));
  fuzz::taken_or_refused([&] {
    constexpr std::size_t few = 64;
    if (data[0] == 'l') {
      const data::SparseRows rows = data::read_libsvm(file.path());
      if (rows.features <= few) check(rows.dense(rows.features));
    } else if (data[0] == 'a') {
      fuzz::require(data::read_assignment(file.path(), 3, 2).size() == 3, "a worker for each example");
    } else {
      check(data::read_csv(file.path(), data[0] == 'y' ? "y" : "1"));
    }
  });
  return 0;
}
