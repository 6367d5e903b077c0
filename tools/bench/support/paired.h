#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace tardigrad::bench {

/// One of several things to be compared: `measure` does its work once and returns the seconds it took.
struct Contender {
  std::string name;
  std::function<double()> measure;
};

/// A contender timed by the wall clock. `warm_up` runs before each measurement and is not timed: the work
/// itself, where caches are to be as it leaves them and not as its rivals do.
inline Contender timed(
    std::string name, std::function<void()> work, std::function<void()> warm_up = [] {}) {
  return {std::move(name), [work = std::move(work), warm_up = std::move(warm_up)] {
            warm_up();
            const auto start = std::chrono::steady_clock::now();
            work();
            return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
          }};
}

inline double median(std::vector<double> values) {
  if (values.empty()) throw std::invalid_argument("median of nothing");
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return values.size() % 2 == 1 ? *middle : (*std::max_element(values.begin(), middle) + *middle) / 2;
}

/// The times of contenders that ran in turn: a b c, a b c, … On a machine whose speed wanders, neighbours in
/// time met the same weather, so compare with ratio() and quote seconds only beside it.
class Comparison {
 public:
  /// Runs every contender in turn, `rounds` times after `warm_up_rounds` that are not counted.
  Comparison(std::vector<Contender> contenders, std::size_t rounds, std::size_t warm_up_rounds = 1)
      : contenders_(std::move(contenders)), times_s_(contenders_.size()) {
    for (std::size_t round = 0; round < warm_up_rounds + rounds; ++round) {
      for (std::size_t i = 0; i < contenders_.size(); ++i) {
        const double time_s = contenders_[i].measure();
        if (round >= warm_up_rounds) times_s_[i].push_back(time_s);
      }
    }
  }

  std::size_t size() const { return contenders_.size(); }
  const std::string& name(std::size_t i) const { return contenders_.at(i).name; }
  double median_s(std::size_t i) const { return median(times_s_.at(i)); }

  /// Median over the rounds of (time of i / time of j in that round): above 1, i is the slower.
  double ratio(std::size_t i, std::size_t j) const {
    std::vector<double> ratios(times_s_.at(i).size());
    std::transform(times_s_[i].begin(), times_s_[i].end(), times_s_.at(j).begin(), ratios.begin(),
                   std::divides<>());
    return median(std::move(ratios));
  }

 private:
  std::vector<Contender> contenders_;
  std::vector<std::vector<double>> times_s_;
};

}  // namespace tardigrad::bench
