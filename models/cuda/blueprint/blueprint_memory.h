#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "models/cuda/blueprint/blueprint.h"

namespace tardigrad::models::cuda {

/// Gives the activations of a blueprint their places in memory.
class BlueprintMemory {
 public:
  explicit BlueprintMemory(Blueprint& plan) : plan_(plan) {}

  /// Returns where a piece of so many bytes begins.
  std::size_t take(std::size_t bytes);
  std::size_t bytes() const { return bytes_; }

  /// Adds an activation. Its gradient takes the place of its value, unless the blueprint's way lets something
  /// read that beside the way down: then it has a place of its own. Throws std::invalid_argument where it has
  /// 2^32 elements or more.
  ActivationId add(ImageBatch shape, bool wants_gradient);

  /// Adds one that is another one in all but the shape.
  ActivationId add_view(ActivationId of, ImageBatch shape);

  /// Adds one with the value of another and a gradient with a place of its own.
  ActivationId add_reader(ActivationId of);

  /// Lets two activations have one gradient: that of the second.
  void share_gradient(ActivationId one, ActivationId with);

  /// Writes the places of all gradients to the blueprint, once all are known.
  void place_gradients();

 private:
  /// Is a gradient. It has a place where a value gives up its own; the others get one by place_gradients().
  struct Gradient {
    std::size_t bytes = 0;
    std::optional<std::size_t> place;
  };

  std::size_t bytes_of(const ImageBatch& shape) const { return shape.size() * size_of(plan_.element); }
  /// Returns the place of a value for a gradient, or none.
  std::optional<std::size_t> in_place_of(std::size_t value) const;
  std::size_t add_gradient(const Gradient& gradient);
  void give_gradient(std::size_t from, std::size_t to);

  Blueprint& plan_;
  std::size_t bytes_ = 0;
  std::vector<Gradient> gradients_;
  std::vector<std::size_t> gradient_of_;  // by activation
};

}  // namespace tardigrad::models::cuda
