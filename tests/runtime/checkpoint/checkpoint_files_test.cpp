// Checkpoints as files: what is written, and what is refused.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>

#include "runtime/base/json_text.h"
#include "runtime/checkpoint/checkpoint_folder.h"
#include "runtime/checkpoint/durable_file.h"
#include "runtime/checkpoint/file_snapshot.h"
#include "tests/support/temporary_file.h"
#include "tests/support/temporary_folder.h"

namespace tardigrad {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr std::size_t vector_length = 6;

std::vector<float> counting_from(float first) {
  std::vector<float> values(vector_length);
  std::iota(values.begin(), values.end(), first);
  return values;
}

ParameterLayout layout() {
  ParameterLayout layout;
  layout.add("weight", {2, 2});
  layout.add("bias", {2});
  return layout;
}

void write(const fs::path& file, const std::string& text) { std::ofstream(file, std::ios::binary) << text; }

class CheckpointFiles : public ::testing::Test {
 protected:
  /// A checkpoint with a model, a vector, and a table of three rows in bf16.
  fs::path make(const std::string& name = CheckpointFolder::name(3, 4)) { return make(name, pool_); }

  fs::path make(const std::string& name, StagingPool& pool) {
    const fs::path unnamed = folder_.path() / ("." + name + ".partial");
    const fs::path named = folder_.path() / name;
    FileSnapshot snapshot(unnamed, layout_, pool, [&] {
      complete_checkpoint(unnamed, named, {{"run", {{"method", "dude"}}}});
    });
    const auto mean = snapshot.add("mean");
    const auto table = snapshot.add("table.main", ElementType::bf16, 3);
    snapshot.start();
    const Stream stream = Stream::immediate({Backend::cpu, 0}, "test");
    std::vector<Bf16> row(vector_length);
    for (const std::size_t i : {std::size_t{2}, std::size_t{0}, std::size_t{1}}) {
      row.front() = narrow(static_cast<float>(i));
      snapshot.save(stream, host_view<const Bf16>(row.data(), row.size()),
                    snapshot.row(table, ElementType::bf16, i));
    }
    const std::vector<float> mean_values = counting_from(10);
    snapshot.save(stream, host_view(mean_values.data(), vector_length), mean);
    snapshot.save(counting_from(1), Snapshot::model());
    snapshot.seal();
    snapshot.wait();
    EXPECT_EQ(snapshot.failure(), std::nullopt);
    return named;
  }

  std::string refusal(const fs::path& checkpoint) const {
    try {
      static_cast<void>(Checkpoint::read(checkpoint));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "not refused";
  }

  static Bf16 narrow(float value) {
    return {static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16)};
  }

  TemporaryFolder folder_;
  ParameterLayout layout_ = layout();
  StagingPool pool_{{Backend::cpu, 0}, vector_length * sizeof(float)};
};

TEST_F(CheckpointFiles, GiveBackWhatWasSaved) {
  const Checkpoint checkpoint = Checkpoint::read(make());
  EXPECT_EQ(checkpoint.state()["run"]["method"], "dude");
  std::vector<float> values(vector_length);
  checkpoint.read_model(layout_, values);
  EXPECT_EQ(values, counting_from(1));
  VectorFile vectors = checkpoint.vectors(vector_length);
  vectors.read("mean", 0, values);
  EXPECT_EQ(values, counting_from(10));
  std::vector<Bf16> row(vector_length);
  for (std::size_t i = 0; i < 3; ++i) {
    vectors.read("table.main", i, row);
    EXPECT_EQ(widen(row.front()), static_cast<float>(i));
  }
  EXPECT_THROW(vectors.read("table.main", 3, row), std::invalid_argument);
  EXPECT_THROW(vectors.read("table.main", 0, values), std::invalid_argument);
  EXPECT_THROW(vectors.read("table.next", 0, row), std::invalid_argument);
  EXPECT_THROW(checkpoint.vectors(vector_length + 1), std::invalid_argument);
}

TEST_F(CheckpointFiles, AreTheSameWhereVectorsGoInPieces) {
  StagingPool small({Backend::cpu, 0}, 10);
  const fs::path whole = make();
  const fs::path pieces = make(CheckpointFolder::name(5, 6), small);
  for (const char* name : {"model.safetensors", "state.safetensors"}) {
    EXPECT_TRUE(testing::read_file(pieces / name) == testing::read_file(whole / name)) << name;
  }
}

TEST_F(CheckpointFiles, TakeAndGiveBackPartsOfVectors) {
  const fs::path unnamed = folder_.path() / ".parts.partial";
  const fs::path named = folder_.path() / CheckpointFolder::name(1, 1);
  FileSnapshot snapshot(unnamed, layout_, pool_, [&] { complete_checkpoint(unnamed, named, {{"run", {}}}); });
  const std::vector<float> values = counting_from(10);
  const Stream stream = Stream::immediate({Backend::cpu, 0}, "test");
  const auto first = snapshot.add("rows", ElementType::f32, 2);
  const auto again = snapshot.add("rows", ElementType::f32, 2);
  snapshot.start();
  for (const std::size_t row : {std::size_t{1}, std::size_t{0}}) {
    const auto begin = Snapshot::element(snapshot.row(first, ElementType::f32, row), ElementType::f32, 0);
    const auto middle = snapshot.row(Snapshot::element(again, ElementType::f32, 4), ElementType::f32, row);
    snapshot.save(stream, host_view(values.data() + 4, vector_length - 4), middle);
    snapshot.save(stream, host_view(values.data(), 4), begin);
  }
  snapshot.save(values, Snapshot::model());
  snapshot.seal();
  snapshot.wait();
  ASSERT_EQ(snapshot.failure(), std::nullopt);
  VectorFile vectors = Checkpoint::read(named).vectors(vector_length);
  EXPECT_TRUE(vectors.has("rows", ElementType::f32, 2));
  std::vector<float> part(3);
  vectors.read("rows", 1, part, 2);
  EXPECT_EQ(part, std::vector<float>(values.begin() + 2, values.begin() + 5));
  EXPECT_THROW(vectors.read("rows", 1, part, vector_length - 2), std::invalid_argument);
}

TEST_F(CheckpointFiles, AreRefusedWhateverBitChanges) {
  const fs::path checkpoint = make();
  for (const char* name : {"model.safetensors", "state.safetensors", "state.json", "manifest.json"}) {
    const std::string good = testing::read_file(checkpoint / name);
    for (std::size_t i = 0; i < good.size(); i += 5) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 7)));
      write(checkpoint / name, bad);
      // Layout of the manifest alone says nothing.
      if (name == std::string("manifest.json") && refusal(checkpoint) == "not refused") {
        EXPECT_EQ(parse_json(bad), parse_own_json(good)) << i;
        continue;
      }
      EXPECT_THAT(refusal(checkpoint), HasSubstr(checkpoint.filename().string())) << name << " " << i;
    }
    write(checkpoint / name, good.substr(0, good.size() - 1));
    if (name != std::string("manifest.json")) {  // which ends with a line break
      EXPECT_THAT(refusal(checkpoint), AllOf(HasSubstr(name), HasSubstr("bytes; expected"))) << name;
    }
    fs::remove(checkpoint / name);
    EXPECT_THAT(refusal(checkpoint), AllOf(HasSubstr(name), HasSubstr("cannot be read"))) << name;
    write(checkpoint / name, good);
  }
  EXPECT_EQ(refusal(checkpoint), "not refused");
}

TEST_F(CheckpointFiles, AManifestCannotNameOtherFiles) {
  const fs::path checkpoint = make();
  auto manifest = parse_own_json(testing::read_file(checkpoint / "manifest.json"));
  manifest["files"]["../../secret"] = manifest["files"]["state.json"];
  write(checkpoint / "manifest.json", json_text(manifest));
  EXPECT_THAT(refusal(checkpoint), HasSubstr("expected 3 files"));
  manifest["files"].erase("state.json");
  write(checkpoint / "manifest.json", json_text(manifest));
  EXPECT_THAT(refusal(checkpoint), HasSubstr("expected bytes and xxh3 of state.json"));
  manifest["format"] = 2;
  write(checkpoint / "manifest.json", json_text(manifest));
  EXPECT_THAT(refusal(checkpoint), HasSubstr("is of format 2; expected 1"));
  EXPECT_THAT(refusal(folder_.path() / "nothing"), HasSubstr("expected the folder of a checkpoint"));
}

TEST_F(CheckpointFiles, LeadNowhereElse) {
  const fs::path checkpoint = make();
  for (const char* name : {"model.safetensors", "state.json", "manifest.json"}) {
    fs::rename(checkpoint / name, folder_.path() / name);
    fs::create_symlink(folder_.path() / name, checkpoint / name);
    EXPECT_THAT(refusal(checkpoint), AllOf(HasSubstr(name), HasSubstr("and no link to one")));
    fs::remove(checkpoint / name);
    ASSERT_EQ(mkfifo((checkpoint / name).c_str(), 0600), 0);
    EXPECT_THAT(refusal(checkpoint), AllOf(HasSubstr(name), HasSubstr("expected a regular file")));
    fs::rename(folder_.path() / name, checkpoint / name);
  }
  EXPECT_EQ(refusal(checkpoint), "not refused");
}

TEST_F(CheckpointFiles, TakeThePlaceOfOneOfTheSameName) {
  const fs::path first = make();
  write(first / "model.safetensors", "damaged");
  EXPECT_EQ(make(), first);
  EXPECT_EQ(refusal(first), "not refused");
  EXPECT_EQ(CheckpointFolder::list(folder_.path()).size(), 1U);
}

TEST_F(CheckpointFiles, ASnapshotThatFailsLeavesNothingAndTakesTheRest) {
  const fs::path unnamed = folder_.path() / "missing" / "partial";
  FileSnapshot snapshot(unnamed, layout_, pool_, [] {});
  const auto mean = snapshot.add("mean");
  snapshot.start();
  for (std::size_t i = 0; i < 3 * StagingPool::kept; ++i) snapshot.save(counting_from(1), mean);
  snapshot.seal();
  snapshot.wait();
  ASSERT_TRUE(snapshot.failure());
  EXPECT_FALSE(fs::exists(unnamed));
}

TEST_F(CheckpointFiles, AreListedOldestFirstAndPruned) {
  for (const auto& [updates, gradients] : {std::pair{9, 10}, {100, 110}, {20, 25}}) {
    make(CheckpointFolder::name(static_cast<std::uint64_t>(updates), static_cast<std::uint64_t>(gradients)));
  }
  fs::create_directory(folder_.path() / "update-7");
  fs::create_directory(folder_.path() / ".update-5-gradient-6.partial");
  fs::create_directory(folder_.path() / ".mine.partial");
  const CheckpointFolder folder(folder_.path());
  const auto names = [&] {
    std::vector<std::string> all;
    for (const fs::path& one : CheckpointFolder::list(folder_.path())) all.push_back(one.filename());
    return all;
  };
  EXPECT_THAT(names(),
              ElementsAre("update-9-gradient-10", "update-20-gradient-25", "update-100-gradient-110"));
  EXPECT_FALSE(fs::exists(folder_.path() / ".update-5-gradient-6.partial"))
      << "left by a run that was killed";
  EXPECT_TRUE(fs::exists(folder_.path() / ".mine.partial"));
  folder.prune(2);
  EXPECT_THAT(names(), ElementsAre("update-20-gradient-25", "update-100-gradient-110"));
  EXPECT_TRUE(CheckpointFolder::list(folder_.path() / "none").empty());
}

TEST_F(CheckpointFiles, AFolderServesOneRunAtATime) {
  const fs::path path = folder_.path() / "new" / "folder";
  {
    const CheckpointFolder first(path);
    EXPECT_THROW(CheckpointFolder second(path), std::invalid_argument);
  }
  const CheckpointFolder again(path);
  write(folder_.path() / "file", "");
  EXPECT_THROW(CheckpointFolder file(folder_.path() / "file"), std::invalid_argument);
}

TEST_F(CheckpointFiles, VectorFilesThatClaimTooMuchAreRefused) {
  const fs::path path = folder_.path() / "v.safetensors";
  const auto refused = [&](const SafetensorsContents::Json& entry) {
    write(path, safetensors_header({{"v", entry}}) + std::string(vector_length * sizeof(float), '\0'));
    try {
      static_cast<void>(VectorFile(path, vector_length));
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("not refused");
  };
  constexpr std::uint64_t bytes = vector_length * sizeof(float);
  EXPECT_EQ(refused(safetensors_entry("F32", {6}, 0, bytes)), "not refused");
  EXPECT_EQ(refused(safetensors_entry("BF16", {2, 6}, 0, bytes)), "not refused");
  EXPECT_THAT(refused(safetensors_entry("F64", {3}, 0, bytes)), HasSubstr("expected F32 or BF16"));
  EXPECT_THAT(refused(safetensors_entry("F32", {5}, 0, bytes)), HasSubstr("expected vectors of 6 elements"));
  EXPECT_THAT(refused(safetensors_entry("F32", {1, 1, 6}, 0, bytes)), HasSubstr("expected vectors"));
  EXPECT_THAT(refused(safetensors_entry("F32", {6}, 4, bytes)), HasSubstr("within the file"));
  EXPECT_THAT(refused(safetensors_entry("F32", {std::int64_t{1} << 62, 6}, 0, bytes)),
              HasSubstr("within the file"));
  EXPECT_THAT(refused(safetensors_entry("F32", {-1, 6}, 0, bytes)), HasSubstr("within the file"));
  EXPECT_THAT(refused({{"dtype", "F32"}}), HasSubstr("expected dtype, shape and data_offsets"));
}

}  // namespace
}  // namespace tardigrad
