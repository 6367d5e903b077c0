#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "kernels/random.h"
#include "runtime/base/state_archive.h"
#include "runtime/methods/method.h"

// What several methods are built from. What has state visits it as Method::visit_state does.

namespace tardigrad {

/// Returns the value of an option, or `otherwise` where it is not given. Throws std::invalid_argument if it
/// is given and below `least`.
int option_or(std::optional<int> given, int otherwise, std::string_view flag, int least = 1);

/// Returns the value of `--gather` for a method that waits for so many workers at once. Throws
/// std::invalid_argument if it is given and not from 1 to their number.
int gather_of_workers(const MethodOptions& options, int otherwise, std::string_view method);

/// Keeps the workers that are not lost, in ascending order. Throws std::logic_error for one lost or regained
/// twice.
class Working {
 public:
  /// Lets all workers work.
  void reset(int workers);
  void lose(int worker);
  void regain(int worker);

  bool has(int worker) const { return works_[static_cast<std::size_t>(worker)]; }
  int count() const { return static_cast<int>(list_.size()); }
  int operator[](int index) const { return list_[static_cast<std::size_t>(index)]; }
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }

  void visit_state(StateArchive& state);

 private:
  std::vector<int> list_;
  std::vector<bool> works_;
};

/// Appends a hand-over to every worker that works.
void hand_over_to_all(const Working& working, Actions& actions);

/// Throws away all jobs in flight and hands the newest model to every worker that works. `arrived`, if there
/// is one, has no job in flight; all others have one.
void restart_all(const Working& working, std::optional<int> arrived, Actions& actions);

/// Gathers a mean of gradients that is used up by one step: every `size` of them make a new one.
class GatheredGradients {
 public:
  explicit GatheredGradients(int size) : size_(size) {}

  /// Appends what puts the arrived gradient into the mean ū. Returns whether it was the last one.
  bool add(Actions& actions);

  void visit_state(StateArchive& state) { state.number("gathered", gathered_, 0, size_ - 1); }

 private:
  int size_;
  int gathered_ = 0;
};

/// Lets workers that have come wait for each other: at x⁰ for all, and once they have begun for `size`.
/// Nobody waits for the lost.
class WaitingWorkers {
 public:
  explicit WaitingWorkers(int size) : size_(size) {}

  /// Lets all workers work. Nobody has come yet.
  void reset(int workers);

  void arrive(int worker) { waiting_.push_back(worker); }
  void lose(int worker);
  void regain(int worker) { working_.regain(worker); }

  /// Tells whether as many have come as are waited for.
  bool enough() const;

  /// Tells whether from here on each one that comes begins at once.
  bool nobody_waits() const { return begun_ && size_ == 1; }

  /// Lets those that have come begin, and hands each the newest model.
  void begin(Actions& actions);

  /// Visits the state. What is restored must be of workers that have come, as the caller can tell.
  void visit_state(StateArchive& state, const std::function<bool(int worker)>& has_come);

 private:
  int size_;
  int workers_ = 0;
  Working working_;
  bool begun_ = false;
  std::vector<int> waiting_;  // since the others began, and not lost
};

/// Is a round at one model that each worker gives one gradient at most, and that waits for those that work.
class Round {
 public:
  /// Lets all workers work. Nobody has anything to do yet.
  void reset(int workers);

  /// Begins the next round. Nobody has anything to do yet.
  void begin();

  /// Lets the worker take part.
  void hand_over(int worker, Actions& actions);

  void arrive(int worker);

  /// Takes a lost worker out of the round. With `forget` the gradient that may have come of it counts for
  /// nothing.
  void lose(int worker, bool forget);

  /// Lets a worker take part at once, on the newest model, which is this round's, as a round ends with the
  /// update; but not twice: if its gradient is in already, it waits for the next one, as the others do.
  void regain(int worker, Actions& actions);

  /// Throws away the jobs of those that compute.
  void discard(Actions& actions) const;

  /// Tells whether as many gradients are in as are wanted, or some, and no more will come.
  bool over(int wanted) const { return arrived_ >= wanted || (computing_ == 0 && arrived_ > 0); }

  /// Tells whether somebody computes.
  bool waits() const { return computing_ > 0; }

  int arrived() const { return arrived_; }
  int size() const { return computing_ + arrived_; }
  const Working& working() const { return working_; }

  void visit_state(StateArchive& state);

 private:
  enum Part : int { none, computing, in };

  Part part(int worker) const { return static_cast<Part>(parts_[static_cast<std::size_t>(worker)]); }
  void set_part(int worker, Part part);

  Working working_;
  std::vector<int> parts_;  // of each worker in this round
  int computing_ = 0;       // workers of that part
  int arrived_ = 0;
};

/// Keeps rows that hold the newest gradient of each worker and last beyond an update, with ū their mean.
class LastingRows {
 public:
  explicit LastingRows(std::optional<LostRows> of_lost) : of_lost_(of_lost.value_or(LostRows::keep)) {}

  /// Empties all rows, which count as zeros.
  void reset(int workers);

  /// Appends what puts the arrived gradient into its row and ū, where it counts from now on if it did not.
  /// Returns whether the row was empty.
  bool fold(int worker, Actions& actions);

  /// Leaves an empty row out of the mean, where it would count as zeros for ever, and every row of the lost
  /// if they are to be dropped, until the worker is back and fills it.
  void lose(int worker, Actions& actions);

  /// Appends what makes the row, which is filled now, count again with what is in it, if it did not.
  void take_back(int worker, Actions& actions);

  bool counts(int worker) const { return counts_[static_cast<std::size_t>(worker)]; }
  bool filled(int worker) const { return filled_[static_cast<std::size_t>(worker)]; }

  void visit_state(StateArchive& state);

 private:
  LostRows of_lost_;
  std::vector<bool> counts_;
  std::vector<bool> filled_;  // only of those that count
};

/// Counts b_i of the papers (Malenia SGD, Ringleader ASGD): how many gradients each row of a table is the
/// mean of.
class RowCounts {
 public:
  /// Empties all rows.
  void reset(int workers);

  /// Empties the row.
  void clear(int worker);

  /// Counts one more gradient in, and returns the weight that folds it into the row: 1/b_i, 1 for an empty
  /// row, whose old content is thus never read.
  float add(int worker);

  std::uint64_t of(int worker) const { return counts_[static_cast<std::size_t>(worker)]; }
  int filled() const { return filled_; }
  bool in_mean(int worker) const { return in_mean_[static_cast<std::size_t>(worker)]; }

  /// Appends what sets ū to the mean of the rows that are not empty. The table must be the main one.
  void average(Actions& actions);

  void visit_state(StateArchive& state);

 private:
  std::vector<std::uint64_t> counts_;
  int filled_ = 0;
  std::vector<bool> in_mean_;  // as the server was told last; goes where the table goes
};

/// Visits the state of a generator, which goes on where it was.
void visit_state(const char* name, Random& random, StateArchive& state);

}  // namespace tardigrad
