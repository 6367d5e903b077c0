#pragma once

#include <string>

#include "models/networks/built_in_networks.h"
#include "models/networks/network_file.h"

namespace tardigrad::models::testing {

/// Has sizes that leave most tensors off the 16 bytes that libraries want.
inline const std::string odd_sizes = R"(
layers = [
  {conv = 5, kernel = 3, padding = 1}, "relu", {max_pool = 2},
  {conv = 11, kernel = 3, padding = 1}, "relu", {max_pool = 2},
  "flatten",
  {linear = 13}, "relu",
  {linear = 9}, "relu",
  {linear = "classes"},
]
)";

/// Has every layer of images, in places where their memory formats meet, before and behind residual blocks.
inline const std::string image_layers = R"(
layers = [
  {conv = 8, kernel = 5, stride = 2, padding = 2}, "gelu",
  "layer_norm",
  {avg_pool = 3, stride = 1, padding = 1},
  {conv = 12, kernel = 3, padding = 1, groups = 4, bias = false}, {group_norm = 3}, "relu",
  {max_pool = 3, stride = 2, padding = 1},
  {dropout = 0.3},
  {residual = [
    {conv = 6, kernel = 1}, "gelu", {dropout = 0.2}, {conv = 12, kernel = 3, padding = 1}
  ]},
  {residual = [
    {conv = 4, kernel = 1}, "relu", {max_pool = 2}
  ], shortcut = [
    {conv = 4, kernel = 2, stride = 2}
  ]},
  {residual = [
    {group_norm = 2}, {max_pool = 2, stride = 1}, {conv = 9, kernel = 2, padding = 1}, "layer_norm"
  ], shortcut = [
    {conv = 9, kernel = 1}, "relu"
  ]},
  "relu",
  {avg_pool = 2},
  {conv = 7, kernel = 1}, "relu", {max_pool = 2},
  {conv = 5, kernel = 1}, {group_norm = 1},
  "global_avg_pool", "relu",
  {linear = "classes"},
]
)";

/// Begins with what reads images and is no convolution, and has every layer of features.
inline const std::string feature_layers = R"(
blocks.mix = [
  {residual = ["layer_norm", {linear = 40}, "gelu", {dropout = 0.5}, {linear = 24}]},
]
layers = [
  {residual = [{conv = 6, kernel = 3, padding = 1}, "relu"], shortcut = [{conv = 6, kernel = 1}]},
  {avg_pool = 2},
  "flatten", {group_norm = 2}, {linear = 24, name = "embed"}, "relu",
  {block = "mix", repeat = 2},
  {residual = [{linear = 7}], shortcut = ["relu", {linear = 7}]},
  {linear = "classes", name = "head"},
]
)";

/// Makes a network of a built-in name, or of the text of a network file.
inline Architecture make_network(const std::string& network, const ImageShape& shape, int classes = 10) {
  if (network.find("layers =") == std::string::npos) return make_architecture(network, shape, classes);
  return parse_network("text", "text", network, shape, classes);
}

}  // namespace tardigrad::models::testing
