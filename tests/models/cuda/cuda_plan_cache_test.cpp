#include <gmock/gmock.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "models/cuda/plan_cache.h"
#include "models/cuda/plans.h"
#include "models/networks/built_in_networks.h"
#include "tests/models/cuda/cuda_gpu.h"
#include "tests/support/temporary_folder.h"

namespace tardigrad::models::cuda {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CudaPlanCache : public models::testing::OnGpu<::testing::Test> {
 protected:
  /// A plan of the network below.
  Plan plan(Precision precision) {
    const Stream stream(gpu, "test");
    Network network(stream, architecture_, batch, {.precision = precision});
    Plan plan;
    models::testing::run_on(stream, [&](CudaStream native) {
      plan = network.choose(native, {.deterministic = true, .workspace_limit = std::size_t{1} << 20});
    });
    return plan;
  }

  /// The plan with one engine, which no cuDNN has.
  Plan plan_with_an_engine() {
    Plan with = plan(Precision::fp32);
    with.convolutions.back().backward_weight.engine = engine;
    return with;
  }

  /// The way of the network that is made with those options.
  WayToCompute way(const NetworkOptions& options) {
    const Stream stream(gpu, "test");
    return make_network(stream, architecture_, batch, options)->blueprint().way;
  }

  std::filesystem::path file() const { return cache_.file_of(key_); }

  std::string content() const {
    std::ostringstream text;
    text << std::ifstream(file(), std::ios::binary).rdbuf();
    return text.str();
  }

  void write(const std::string& text) const { std::ofstream(file(), std::ios::binary) << text; }

  /// What the cache says while it finds nothing.
  std::string refused(const std::string& key) const {
    ::testing::internal::CaptureStderr();
    EXPECT_FALSE(cache_.load(key));
    return ::testing::internal::GetCapturedStderr();
  }

  static constexpr int batch = 3;
  const ConvolutionEngine engine{.index = 9999, .knobs = {{2, 7}, {13, -1}}, .workspace_bytes = 1234567};
  Architecture architecture_ = make_architecture("cnn", {3, 8, 8}, 10);
  TemporaryFolder folder_;
  PlanCache cache_{folder_.path() / "plans"};
  const std::string key_ = R"({"gpu":"this one"})";
};

TEST_F(CudaPlanCache, KeepsAPlan) {
  EXPECT_THAT(refused(key_), IsEmpty()) << "there is none yet";
  const Plan kept = plan(Precision::tf32);
  cache_.store(key_, kept);
  const auto loaded = cache_.load(key_);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(plan_to_json(*loaded), plan_to_json(kept));
  EXPECT_EQ(loaded->way.precision, Precision::tf32);
  EXPECT_FALSE(loaded->linears.empty());
  EXPECT_FALSE(loaded->convolutions.empty());
}

TEST_F(CudaPlanCache, ReplacesAPlan) {
  cache_.store(key_, plan(Precision::tf32));
  cache_.store(key_, plan(Precision::fp32));
  EXPECT_EQ(cache_.load(key_)->way.precision, Precision::fp32);
  const std::filesystem::directory_iterator files(file().parent_path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST_F(CudaPlanCache, IgnoresDamageInALine) {
  cache_.store(key_, plan(Precision::fp32));
  const std::string whole = content();
  for (std::size_t i = 0; i < whole.size(); i += 7) {
    SCOPED_TRACE(i);
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    write(damaged);
    EXPECT_THAT(refused(key_), HasSubstr(file().string() + ": "));
    write(whole.substr(0, i));
    EXPECT_THAT(refused(key_), HasSubstr("damaged"));
  }
  for (const std::string text : {"[]", "{}", "null", R"({"key":1,"plan":2,"xxh3":3})"}) {
    write(text);
    EXPECT_THAT(refused(key_), HasSubstr("damaged")) << text;
  }
  write(std::string(100'000, '['));
  EXPECT_THAT(refused(key_), HasSubstr("damaged"));
  write(whole);
  EXPECT_TRUE(cache_.load(key_));
}

TEST_F(CudaPlanCache, IgnoresWhatIsForAnotherGpu) {
  cache_.store(key_, plan(Precision::fp32));
  const std::string other = R"({"gpu":"another"})";
  std::filesystem::copy_file(file(), cache_.file_of(other));
  EXPECT_THAT(refused(other), HasSubstr("for another GPU"));
}

TEST_F(CudaPlanCache, GoesOnWhereNothingCanBeKept) {
  std::ofstream(folder_.path() / "plans") << "a file where the folder should be";
  ::testing::internal::CaptureStderr();
  cache_.store(key_, {});
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("cannot be kept"));
  EXPECT_THAT(refused(key_), IsEmpty());
  const PlanCache none{{}};
  none.store(key_, {});
  EXPECT_FALSE(none.load(key_));
}

TEST_F(CudaPlanCache, GivesReadersAWholePlanWhileOthersStore) {
  const Plan plans[] = {plan(Precision::fp32), plan(Precision::tf32)};
  cache_.store(key_, plans[0]);
  {
    std::vector<std::jthread> writers;
    for (const Plan& one : plans) {
      writers.emplace_back([&] {
        for (int i = 0; i < 50; ++i) cache_.store(key_, one);
      });
    }
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(cache_.load(key_));
  }
  EXPECT_TRUE(cache_.load(key_));
}

TEST_F(CudaPlanCache, RefusesTextsThatAreNoPlan) {
  const std::string good = plan_to_json(plan(Precision::fp32));
  EXPECT_EQ(plan_to_json(plan_from_json(good)), good);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = good;
    changed.replace(changed.find(from), from.size(), to);
    return changed;
  };
  for (const std::string& text :
       {std::string("null"), std::string("[1]"), with("\"fp32\"", "\"fp8\""),
        with("channel-major", "channel-minor"), with("in turn", "in time"), with("apart", "a part"),
        with("\"math\":", "\"math\":9"), with("\"algorithm\":", "\"algorithm\":-1"), with("forward", "four"),
        with("\"linears\":[", "\"linears\":[[],")}) {
    EXPECT_THROW(plan_from_json(text), std::invalid_argument) << text;
  }
  EXPECT_THROW(plan_from_json(with("apart", "fused")), std::invalid_argument) << "but apart how?";
}

TEST_F(CudaPlanCache, KeepsEngines) {
  const Plan with = plan_with_an_engine();
  const Plan loaded = plan_from_json(plan_to_json(with));
  EXPECT_TRUE(loaded.has_engines());
  EXPECT_EQ(loaded.convolutions.back().backward_weight.engine, engine);
  EXPECT_FALSE(loaded.convolutions.back().forward.engine);
  EXPECT_EQ(loaded.workspace_bytes(), engine.workspace_bytes);
  EXPECT_EQ(loaded.weight_workspace_bytes(), engine.workspace_bytes);
  EXPECT_FALSE(with.legacy().has_engines());
  EXPECT_EQ(plan_to_json(with.legacy()), plan_to_json(plan(Precision::fp32)));

  Plan first = with;
  first.convolutions.front().forward.engine = engine;
  EXPECT_EQ(plan_to_json(plan_from_json(plan_to_json(first.fused())).unfused()), plan_to_json(first));
  EXPECT_EQ(plan_to_json(first.fused().legacy().unfused()), plan_to_json(with.legacy()));
}

TEST_F(CudaPlanCache, RefusesTextsThatAreNoEngine) {
  const std::string good = plan_to_json(plan_with_an_engine());
  const std::string text = R"({"index":9999,"knobs":[2,7,13,-1],"workspace_bytes":1234567})";
  for (const std::string other :
       {R"({"index":9999,"knobs":[2,7,13],"workspace_bytes":1234567})",
        R"({"index":9999,"knobs":[2,7,13,0.5],"workspace_bytes":1234567})",
        R"({"index":9999,"knobs":[-2,7],"workspace_bytes":1234567})",
        R"({"index":9999,"knobs":[4294967298,7],"workspace_bytes":1234567})",
        R"({"index":9999,"knobs":7,"workspace_bytes":1234567})",
        R"({"index":9999,"knobs":[],"workspace_bytes":-1})", R"({"index":9999,"knobs":[]})",
        R"({"knobs":[],"workspace_bytes":1234567})", "7", "null"}) {
    std::string changed = good;
    changed.replace(changed.find(text), text.size(), other);
    EXPECT_THROW(plan_from_json(changed), std::invalid_argument) << changed;
  }
}

TEST_F(CudaPlanCache, KeepsHowFusedLayersAreComputedApart) {
  Plan apart = plan(Precision::fp32);
  for (std::size_t l = 0; l < apart.convolutions.size(); ++l) {
    apart.convolutions[l].forward.algorithm_workspace_bytes = l;
  }
  const Plan fused = plan_from_json(plan_to_json(apart.fused()));
  EXPECT_EQ(fused.way.first_layers, FirstLayers::fused);
  EXPECT_EQ(fused.convolutions.size() + 1, apart.convolutions.size());
  EXPECT_EQ(plan_to_json(fused), plan_to_json(apart.fused()));
  EXPECT_EQ(plan_to_json(fused.fused()), plan_to_json(fused));
  EXPECT_EQ(plan_to_json(fused.unfused()), plan_to_json(apart));
  EXPECT_EQ(plan_to_json(apart.unfused()), plan_to_json(apart));
}

TEST_F(CudaPlanCache, MakesNetworksByThePlanThatIsKept) {
  // Of a deterministic run the choice is known: the precision that was asked for.
  NetworkOptions options{.precision = Precision::tf32, .deterministic = true};
  options.plan_folder = file().parent_path();
  const std::string key = plan_key(gpu, architecture_, batch, options);
  cache_.store(key, plan(Precision::fp32));
  EXPECT_EQ(way(options).precision, Precision::fp32);

  options.choose_anew = true;
  EXPECT_EQ(way(options).precision, Precision::tf32);
  EXPECT_EQ(cache_.load(key)->way.precision, Precision::tf32) << "and keeps it";
}

TEST_F(CudaPlanCache, MakesNetworksOnOneStreamThatAreToUseNoMore) {
  NetworkOptions options;
  options.plan_folder = file().parent_path();
  Plan beside = plan(Precision::fp32);
  beside.way.parameter_gradients = ParameterGradients::beside;
  cache_.store(plan_key(gpu, architecture_, batch, options), beside);
  EXPECT_EQ(way(options), beside.way);
  options.one_stream = true;
  EXPECT_EQ(way(options), WayToCompute());
}

TEST_F(CudaPlanCache, MakesNetworksWithFusedFirstLayersUnlessTheyAreToBeUnfused) {
  NetworkOptions options;
  options.plan_folder = file().parent_path();
  const Plan fused = plan(Precision::fp32).fused();
  cache_.store(plan_key(gpu, architecture_, batch, options), fused);
  EXPECT_EQ(way(options).first_layers, FirstLayers::fused);
  options.unfused = true;
  EXPECT_EQ(way(options).first_layers, FirstLayers::apart);
}

TEST_F(CudaPlanCache, DoesNotUseAPlanWithAnEngineThatCudnnDoesNotHave) {
  NetworkOptions options{.deterministic = true};
  options.plan_folder = file().parent_path();
  cache_.store(plan_key(gpu, architecture_, batch, options), plan_with_an_engine());
  ::testing::internal::CaptureStderr();
  const Stream stream(gpu, "test");
  EXPECT_NO_THROW(make_network(stream, architecture_, batch, options));
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("does not work here"));
}

// The engine is of the convolution that is fused, and so not missed before it is apart.
TEST_F(CudaPlanCache, MakesNetworksByTheLegacyInterfaceThatAreToUseNoMore) {
  NetworkOptions options;
  options.plan_folder = file().parent_path();
  Plan with = plan(Precision::fp32);
  with.convolutions.front().forward.engine = engine;
  cache_.store(plan_key(gpu, architecture_, batch, options), with.fused());
  const Stream stream(gpu, "test");
  EXPECT_NO_THROW(make_network(stream, architecture_, batch, options));
  options.unfused = true;
  EXPECT_THROW(make_network(stream, architecture_, batch, options), DeviceError);
  options.legacy = true;
  EXPECT_NO_THROW(make_network(stream, architecture_, batch, options));
}

TEST_F(CudaPlanCache, DoesNotUseAPlanOfAnotherNetwork) {
  const Architecture architecture = make_architecture("mlp:16", {1, 8, 8}, 10);
  NetworkOptions options{.deterministic = true};
  Plan others[3];  // the first one has too few layers
  others[1].way.format = ActivationFormat::channels_last_padded;
  others[2].way.first_layers = FirstLayers::fused;
  others[2].first_convolution.emplace();
  for (int i = 0; i < 3; ++i) {
    // A folder of its own: what is chosen once in a process is not looked up again.
    options.plan_folder = folder_.path() / std::to_string(i);
    PlanCache(options.plan_folder).store(plan_key(gpu, architecture, batch, options), others[i]);
    ::testing::internal::CaptureStderr();
    const Stream stream(gpu, "test");
    EXPECT_NO_THROW(make_network(stream, architecture, batch, options));
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("does not work here"));
  }
}

TEST_F(CudaPlanCache, TellsApartWhatPlansDependOn) {
  const NetworkOptions options;
  const std::string key = plan_key(gpu, architecture_, batch, options);
  EXPECT_EQ(plan_key(gpu, architecture_, batch, options), key);
  EXPECT_NE(plan_key(gpu, architecture_, batch + 1, options), key);
  EXPECT_NE(plan_key(gpu, make_architecture("cnn", {3, 10, 8}, 10), batch, options), key);
  EXPECT_NE(plan_key(gpu, make_architecture("cnn", {3, 8, 8}, 11), batch, options), key);
  EXPECT_NE(plan_key(gpu, architecture_, batch, {.precision = Precision::bf16}), key);
  EXPECT_NE(plan_key(gpu, architecture_, batch, {.deterministic = true}), key);
  EXPECT_NE(plan_key(gpu, architecture_, batch, {.graphs = false}), key);
  EXPECT_NE(plan_key(gpu, architecture_, batch, {.workspace_limit = 1000}), key);
}

}  // namespace
}  // namespace tardigrad::models::cuda
