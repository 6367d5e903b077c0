#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "runtime/base/state_archive.h"

namespace tardigrad {

/// Says why a worker is out of the run.
enum class Absence {
  scripted,  ///< a script says so, or a recording
  hung,      ///< its job is overdue (WorkerHealth)
  failed,    ///< its device or stream has failed, for good
};

/// Knows which workers are out of a run, and why. A worker is back when no reason holds any more.
class Membership {
 public:
  explicit Membership(int workers) : workers_(static_cast<std::size_t>(workers)) {}

  /// A reason holds from now on; `text` tells it in a line. Returns whether the worker was in the run.
  bool take_out(int worker, Absence reason, const std::string& text);

  /// A reason does not hold any more. Returns whether it did, and the worker is back.
  bool take_back(int worker, Absence reason);

  bool is_out(int worker) const { return of(worker).any(); }
  bool is_out(int worker, Absence reason) const { return of(worker).holds[index_of(reason)]; }

  /// From `time` on nobody waits for a worker that hangs to come back.
  void give_up_at(int worker, double time) { of(worker).hopeless_at = time; }

  /// Returns whether it leads to anything, at the time `now`, if a job of the worker comes to its end that
  /// was thrown away.
  bool may_come_back(int worker, double now) const;

  /// Returns who is out and why, in a line: the first three, and how many more.
  std::string describe() const;

  /// Visits which reasons hold, a list a reason.
  void visit_state(StateArchive& state);
  /// Visits the texts.
  void visit_texts(StateArchive& state);
  /// Gives those a text whose checkpoint has none.
  void complete_texts();

 private:
  static constexpr std::size_t reasons = 3;
  static std::size_t index_of(Absence reason) { return static_cast<std::size_t>(reason); }

  struct Worker {
    bool holds[reasons] = {};
    double hopeless_at = 0;
    bool any() const { return holds[0] || holds[1] || holds[2]; }
  };

  Worker& of(int worker) { return workers_[static_cast<std::size_t>(worker)]; }
  const Worker& of(int worker) const { return workers_[static_cast<std::size_t>(worker)]; }
  void visit(const char* name, Absence reason, StateArchive& state);

  std::vector<Worker> workers_;
  std::map<int, std::string> texts_;  // of those that are out
};

}  // namespace tardigrad
