// Logs, as `tardigrad report` reads them, and the picture of the run that it draws from them.
#include <nlohmann/json.hpp>

#include "runtime/telemetry/run_log_reader.h"
#include "tests/fuzz/input.h"
#include "tools/report/run_picture.h"

using namespace tardigrad;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::as_text(data, size));
  fuzz::taken_or_refused([&] {
    RunLogReader log(file.path());
    RunPicture picture(log.run_json());
    log.tell(picture);
    fuzz::require(nlohmann::json::accept(picture.json()), "a picture in JSON");
  });
  return 0;
}
