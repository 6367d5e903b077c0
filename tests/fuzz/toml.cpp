// Option files, `--config FILE`.
#include <string>
#include <vector>

#include "tests/fuzz/input.h"
#include "tools/config_file.h"

using namespace tardigrad;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::as_text(data, size));
  fuzz::taken_or_refused([&] {
    for (const std::string& option : read_config(file.path())) {
      fuzz::require(option.starts_with("--") && option.find('=') != std::string::npos, "--flag=value",
                    option);
    }
  });
  return 0;
}
