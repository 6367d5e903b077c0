#pragma once

#include <memory>

#include "models/layers/image_layout.h"
#include "models/layers/layer.h"

namespace tardigrad::models::onednn {

/// Makes a layer that copies activations from one memory format to another of the same images.
std::unique_ptr<Layer> make_reorder(const ImageLayout& from, const ImageLayout& to, int batch);

}  // namespace tardigrad::models::onednn
