#pragma once

#include <variant>

#include "models/layers/convolution.h"
#include "models/layers/dropout.h"
#include "models/layers/flatten.h"
#include "models/layers/gelu.h"
#include "models/layers/group_norm.h"
#include "models/layers/layer_norm.h"
#include "models/layers/linear.h"
#include "models/layers/pool.h"
#include "models/layers/relu.h"

namespace tardigrad::models {

struct Residual;

/// Describes a layer of a network. Its header says what it computes. residual.h completes it.
using LayerSpec = std::variant<Convolution, Linear, Relu, Gelu, MaxPool, AvgPool, GlobalAvgPool, GroupNorm,
                               LayerNorm, Dropout, Flatten, Residual>;

}  // namespace tardigrad::models
