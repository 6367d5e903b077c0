// Model files, of this program and of others.
#include "runtime/checkpoint/safetensors.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "runtime/checkpoint/model_import.h"
#include "tests/fuzz/input.h"

using namespace tardigrad;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ParameterLayout layout;
  layout.add("w", {2, 3});
  layout.add("b", {2});
  std::vector<float> values(layout.dimension());
  const fuzz::InputFile file(fuzz::as_text(data, size));
  fuzz::taken_or_refused([&] { load_safetensors(file.path(), layout, values); });
  fuzz::taken_or_refused([&] {
    import_model(file.path(), layout, values);
    fuzz::require(std::ranges::all_of(values, [](float value) { return std::isfinite(value); }),
                  "finite numbers");
  });
  return 0;
}
