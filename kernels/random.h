#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "kernels/operation.h"

namespace tardigrad {

/// Says what a sequence of random numbers is for: part of its key, so that no two uses share numbers.
enum class Purpose : std::uint64_t {
  partition = 1,
  epoch = 2,
  replacement = 3,
  delay = 4,
  initialise = 5,
  delay_noise = 6,
  assignment = 7,
  availability = 8,
  gradient_noise = 9,
  heterogeneity = 10,
  augment = 11,
  test_share = 12,
  dropout = 13
};

/// Is what SplitMix64 advances its state by.
inline constexpr std::uint64_t splitmix64_step = 0x9e3779b97f4a7c15;

/// Advances `state` by SplitMix64 (Steele, Lea, Flood 2014) and returns a bijective mix of it.
TARDIGRAD_HOST_DEVICE constexpr std::uint64_t splitmix64(std::uint64_t& state) {
  std::uint64_t mixed = state += splitmix64_step;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31);
}

/// Generates random numbers by xoshiro256++ (Blackman, Vigna 2019), with the few distributions this project
/// needs. The distributions of <random> and std::shuffle may give other numbers with another standard
/// library; integers drawn here are the same everywhere, doubles up to the last bit of the platform's log,
/// sqrt and multiply-add.
class Random {
 public:
  /// Makes the generator of one key. Making one costs a few nanoseconds: make one wherever a result must not
  /// depend on what was drawn before.
  constexpr Random(std::uint64_t seed, Purpose purpose, std::uint64_t worker = 0, std::uint64_t index = 0) {
    std::uint64_t hash = 0;
    for (const std::uint64_t part : {seed, static_cast<std::uint64_t>(purpose), worker, index}) {
      hash ^= part;
      hash = splitmix64(hash);
    }
    for (std::uint64_t& word : state_) word = splitmix64(hash);
  }

  /// Makes the generator in a given state (not all zero).
  explicit constexpr Random(const std::array<std::uint64_t, 4>& state) : state_(state) {}
  constexpr const std::array<std::uint64_t, 4>& state() const { return state_; }

  constexpr std::uint64_t bits() {
    auto& [a, b, c, d] = state_;
    const std::uint64_t result = std::rotl(a + d, 23) + a;
    const std::uint64_t shifted = b << 17;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = std::rotl(d, 45);
    return result;
  }

  /// Draws a uniform integer in [0, bound), bound ≥ 1, without bias (Lemire 2019).
  constexpr std::uint32_t below(std::uint32_t bound) {
    std::uint64_t product = (bits() >> 32) * bound;
    if (static_cast<std::uint32_t>(product) < bound) {
      const std::uint32_t biased = -bound % bound;  // 2^32 mod bound
      while (static_cast<std::uint32_t>(product) < biased) product = (bits() >> 32) * bound;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

  /// Draws uniformly from (0, 1), both ends excluded, so that its logarithm is finite.
  constexpr double uniform() { return (static_cast<double>(bits() >> 12) + 0.5) * 0x1p-52; }

  /// Draws a standard normal variate (Marsaglia's polar method; the second of the pair is dropped to keep no
  /// state).
  double normal() {
    for (;;) {
      const double x = 2 * uniform() - 1;
      const double y = 2 * uniform() - 1;
      const double squared = x * x + y * y;
      if (squared < 1 && squared > 0) return x * std::sqrt(-2 * std::log(squared) / squared);
    }
  }

  /// Draws an exponential variate of mean 1 (inversion). It is above 0, as uniform() is below 1.
  double exponential() { return -std::log(uniform()); }

  /// Draws the logarithm of a Gamma(shape, 1) variate (Marsaglia, Tsang 2000), 1e-300 ≤ shape < infinity. It
  /// is in logarithms because a variate of small shape underflows: with shape 0.001 half of them are below
  /// 1e-301.
  double log_gamma_variate(double shape) {
    if (shape < 1) return log_gamma_variate(shape + 1) + std::log(uniform()) / shape;
    const double d = shape - 1.0 / 3;
    const double c = 1 / (3 * std::sqrt(d));
    for (;;) {
      const double x = normal();
      const double root = 1 + c * x;
      if (root <= 0) continue;
      const double log_v = 3 * std::log(root);
      const double log_accept = 0.5 * x * x + d * (1 - root * root * root + log_v);
      if (std::log(uniform()) < log_accept) return std::log(d) + log_v;
    }
  }

  /// Shuffles by Fisher-Yates: every order is equally likely. There are at most 2^32 - 1 items.
  template <typename Item>
  constexpr void shuffle(std::span<Item> items) {
    for (std::size_t left = items.size(); left > 1; --left) {
      std::swap(items[left - 1], items[below(static_cast<std::uint32_t>(left))]);
    }
  }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace tardigrad
