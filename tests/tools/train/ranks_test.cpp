// Runs over the ranks of MPI, as mpirun starts them. Each start takes a good part of a second: there are few.

#include <gmock/gmock.h>

#include <filesystem>
#include <random>
#include <regex>

#include "runtime/checkpoint/checkpoint_folder.h"
#include "runtime/device/device.h"
#include "runtime/ranks/mpi_job.h"
#include "tests/support/program.h"
#include "tools/resume/resume.h"

namespace tardigrad {
namespace {

using testing::Finished;
using ::testing::HasSubstr;
using testing::read_file;

class Ranks : public testing::QuadraticTest {
 protected:
  void SetUp() override {
    if (!built_with_mpi) GTEST_SKIP() << "this build has no MPI";
    if (std::system("command -v mpirun >/dev/null") != 0) GTEST_SKIP() << "there is no mpirun";
  }

  /// What mpirun is to be told here: that there are more ranks than processors, and that the user may be
  /// root. Libraries of MPI that are unloaded when a program ends leave memory to the system, and
  /// LeakSanitizer cannot be told of them by name any more; what the project's own parts leave is looked for
  /// in tests/runtime/ranks.
  static std::string environment() {
    return "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
           "OMPI_MCA_rmaps_base_oversubscribe=1 ASAN_OPTIONS=detect_leaks=0";
  }

  Finished on_ranks(int count, const std::string& arguments) const {
    return shell(environment() + "\nexec mpirun -n " + std::to_string(count) + " \"$tardigrad\" " +
                 arguments);
  }

  /// The same on three ranks, the last of which does a command of the shell before.
  Finished on_ranks_of_which_the_last(const std::string& command, const std::string& arguments) const {
    write("last.sh", "[ \"$OMPI_COMM_WORLD_RANK$PMI_RANK\" = 2 ] && " + command + "\nexec \"$@\"\n");
    return shell(environment() + "\nexec mpirun -n 3 bash last.sh \"$tardigrad\" " + arguments);
  }

  bool has_emulated_gpus() const {
    return tardigrad("devices").out.find("Emulated GPU") != std::string::npos;
  }

  /// The same on three ranks, where a launch on a GPU of the last fails ("device:nth").
  Finished on_ranks_with_a_fault(const std::string& fault, const std::string& arguments) const {
    return on_ranks_of_which_the_last("export TARDIGRAD_EMULATED_FAULT=" + fault, arguments);
  }

  /// The same in the background, until a condition of the shell holds; then a command of it, which knows the
  /// process of mpirun as $job, and those of the ranks by the files rank0, rank1, …
  Finished in_background(int count, const std::string& arguments, const std::string& until,
                         const std::string& then) const {
    write("named.sh", "echo $$ >rank${OMPI_COMM_WORLD_RANK:-$PMI_RANK}\nexec \"$@\"\n");
    return shell(environment() + "\nrm -f rank*[0-9]\nmpirun -n " + std::to_string(count) +
                 " bash named.sh \"$tardigrad\" " + arguments + " &\njob=$!\nuntil " + until +
                 "; do kill -0 $job || exit 99; done\n" + then + "\nwait $job");
  }

  static int count(const std::string& text, const std::string& part) {
    int found = 0;
    for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
    return found;
  }

  /// The lines of a log but for wall times, and for what says where and how the run was made.
  std::vector<std::string> records(const std::string& log) const {
    std::vector<std::string> lines;
    for (nlohmann::json record : testing::read_log(path(log))) {
      if (record.at("event") == "run") continue;
      record.erase("train_time_s");
      lines.push_back(json_text(record));
    }
    return lines;
  }

  const std::string run =
      "train --model quadratic:tridiagonal:50:noise=0.1 --method dude --lr 0.1 --workers 5 --device cpu ";
  const std::string virtual_run = run + "--clock virtual --compute-time 1,2,3,4,5 --eval-every 20 ";
};

TEST_F(Ranks, GiveTheBytesOfOneProcessInVirtualTime) {
  const Finished alone = tardigrad(virtual_run + "--updates 100 --log alone.jsonl --save alone.safetensors");
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  const Finished ranks =
      on_ranks(3, virtual_run + "--updates 100 --ranks mpi --log ranks.jsonl --save ranks.safetensors");
  ASSERT_EQ(ranks.exit_code, 0) << ranks.err;
  EXPECT_EQ(count(ranks.out, "ended by"), 1) << ranks.out;
  EXPECT_TRUE(read_file(path("ranks.safetensors")) == read_file(path("alone.safetensors")));
  EXPECT_EQ(records("ranks.jsonl"), records("alone.jsonl"));
  const Finished with_rank_0 =
      on_ranks(2, virtual_run + "--updates 100 --ranks mpi --workers-per-rank 2,3 --save two.safetensors");
  ASSERT_EQ(with_rank_0.exit_code, 0) << with_rank_0.err;
  EXPECT_TRUE(read_file(path("two.safetensors")) == read_file(path("alone.safetensors")));
}

TEST_F(Ranks, TrainOnImagesInWallTimeAndAreReplayedByOneProcess) {
  write_images(200, 50);
  const Finished ranks = on_ranks(
      3,
      "train --model mlp:16 --dataset mnist --data-dir . --method dude --lr 0.05 --batch-size 8 --workers 4 "
      "--workers-per-rank 3,1 --device cpu:2 --updates 60 --eval-every 30 --ranks mpi --verify "
      "--record run.rec --save ranks.safetensors --log ranks.jsonl --trace trace.json");
  ASSERT_EQ(ranks.exit_code, 0) << ranks.err;
  EXPECT_THAT(read_file(path("trace.json")), HasSubstr("\"name\":\"rank 2\""));
  const Finished again = tardigrad("train --replay run.rec --save again.safetensors");
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_TRUE(read_file(path("again.safetensors")) == read_file(path("ranks.safetensors")));
}

TEST_F(Ranks, ComputeOnGpus) {
  if (cuda_device_count() == 0) GTEST_SKIP() << "no GPU: " << why_no_cuda();
  write_images(100, 40);
  const std::string train =
      "train --model mlp:16 --dataset mnist --data-dir . --method dude --lr 0.05 --batch-size 8 --workers 3 "
      "--device cuda --clock virtual --compute-time 1,2,3 --deterministic --updates 20 --ranks mpi --save ";
  for (const int ranks : {2, 3}) {
    const Finished ended = on_ranks(ranks, train + std::to_string(ranks) + ".safetensors");
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
  }
  EXPECT_TRUE(read_file(path("2.safetensors")) == read_file(path("3.safetensors")));
}

TEST_F(Ranks, GiveTheBytesOfOneProcessWhereTheServerIsOnAGpu) {
  if (cuda_device_count() == 0) GTEST_SKIP() << "no GPU: " << why_no_cuda();
  write_images(100, 40);
  const std::string train =
      "train --model mlp:16 --dataset mnist --data-dir . --method dude --lr 0.05 --batch-size 8 --workers 3 "
      "--device cuda --clock virtual --compute-time 1,2,3 --deterministic --updates 20 ";
  const Finished alone = tardigrad(train + "--save alone.safetensors");
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  const std::string ranked = train + "--server-device cuda:0 --ranks mpi --save ranks.safetensors ";
  for (const std::string shards : {"", "--server-shards 2"}) {
    const Finished ranks = on_ranks(shards.empty() ? 3 : 4, ranked + shards);
    ASSERT_EQ(ranks.exit_code, 0) << ranks.err;
    EXPECT_TRUE(read_file(path("ranks.safetensors")) == read_file(path("alone.safetensors"))) << shards;
  }
}

// A round waits for both workers, however slow their ranks are.
TEST_F(Ranks, LoseTheWorkersOfAGpuThatFails) {
  if (!has_emulated_gpus()) GTEST_SKIP() << "needs emulated GPUs";
  const Finished ended = on_ranks_with_a_fault(
      "0:20",
      "train --model quadratic:tridiagonal:50 --method sync --lr 0.1 --workers 2 --device cuda:0 "
      "--updates 200 --ranks mpi");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_TRUE(std::regex_search(ended.err, std::regex("worker 1 is lost at .*rank 2: .* of cuda:0")))
      << ended.err;
  // The second GPU is that of rank 0's second worker, and of nobody else.
  const Finished of_rank_0 = shell(
      environment() +
      "\nexport TARDIGRAD_EMULATED_FAULT=1:20\nexec mpirun -n 2 \"$tardigrad\" "
      "train --model quadratic:tridiagonal:50 --method sync --lr 0.1 --workers 3 --workers-per-rank 2,1 "
      "--device cuda --updates 200 --ranks mpi");
  EXPECT_EQ(of_rank_0.exit_code, 0) << of_rank_0.err;
  EXPECT_TRUE(std::regex_search(of_rank_0.err, std::regex("worker 2 is lost at .*rank 0: .* of cuda:1")))
      << of_rank_0.err;
}

TEST_F(Ranks, EndWithTheGpuThatKeepsTheModel) {
  if (!has_emulated_gpus()) GTEST_SKIP() << "needs emulated GPUs";
  const Finished ended = on_ranks_with_a_fault(
      "3:60",
      "train --model quadratic:tridiagonal:50 --method sync --lr 0.1 --workers 3 --device cuda "
      "--updates 2000 --ranks mpi --sync-over nccl");
  EXPECT_EQ(ended.exit_code, 3) << ended.err;
  EXPECT_TRUE(std::regex_search(ended.err, std::regex("rank 2 on .*cuda:3"))) << ended.err;
}

// The sum of a rank's workers comes first, and so is rounded otherwise: 100 steps of 2⁻²⁴ of their size (1).
TEST_F(Ranks, AddUpRoundsOfSyncWithoutAServer) {
  const std::string sync =
      "train --model quadratic:tridiagonal:50:noise=0.1 --method sync --lr 0.1 --momentum 0.5 --workers 5 "
      "--device cpu --clock virtual --compute-time 1,2,3,4,5 --eval-every 20 --updates 100 ";
  const Finished alone = tardigrad(sync + "--log alone.jsonl");
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  const Finished ranks = on_ranks(3, sync + "--ranks mpi --sync-over mpi --log ranks.jsonl --verify");
  ASSERT_EQ(ranks.exit_code, 0) << ranks.err;
  constexpr double tolerance = 100 * 6e-8;
  const auto final_loss = [this](const std::string& log) {
    return testing::records_of(path(log), "summary").at(0).at("final_loss").get<double>();
  };
  EXPECT_NEAR(final_loss("ranks.jsonl"), final_loss("alone.jsonl"), tolerance);
}

// GPUs contract products and sums otherwise, which 100 steps of 2⁻²⁴ of their size (1) allow for, too.
TEST_F(Ranks, AddUpRoundsOfSyncOnTheirGpus) {
  if (cuda_device_count() < 4) GTEST_SKIP() << "needs 4 GPUs: one for rank 0, and one for each worker";
  const std::string sync =
      "train --model quadratic:tridiagonal:5000:noise=0.1 --method sync --lr 0.1 --momentum 0.5 --workers 3 "
      "--clock virtual --compute-time 1,2,3 --eval-every 20 --updates 40 --device ";
  const auto final_loss = [this](const std::string& log) {
    return testing::records_of(path(log), "summary").at(0).at("final_loss").get<double>();
  };
  const Finished alone = tardigrad(sync + "cpu --log alone.jsonl");
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  constexpr double tolerance = 100 * 6e-8;
  for (const std::string over : {"nccl", "mpi"}) {
    const Finished ranks =
        on_ranks(3, sync + "cuda --ranks mpi --sync-over " + over + " --verify --log " + over + ".jsonl");
    ASSERT_EQ(ranks.exit_code, 0) << ranks.err;
    EXPECT_NEAR(final_loss(over + ".jsonl"), final_loss("alone.jsonl"), tolerance);
  }
  const Finished uneven = on_ranks(2, sync + "cuda:0,1 --ranks mpi --sync-over nccl --workers-per-rank 2,1");
  EXPECT_EQ(uneven.exit_code, 0) << uneven.err;
  const Finished refused = on_ranks(3, sync + "cuda:1,2 --ranks mpi --sync-over nccl");
  EXPECT_EQ(refused.exit_code, 2) << refused.err;
  EXPECT_EQ(count(refused.err, "tardigrad: "), 1) << refused.err;
  EXPECT_TRUE(std::regex_search(
      refused.err, std::regex("rank [12] on .*: the GPU that keeps the model .* of the machine of "
                              "rank 0 there, which rank [01] has, too; expected one for each")))
      << refused.err;
}

// mpirun kills ranks that have not ended in a second, by default: too little on a machine that stalls.
TEST_F(Ranks, EndARunThatASignalEndsAndSaveIt) {
  setenv("OMPI_MCA_odls_base_sigkill_timeout", "3", 1);
  const Finished ended = in_background(
      3,
      run +
          "--ranks mpi --time-limit 600 --compute-time 1,1,1,1,1 --time-unit 0.001 --log log.jsonl "
          "--save model.safetensors",
      "grep -q '\"update\":' log.jsonl 2>/dev/null", "kill -TERM $job");
  EXPECT_THAT(ended.out, HasSubstr("ended by interrupted"));
  unsetenv("OMPI_MCA_odls_base_sigkill_timeout");
  EXPECT_EQ(count(ended.err, "SIGTERM: the run ends"), 1) << ended.err;
  EXPECT_TRUE(std::filesystem::exists(path("model.safetensors")));
}

TEST_F(Ranks, GoOnWithoutOneThatIsKilledWhereMpirunLetsThem) {
  if (std::system("mpirun --version | grep -q 'Open MPI'") != 0) GTEST_SKIP() << "this is not Open MPI";
  setenv("OMPI_MCA_orte_enable_recovery", "1", 1);
  const Finished ended = in_background(
      3,
      run +
          "--ranks mpi --worker-timeout 0.5 --time-limit 600 --compute-time 1,1,1,1,1 --time-unit 0.001 "
          "--log log.jsonl --save model.safetensors",
      "grep -q '\"update\":' log.jsonl 2>/dev/null",
      "kill -KILL $(cat rank1)\nuntil grep -q worker-lost log.jsonl; do kill -0 $job || exit 98; done\n"
      "kill -TERM $(cat rank0)");
  unsetenv("OMPI_MCA_orte_enable_recovery");
  EXPECT_THAT(ended.out, HasSubstr("ended by interrupted")) << ended.err;
  EXPECT_TRUE(std::filesystem::exists(path("model.safetensors")));
}

// Its checkpoint is that of one process, which goes on from it.
TEST_F(Ranks, KeepTheModelInShards) {
  const std::string sharded =
      "train --model quadratic:tridiagonal:9000:noise=0.1 --method dude --lr 0.1 --clip-norm 3 --workers 3 "
      "--device cpu --clock virtual --compute-time 1,2,3 --eval-every 20 ";
  const Finished alone = tardigrad(sharded + "--updates 100 --log alone.jsonl --save alone.safetensors");
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  const Finished ranks = on_ranks(
      4, sharded + "--updates 60 --ranks mpi --server-shards 2 --verify --checkpoint-dir checkpoints");
  ASSERT_EQ(ranks.exit_code, 0) << ranks.err;
  const Finished rest = on_ranks(
      5, "train --resume latest --ranks mpi --server-shards 3 --checkpoint-dir checkpoints --updates 80");
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  const Finished last =
      tardigrad("train --resume latest --checkpoint-dir checkpoints --updates 100 --save last.safetensors");
  ASSERT_EQ(last.exit_code, 0) << last.err;
  EXPECT_TRUE(read_file(path("last.safetensors")) == read_file(path("alone.safetensors")));
}

// As Open MPI has it, which ends the whole job; a run goes on from what there is of it. Until it has been
// killed it has no end, however long a busy machine keeps whoever is to kill it.
TEST_F(Ranks, GoOnFromTheNewestCheckpointWhenARankIsKilled) {
  const std::string steps = run + "--clock virtual --compute-time 1,2,3,4,5 ";
  const std::string kept = "--ranks mpi --checkpoint-dir checkpoints --checkpoint-every 100u ";
  const std::string resumed = "train --resume latest " + kept;
  std::mt19937 random(7);
  for (int round = 0; round < 2; ++round) {
    const std::string log = "log" + std::to_string(round) + ".jsonl";
    const std::string begun =
        (round == 0 ? steps + "--updates 1000000000 " + kept : resumed) + "--log " + log;
    const int digits = std::uniform_int_distribution(10, 99)(random);
    const int rank = std::uniform_int_distribution(0, 2)(random);
    const Finished killed = in_background(3, begun,
                                          "grep -q '\"update\":[0-9]*" + std::to_string(digits) + ",' " +
                                              log + " 2>/dev/null && ls checkpoints | grep -q ^update-",
                                          "kill -KILL $(cat rank" + std::to_string(rank) + ")");
    EXPECT_NE(killed.exit_code, 0) << killed.err;
    EXPECT_NE(killed.exit_code, 99) << killed.err;
  }
  const auto newest = Checkpoint::read(CheckpointFolder::list(path("checkpoints")).back());
  const std::string end = "--updates " + std::to_string(record_of(newest).update + 250) + " ";
  const Finished last = on_ranks(3, resumed + end + "--save ranks.safetensors");
  ASSERT_EQ(last.exit_code, 0) << last.err;
  const Finished alone = tardigrad(steps + end + "--save alone.safetensors");
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  EXPECT_TRUE(read_file(path("ranks.safetensors")) == read_file(path("alone.safetensors")));
}

TEST_F(Ranks, AreRefusedWhereOneHasOtherData) {
  write_images(60, 20);
  std::filesystem::create_directory(path("elsewhere"));
  for (const auto& file : std::filesystem::directory_iterator(path("."))) {
    if (file.is_regular_file()) std::filesystem::copy(file, path("elsewhere"));
  }
  std::string images = read_file(path("train-images-idx3-ubyte"));
  constexpr std::size_t header_bytes = 16;
  for (std::size_t i = header_bytes; i < images.size(); ++i) images[i] ^= 1;
  write("elsewhere/train-images-idx3-ubyte", images);
  const Finished refused = on_ranks_of_which_the_last(
      "cd elsewhere",
      "train --model mlp:16 --dataset mnist --data-dir . --method dude --lr 0.05 --workers 2 --updates 3 "
      "--ranks mpi --device cpu");
  EXPECT_EQ(refused.exit_code, 2) << refused.err;
  EXPECT_EQ(count(refused.err, "tardigrad: "), 1) << refused.err;
  EXPECT_TRUE(std::regex_search(refused.err, std::regex("rank 2 on .*: the training data's hash .* is .* "
                                                        "there, expected .*, as on rank 0")))
      << refused.err;
}

TEST_F(Ranks, AreRefusedInOneLineWhereTheyDoNotFit) {
  struct Case {
    int ranks;
    std::string arguments;
    std::string message;
  };
  std::filesystem::create_directory(path("elsewhere"));
  for (const Case& one :
       {Case{3, run + "--updates 3", "mpirun has started 3 processes, and each would train"},
        Case{7, run + "--updates 3 --ranks mpi",
             "--ranks mpi: 7 ranks, and the run has 5 workers; expected 6 or fewer"},
        Case{3, run + "--updates 3 --ranks mpi --server-shards 3",
             "--server-shards 3: each is on a rank without workers, and there are 3 ranks; expected 4 or "
             "more"},
        Case{4, run + "--updates 3 --ranks mpi --server-shards 2",
             "--server-shards 2: expected 1 or fewer, one for each 4096 of the 50 parameters"},
        Case{2, "report --colour log.jsonl", "--colour"}}) {
    const Finished refused = on_ranks(one.ranks, one.arguments);
    EXPECT_EQ(refused.exit_code, 2) << refused.err;
    EXPECT_EQ(count(refused.err, "tardigrad: "), 1) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(one.message));
  }
  const Finished unread = on_ranks_of_which_the_last(
      "cd elsewhere",
      "train --model quadratic:problem.json --method asgd --lr 0.1 --updates 3 --ranks mpi --device cpu");
  EXPECT_EQ(unread.exit_code, 2) << unread.err;
  EXPECT_EQ(count(unread.err, "tardigrad: "), 1) << unread.err;
  EXPECT_TRUE(
      std::regex_search(unread.err, std::regex("tardigrad: rank 2 on .*problem.json: cannot be read")))
      << unread.err;
}

}  // namespace
}  // namespace tardigrad
