#include "models/classifier.h"

#include <fmt/core.h>

#include <stdexcept>

#include "models/network.h"

namespace tardigrad::models {

bool onednn_available() { return TARDIGRAD_HAS_ONEDNN; }

CpuEngine best_cpu_engine() { return onednn_available() ? CpuEngine::onednn : CpuEngine::plain; }

std::unique_ptr<Classifier> make_classifier(const Architecture& architecture, int batch_size,
                                            CpuEngine engine) {
  if (batch_size < 1) {
    throw std::invalid_argument(fmt::format("batch size {}; expected 1 or more", batch_size));
  }
  if (engine == CpuEngine::plain) {
    return std::make_unique<Network>(architecture, batch_size, make_plain_layers(architecture, batch_size));
  }
#if TARDIGRAD_HAS_ONEDNN
  return std::make_unique<Network>(architecture, batch_size, make_onednn_layers(architecture, batch_size));
#else
  throw std::invalid_argument("this build has no oneDNN; expected the plain engine");
#endif
}

}  // namespace tardigrad::models
