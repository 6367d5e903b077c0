#pragma once

#include <string>

namespace tardigrad {

/// Says what `tardigrad models` is asked for.
struct DescribedModel {
  std::string name;  ///< Of a built-in network, or a network file; empty: all that are built in.
  std::string images = "3x32x32";
  int classes = 10;
  int batch_size = 32;
};

/// Prints a list of the built-in networks, or one network: its text, and, as comments, so that all of it is a
/// network file again, its layers with their shapes, parameters and floating-point operations, and its
/// memory. Throws std::invalid_argument for images that are no CxHxW, and as make_architecture does.
void describe_models(const DescribedModel& described);

}  // namespace tardigrad
