#include "runtime/verify/table_check.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tardigrad {
namespace {

double norm_of(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(sum);
}

}  // namespace

bool TableCheck::due(std::uint64_t update) const {
  return update >= next_update_ && std::chrono::steady_clock::now() >= not_before_;
}

TableCheck::Norms TableCheck::measure(const Read& read) {
  Norms norms;
  std::size_t rows = 0;
  read(
      [&](std::span<const float> mean) {
        mean_.assign(mean.begin(), mean.end());
        sum_.assign(mean.size(), 0);
      },
      [&](std::span<const float> row) {
        ++rows;
        const double norm = norm_of(row);
        // A maximum that keeps what is not a number.
        norms.rows = norm <= norms.rows ? norms.rows : norm;
        for (std::size_t i = 0; i < row.size(); ++i) sum_[i] += static_cast<double>(row[i]);
      });
  error_.resize(mean_.size());
  double mean = 0;
  double error = 0;
  double change = 0;
  for (std::size_t i = 0; i < mean_.size(); ++i) {
    const double exact = rows > 0 ? sum_[i] / static_cast<double>(rows) : 0;
    const double off = static_cast<double>(mean_[i]) - exact;
    const double moved = off - static_cast<double>(error_[i]);
    mean += exact * exact;
    error += off * off;
    change += moved * moved;
    error_[i] = static_cast<float>(off);
  }
  norms.mean = std::sqrt(mean);
  norms.error = std::sqrt(error);
  norms.error_change = std::sqrt(change);
  return norms;
}

bool TableCheck::look(const Read& read, std::uint64_t update, std::uint64_t folds, Checks& checks) {
  constexpr double rounding = 8.0 / (1 << 24);
  constexpr std::uint64_t longest_window = 1000;
  constexpr int times_as_long = 50;
  const Time began = std::chrono::steady_clock::now();
  std::size_t rows = 0;
  const Norms norms = measure([&](const VectorVisitor& mean, const VectorVisitor& row) {
    read(mean, [&](std::span<const float> values) {
      ++rows;
      row(values);
    });
  });
  if (!std::isfinite(norms.rows) || !std::isfinite(norms.error)) return false;
  const double largest = std::max(norms.rows, largest_row_);
  const double allowed =
      rounding * (static_cast<double>(folds - folds_before_) + static_cast<double>(rows)) * largest;
  checks.require(std::min(norms.error, norms.error_change) <= allowed,
                 "the mean is that of the {} rows that count: it is off by {:.3g} (of {:.3g}), and {} folds "
                 "since the look before explain {:.3g}",
                 rows, norms.error, norms.mean, folds - folds_before_, allowed);
  if (norms.mean > 0) largest_drift_ = std::max(largest_drift_, norms.error / norms.mean);
  ++looks_;
  largest_row_ = norms.rows;
  folds_before_ = folds;
  window_ = std::min(2 * window_, longest_window);
  next_update_ = update + window_;
  const Time now = std::chrono::steady_clock::now();
  not_before_ = now + times_as_long * (now - began);
  return true;
}

/// The error itself is not kept: what is found next is held against all folds so far.
void TableCheck::visit_state(StateArchive& state) {
  state.number("looks", looks_, std::uint64_t{0}, StateArchive::any);
  state.real("largest_drift", largest_drift_);
  state.real("largest_row", largest_row_);
  if (!state.restoring()) return;
  folds_before_ = 0;
  error_.clear();
  next_update_ = 0;
}

}  // namespace tardigrad
