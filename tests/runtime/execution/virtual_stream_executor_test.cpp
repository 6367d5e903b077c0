// Virtual time on streams, with jobs in groups: the bits are those of one job after another.

#include "runtime/execution/streams/virtual_stream_executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "tests/runtime/device/backends.h"
#include "tests/support/all_checkpoints.h"
#include "tests/support/patient_run.h"
#include "tests/support/sharded_run.h"
#include "tests/support/temporary_file.h"
#include "tests/support/temporary_folder.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

/// A run with 12 workers. On CPUs a server in shards has streams, too.
std::unique_ptr<ShardedRun> grouped_run(Backend backend, const std::string& method, std::size_t at_once,
                                        const RunOptions& options) {
  constexpr int workers = 12;
  auto run = std::make_unique<ShardedRun>(backend, method, backend == Backend::cpu ? 2 : 1, options);
  run->method_options.workers = workers;
  run->delays = Delays::parse("linear:1:0.7+exponential:0.5", workers, 0);
  run->at_once = at_once;
  return run;
}

class GroupedMethods : public OfBackendAndMethod {};

/// Groups of up to four on the streams of each device, and of up to six on those of one.
TEST_P(GroupedMethods, GiveTheBitsOfOneByOne) {
  const TemporaryFile file;
  const auto made = [&](std::size_t at_once) {
    RunOptions options = in_virtual_time(1000);
    options.max_gradients = 80;
    auto run = grouped_run(backend(), method(), at_once, options);
    run->speeds = EventScript::read(file.write(loss_and_return), run->method_options.workers);
    return run;
  };
  const auto one = made(1);
  one->go();
  for (const std::size_t at_once : {4U, 16U}) {
    const auto several = made(at_once);
    if (at_once == 16) {
      Devices alone(std::vector<Device>{several->devices.workers.front()});
      alone.server_shards = several->devices.server_shards;
      several->devices = alone;
    }
    several->go();
    EXPECT_TRUE(several->model == one->model) << at_once;
    EXPECT_EQ(several->sequence(), one->sequence()) << at_once;
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, GroupedMethods,
                         ::testing::Combine(every_backend(), ::testing::ValuesIn(method_names())),
                         OfBackendAndMethod::name);

class GroupedRuns : public BackendTest {
 protected:
  TemporaryFolder folder_;
};

/// Each checkpoint is taken while the run goes on, and replicas are written anew. With rennala many jobs
/// start from the version that a checkpoint has, before it and behind it.
TEST_P(GroupedRuns, GoOnFromACheckpointWithGroupsOrWithout) {
  for (const std::string method : {"dude", "rennala"}) {
    const auto made = [&](std::size_t at_once) {
      auto run = grouped_run(GetParam(), method, at_once, in_virtual_time(method == "dude" ? 60 : 3));
      if (method == "rennala") run->method_options.gather = 60;
      return run;
    };
    const auto folder = folder_.path() / method;
    const auto whole = made(16);
    whole->options.checkpoints = all_checkpoints_in(folder, 1);
    PatientRun patience(folder);
    whole->go(&patience);
    const auto checkpoints = CheckpointFolder::list(folder);
    ASSERT_GE(checkpoints.size(), 2U);
    const std::size_t stride = 1 + checkpoints.size() / 4;
    for (std::size_t i = 0; i < checkpoints.size(); i += stride) {
      for (const std::size_t at_once : {1U, 16U}) {
        const auto rest = made(at_once);
        rest->checkpoint = checkpoints[i];
        rest->go();
        EXPECT_TRUE(rest->model == whole->model) << checkpoints[i] << ", " << at_once << " at once";
      }
    }
  }
}

TEST_P(GroupedRuns, HaveLocalStepsOneJobAfterAnother) {
  const auto made = [](Backend backend, std::size_t at_once) {
    auto run = grouped_run(backend, "fedbuff", at_once, in_virtual_time(20));
    run->options.job = {.local_steps = 3, .local_lr = 0.01};
    return run;
  };
  const auto one = made(GetParam(), 1);
  const auto several = made(GetParam(), 16);
  one->go();
  several->go();
  EXPECT_TRUE(several->model == one->model);
}

INSTANTIATE_TEST_SUITE_P(Backends, GroupedRuns, every_backend(), backend_name);

/// Is told to be computed at once, and counts of how many jobs groups are. One can be made to fail, and those
/// behind it.
class CountsGroups final : public GradientEngine {
 public:
  CountsGroups(StreamRef stream, std::vector<std::size_t>& groups, std::size_t failing)
      : stream_(stream), groups_(groups), failing_(failing) {}
  void enqueue_minibatch(int, std::uint64_t) override {}
  void enqueue_gradient(int, BufferRef<const float> model, BufferRef<float> gradient, float* loss) override {
    groups_.push_back(1);
    compute(model, gradient, loss);
  }
  void enqueue_gradients(std::span<const GradientJob> jobs, float* losses,
                         const std::function<void()>& wait_for_models) override {
    wait_for_models();
    groups_.push_back(jobs.size());
    for (const GradientJob& job : jobs) compute(job.model, job.gradient, losses++);
  }

 private:
  void compute(BufferRef<const float> model, BufferRef<float> gradient, float* loss) {
    if (groups_.size() > failing_) throw DeviceError(stream_.device(), "out of order");
    stream_.copy(gradient, model);
    stream_.host("loss", [loss] { *loss = 0; });
  }

  StreamRef stream_;
  std::vector<std::size_t>& groups_;
  std::size_t failing_;
};

class Counted final : public Objective {
 public:
  explicit Counted(int workers) : workers_(workers) { layout_.add("x", {dimension}); }
  const ParameterLayout& layout() const override { return layout_; }
  int workers() const override { return workers_; }
  bool runs_on(Backend) const override { return true; }
  void initialise(std::span<float>, std::uint64_t) const override {}
  Evaluation evaluate(std::span<const float>, const BreakOff&) override { return {}; }
  std::size_t examples_per_job(int) const override { return 0; }
  std::size_t examples() const override { return 0; }
  std::size_t gradients_at_once(Backend) const override { return at_once; }
  std::unique_ptr<GradientEngine> make_engine(const StreamRef& stream, std::span<const int>) override {
    return std::make_unique<CountsGroups>(stream, groups, failing);
  }

  static constexpr std::size_t dimension = 2 * shard_block;
  std::size_t at_once = 16;
  std::size_t failing = std::numeric_limits<std::size_t>::max();  // groups before that one are computed
  std::vector<std::size_t> groups;

 private:
  int workers_;
  ParameterLayout layout_;
};

void run_on(Counted& objective, const std::string& method_name) {
  RunOptions options = in_virtual_time(400);
  options.lr = 0.01;
  Devices devices;
  devices.server_shards = 2;  // so that it has streams on a CPU
  const auto method = make_method(method_name, {.workers = objective.workers()});
  const Delays delays = Delays::parse("linear:1:0", objective.workers(), 0);
  const EventScript speeds;
  Coordinator coordinator(objective, *method,
                          make_execution(objective, method->memory(), delays, speeds, devices, options),
                          options, {});
  std::vector<float> model(Counted::dimension, 1.0F);
  coordinator.run(model, {});
}

/// Returns the sizes of the groups of a run of dude.
std::vector<std::size_t> groups_of(int workers) {
  Counted objective(workers);
  run_on(objective, "dude");
  return objective.groups;
}

/// All arrivals before the job that fails are steps of asgd, and so updates of the model that is left.
TEST(VirtualStreamExecutor, LeavesTheNewestModelThereIsWhereAGroupCannotBeStarted) {
  for (const std::size_t at_once : {1U, 16U}) {
    Counted objective(8);
    objective.at_once = at_once;
    objective.failing = 20;
    try {
      run_on(objective, "asgd");
      FAIL() << "no failure";
    } catch (const DeviceLostError& error) {
      const auto computed = objective.groups.begin() + 20;
      EXPECT_EQ(error.update(), std::accumulate(objective.groups.begin(), computed, std::uint64_t{0}))
          << at_once;
      EXPECT_THAT(error.what(), ::testing::HasSubstr("is lost: out of order")) << at_once;
    }
  }
}

/// All workers take as long, so that every one needs what its last arrival handed over.
TEST(VirtualStreamExecutor, ComputesUpToSixteenJobsAtOnceAndHalfTheWorkers) {
  const auto largest = [](int workers) { return std::ranges::max(groups_of(workers)); };
  EXPECT_EQ(largest(100), 16U);
  EXPECT_EQ(largest(20), 10U);
  EXPECT_EQ(largest(3), 1U);
  EXPECT_EQ(largest(1), 1U);
  const auto groups = groups_of(100);
  EXPECT_GE(std::ranges::count(groups, 16U), 400 / 16 - 2);
}

}  // namespace
}  // namespace tardigrad
