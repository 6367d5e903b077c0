#pragma once

#include <string>
#include <vector>

#include "models/architecture.h"

namespace tardigrad::models {

/// Returns the names of the networks that are built in.
std::vector<std::string> architecture_names();

/// Returns the text of a network file: that of "logistic", linear `classes`; "mlp", linear 128, ReLU, linear
/// `classes` (784-128-10 on 28×28×1); "cnn", three times 3×3 convolution (32, 64, 128 channels), ReLU, 2×2
/// max-pool, then linear 256, ReLU, linear `classes` (620,362 parameters on 32×32×3 with 10 classes);
/// "resnet8" (78,042 parameters on the same) and "resnet18" (11.2 million), both of He et al. 2016 as for
/// CIFAR, with GroupNorm for BatchNorm. "mlp:256,128" has hidden layers of those widths, "cnn:16,32:64" so
/// many channels and then those hidden layers. Throws std::invalid_argument for an unknown name, and for
/// widths that are none.
std::string built_in_network(const std::string& name);

/// Tells whether a model's name is that of a network file: whether it ends in .toml.
bool is_network_file(const std::string& name);

/// Returns the text of a built-in network, or of a network file. Throws std::invalid_argument as
/// built_in_network does, and for a file that cannot be read.
std::string network_text(const std::string& name);

/// Makes the architecture of a built-in network, or of a network file. Throws
/// std::invalid_argument, naming the value and what was expected, for an unknown name, widths that are none,
/// a file that cannot be read, is wrong (network_file.h) or does not fit the images and classes, fewer than 2
/// classes, an empty shape, and an image too small for the poolings of a cnn.
Architecture make_architecture(const std::string& name, const ImageShape& shape, int classes);

}  // namespace tardigrad::models
