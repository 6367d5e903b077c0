#include <gmock/gmock.h>

#include <cstring>
#include <string_view>
#include <vector>

#include "runtime/device/device.h"
#include "tests/support/program.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using testing::Finished;
using ::testing::HasSubstr;
using testing::read_file;

class ModelsCommand : public testing::ProgramTest {
 protected:
  Finished models(const std::string& arguments) const { return tardigrad("models " + arguments); }

  /// Some updates of a network with dropout, in virtual time, on `device`.
  Finished train(const std::string& device, const std::string& options) const {
    return tardigrad(
        "train --model Drops.toml --dataset mnist --data-dir . --method ringleader --lr 0.1 --workers 3 "
        "--batch-size 4 --clock virtual --compute-time exponential:1 --seed 3 --device " +
        device + " " + options);
  }

  void write_network() const {
    write("Drops.toml",
          "layers = [{conv = 3, kernel = 3, stride = 3}, {group_norm = 1}, \"gelu\", \"flatten\",\n"
          "  {residual = [{dropout = 0.5}, {linear = 243}]}, {dropout = 0.2}, {linear = \"classes\"}]\n");
  }
};

TEST_F(ModelsCommand, ListsWhatIsBuiltIn) {
  const Finished run = models("");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("cnn              620362           63.3\n"),
                             HasSubstr("resnet18       11173962         3329.0\n")));
}

TEST_F(ModelsCommand, ShowsANetworkAsAFileOfItsOwn) {
  const Finished shown = models("resnet8 --images 1x28x28 --batch-size 64");
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(
      shown.out,
      AllOf(HasSubstr("# On images of 1x28x28, 10 classes:\n"),
            HasSubstr("# block2.shortcut.conv1 conv                32x14x14          512          0.602\n"),
            HasSubstr("# 77754 parameters, 0.3 MiB; "), HasSubstr("a minibatch of 64: ")));
  write("mine.toml", shown.out);
  const Finished again = models("mine.toml --images 1x28x28 --batch-size 64");
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("# 77754 parameters, 0.3 MiB; "));
}

TEST_F(ModelsCommand, RefusesInOneLine) {
  write("bad.toml", "layers = [\n  {conv = 8, kernel = 3},\n  {linear = 10},\n]\n");
  const auto refusal = [&](const std::string& arguments) {
    const Finished run = models(arguments);
    EXPECT_EQ(run.exit_code, 2) << run.err;
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
    return run.err;
  };
  EXPECT_THAT(refusal("resnet81"), HasSubstr("did you mean resnet8?"));
  EXPECT_THAT(refusal("none.toml"), HasSubstr("--model none.toml: "));
  EXPECT_THAT(refusal("bad.toml"),
              HasSubstr("bad.toml:3: linear: images of 8x30x30 come in, expected features"));
  EXPECT_THAT(refusal("cnn:3.toml"), HasSubstr("--model cnn:3.toml: "));
  EXPECT_THAT(refusal("cnn --images 3x32"), HasSubstr("--images 3x32: expected CHANNELSxHEIGHTxWIDTH"));
  EXPECT_THAT(refusal("cnn --images 1x4x4"), HasSubstr("1x4x4; expected 8x8 pixels"));
  EXPECT_THAT(refusal("cnn --classes 1"), HasSubstr("1 classes; expected 2 or more"));
  EXPECT_THAT(refusal("cnn --batch-size 0"), HasSubstr("--batch-size 0: expected 1 or more"));
}

/// The numbers of a safetensors file, which are behind its header.
std::vector<float> numbers_of(const std::string& file) {
  std::uint64_t header = 0;
  std::memcpy(&header, file.data(), sizeof(header));
  const std::string_view numbers = std::string_view(file).substr(sizeof(header) + header);
  std::vector<float> values(numbers.size() / sizeof(float));
  std::memcpy(values.data(), numbers.data(), values.size() * sizeof(float));
  return values;
}

TEST_F(ModelsCommand, AGpuTrainsWhatACpuDoesAndKeepsItsBits) {
  if (cuda_device_count() == 0) GTEST_SKIP() << "no GPU: " << why_no_cuda();
  write_images(40, 10);
  write_network();
  const Finished one = train("cuda:0", "--deterministic --updates 15 --save one.safetensors");
  ASSERT_EQ(one.exit_code, 0) << one.err;
  const Finished two = train("cuda:0", "--deterministic --updates 6 --checkpoint-dir kept");
  ASSERT_EQ(two.exit_code, 0) << two.err;
  const Finished resumed = tardigrad("train --resume kept --updates 15 --save resumed.safetensors");
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  const std::string model = read_file(path("one.safetensors"));
  EXPECT_TRUE(read_file(path("resumed.safetensors")) == model);

  const Finished on_cpu = train("cpu:1", "--updates 15 --save cpu.safetensors");
  ASSERT_EQ(on_cpu.exit_code, 0) << on_cpu.err;
  // What rounding makes of fifteen updates; with another mask it would be a hundred times as much.
  EXPECT_THAT(numbers_of(model), ::testing::Pointwise(::testing::FloatNear(1e-4F),
                                                      numbers_of(read_file(path("cpu.safetensors")))));
}

TEST_F(ModelsCommand, ListsAlsoWhatDoesNotFit) {
  const Finished run = models("--images 1x4x4");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("cnn        model cnn: images of 1x4x4; expected 8x8"), HasSubstr("resnet8 ")));
}

TEST_F(ModelsCommand, ARunGoesOnWithTheSameLayersOnly) {
  write_images(40, 10);
  write_network();
  const Finished run = train("cpu:1", "--updates 5 --checkpoint-dir kept --record run.jsonl");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  std::string text = read_file(path("Drops.toml"));
  write("moved.toml", "# as it was\n" + text);
  text.replace(text.find("gelu"), 4, "relu");
  write("Drops.toml", text);
  const auto refusal = [&](const std::string& arguments) {
    const Finished refused = tardigrad("train " + arguments);
    EXPECT_EQ(refused.exit_code, 2) << refused.err;
    return refused.err;
  };
  EXPECT_THAT(refusal("--resume kept --updates 9"),
              HasSubstr(": Drops.toml has other layers than the network of that run, expected the same"));
  EXPECT_THAT(refusal("--replay run.jsonl"), HasSubstr("--replay run.jsonl: Drops.toml has other layers"));
  for (const std::string again : {"--resume kept --updates 9", "--replay run.jsonl"}) {
    const Finished moved = tardigrad("train --model moved.toml " + again);
    EXPECT_EQ(moved.exit_code, 0) << moved.err;
  }
}

TEST_F(ModelsCommand, MasksAreThoseOfTheRecordingInAReplay) {
  write_images(40, 10);
  write_network();
  const Finished run = tardigrad(
      "train --model Drops.toml --dataset mnist --data-dir . --method fedbuff --gather 2 --local-steps 2 "
      "--local-lr "
      "0.05 --lr 0.1 --workers 3 --batch-size 4 --device cpu:2 --updates 20 --record run.jsonl --save "
      "run.safetensors");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Finished replay = tardigrad("train --replay run.jsonl --save again.safetensors");
  ASSERT_EQ(replay.exit_code, 0) << replay.err;
  EXPECT_TRUE(read_file(path("again.safetensors")) == read_file(path("run.safetensors")));
}

TEST_F(ModelsCommand, ANetworkOfOnesOwnIsTrainedAndKeepsItsBits) {
  write_images(40, 10);
  write_network();
  const Finished one = train("cpu:1", "--updates 15 --save one.safetensors");
  ASSERT_EQ(one.exit_code, 0) << one.err;
  const Finished two = train("cpu:2", "--updates 6 --checkpoint-dir kept");
  ASSERT_EQ(two.exit_code, 0) << two.err;
  const std::string model = read_file(path("one.safetensors"));
  EXPECT_THAT(model, HasSubstr("block1.branch.fc1.weight"));
  const Finished resumed = tardigrad("train --resume kept --updates 15 --save resumed.safetensors");
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_TRUE(read_file(path("resumed.safetensors")) == model);
}

}  // namespace
}  // namespace tardigrad
