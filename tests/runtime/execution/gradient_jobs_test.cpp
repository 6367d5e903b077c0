#include "runtime/execution/gradient_jobs.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/support/experiment.h"
#include "tests/support/gate.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

using Minibatches = std::vector<std::pair<int, std::uint64_t>>;

/// Jobs on Pull, on a stream with a thread or without. Models are small dyadic numbers, so that everything
/// is exact.
class GradientJobsContract : public ::testing::TestWithParam<bool> {
 protected:
  GradientJobsContract() {
    objective_.noise = 0.5F;
    objective_.in_gradient = [this](int worker, std::uint64_t minibatch) {
      minibatches_.emplace_back(worker, minibatch);
    };
  }

  void run(GradientJobs& jobs, int worker, std::uint64_t job) {
    const StreamRef stream = stream_;
    stream.copy(model_.ref(), host_view(start_.data(), start_.size()));
    jobs.enqueue_minibatch(worker, job);
    jobs.enqueue_gradient(worker, job, model_.ref(), gradient_.ref(), &loss_);
    stream.copy(host_view(result_.data(), result_.size()), gradient_.ref());
    stream.copy(host_view(left_.data(), left_.size()), model_.ref());
    stream.synchronize();
    EXPECT_EQ(left_, start_) << "the model handed over must stay as it is";
  }

  /// That of one element of Pull.
  static float gradient_at(float x, int worker, std::size_t element, std::uint64_t minibatch) {
    return x - static_cast<float>(worker) - static_cast<float>(element) +
           0.5F * static_cast<float>(minibatch % 16);
  }

  Pull objective_{4};
  Minibatches minibatches_;
  Stream stream_ = GetParam() ? Stream::immediate({}, "test") : Stream({}, "test");
  Buffer<float> model_{stream_, Pull::dimension};
  Buffer<float> gradient_{stream_, Pull::dimension};
  float loss_ = 0;
  std::vector<float> start_ = {8, -4, 0.5F, 3, 100};
  std::vector<float> result_ = std::vector<float>(Pull::dimension);
  std::vector<float> left_ = result_;
};

TEST_P(GradientJobsContract, OneStepIsTheGradient) {
  GradientJobs jobs(objective_, stream_, {});
  run(jobs, 1, 7);
  for (std::size_t e = 0; e < Pull::dimension; ++e) EXPECT_EQ(result_[e], gradient_at(start_[e], 1, e, 7));
  EXPECT_EQ(loss_, result_[0] * result_[0] / 2);
  EXPECT_EQ(minibatches_, (Minibatches{{1, 7}}));
}

TEST_P(GradientJobsContract, LocalStepsGiveTheDistanceGoneOverTheStepSize) {
  constexpr float local_lr = 0.25F;
  GradientJobs jobs(objective_, stream_, {.local_steps = 3, .local_lr = local_lr});
  for (const std::uint64_t job : {0U, 1U, 4U}) {
    SCOPED_TRACE(job);
    minibatches_.clear();
    run(jobs, 2, job);
    for (std::size_t e = 0; e < Pull::dimension; ++e) {
      float y = start_[e];
      for (std::uint64_t q = 0; q < 3; ++q) y -= local_lr * gradient_at(y, 2, e, 3 * job + q);
      EXPECT_EQ(result_[e], (start_[e] - y) / local_lr);
    }
    EXPECT_EQ(minibatches_, (Minibatches{{2, 3 * job}, {2, 3 * job + 1}, {2, 3 * job + 2}}));
    const float first = gradient_at(start_[0], 2, 0, 3 * job);
    EXPECT_EQ(loss_, first * first / 2);
  }
}

// The scratch of local steps is shared by the jobs of a stream, one after another.
TEST_P(GradientJobsContract, JobsOfOtherWorkersDoNotDisturb) {
  GradientJobs jobs(objective_, stream_, {.local_steps = 2, .local_lr = 0.5});
  run(jobs, 3, 0);
  const std::vector<float> alone = result_;
  run(jobs, 1, 5);
  EXPECT_NE(result_, alone);
  run(jobs, 3, 0);
  EXPECT_EQ(result_, alone);
}

INSTANTIATE_TEST_SUITE_P(Streams, GradientJobsContract, ::testing::Bool(),
                         [](const auto& tested) { return tested.param ? "immediate" : "queued"; });

// Pull's engine says when it has gone before what it has enqueued.
TEST(GradientJobs, OutliveMinibatchesThatNobodyAsksFor) {
  Pull objective(2);
  const Stream stream({}, "test");
  GradientJobs jobs(objective, stream, {});
  Gate gate;
  stream.ref().host("gate", gate.pass());
  for (std::uint64_t job = 0; job < 1000; ++job) jobs.enqueue_minibatch(1, job);
  gate.open();
}

}  // namespace
}  // namespace tardigrad
