// Option files, `--config FILE`.
#include "tests/fuzz/input.h"
#include "tools/options/config_file.h"

using namespace tardigrad;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::as_text(data, size));
  fuzz::taken_or_refused([&] {
    for (const GivenOption& option : read_config(file.path())) {
      fuzz::require(option.flag.starts_with("--") && option.value.has_value(), "--flag=value", option.flag);
    }
  });
  return 0;
}
