#pragma once

#include "kernels/mean_of_rows.h"

namespace tardigrad {

template <typename Row>
TARDIGRAD_HOST_DEVICE double add_row(double sum, Row element) {
  return sum + static_cast<double>(widen(element));
}

TARDIGRAD_HOST_DEVICE inline float mean_of(double sum, std::size_t count) {
  return static_cast<float>(sum / static_cast<double>(count));
}

/// Returns how far an element of the mean was from the exact one.
TARDIGRAD_HOST_DEVICE inline double distance(float mean, float exact) {
  return static_cast<double>(mean) - static_cast<double>(exact);
}

/// Calls `visit` with that one of the two arrays of rows that is given.
template <typename Visit>
void visit_rows(const MeanOfRows& mean, const Visit& visit) {
  mean.rows != nullptr ? visit(mean.rows) : visit(mean.rows_bf16);
}

/// Throws std::logic_error as mean_of_rows.h says.
void check(const MeanOfRows& mean);

}  // namespace tardigrad
