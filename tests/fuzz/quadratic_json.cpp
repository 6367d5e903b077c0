// Problem files of `--model quadratic:FILE`.
#include <cmath>

#include "models/quadratic.h"
#include "tests/fuzz/input.h"

using namespace tardigrad;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::as_text(data, size));
  fuzz::taken_or_refused([&] {
    const models::QuadraticProblem problem = models::load_quadratic(file.path());
    const auto n = static_cast<std::size_t>(problem.workers);
    const std::size_t d = problem.dimension;
    fuzz::require(problem.a.size() == n * d * d && problem.b.size() == n * d && problem.x0.size() == d,
                  "arrays of the sizes that n and d say");
    for (const float value : problem.a) fuzz::require(std::isfinite(value), "finite numbers");
  });
  return 0;
}
