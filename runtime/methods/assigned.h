#pragma once

#include <vector>

#include "runtime/methods/parts.h"

namespace tardigrad {

/// Is what asgd-uniform and asgd-shuffled share: every arrival is a step, and the new model is queued at a
/// worker that is drawn. n jobs are outstanding always: those of a worker that is lost are drawn for anew, on
/// the newest model, among the workers that work; one that is back waits until it is drawn. If nobody works,
/// the first that is back gets them all.
class Assigned : public Method {
 public:
  explicit Assigned(const MethodOptions& options)
      : workers_(options.workers), random_(options.seed, Purpose::assignment) {}

  ServerMemory memory() const override { return {.jobs = JobSpread::anywhere}; }
  void start(Actions& actions) override;
  void arrive(const Arrival& arrival, Actions& actions) override;
  void lose(int worker, Actions& actions) override;
  void regain(int worker, Actions& actions) override;
  void visit_state(StateArchive& state) override;

 protected:
  /// Draws a worker that works. There is one.
  virtual int draw() = 0;

  int workers() const { return workers_; }
  const Working& working() const { return working_; }
  Random& random() { return random_; }

 private:
  void hand_over(int worker, Actions& actions);
  void hand_over_what_is_missing(Actions& actions);

  int workers_;
  Working working_;
  Random random_;
  std::vector<int> jobs_;  // in flight or queued, of each worker
  int outstanding_ = 0;    // all of them
};

}  // namespace tardigrad
