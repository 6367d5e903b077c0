// Network files, `--model FILE.toml`, for small images.
#include "models/networks/network_file.h"

#include "tests/fuzz/input.h"

using namespace tardigrad;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::taken_or_refused([&] {
    const auto network = models::parse_network("fuzz", "fuzz.toml", fuzz::as_text(data, size), {3, 8, 8}, 10);
    fuzz::require(network.classes() == 10, "a feature a class");
  });
  return 0;
}
