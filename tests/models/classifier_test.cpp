#include "models/classifier.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "models/layers/cross_entropy.h"
#include "models/networks/built_in_networks.h"
#include "tests/models/classifier_problem.h"
#include "tests/models/layer_checks.h"
#include "tests/models/test_networks.h"

namespace tardigrad::models {
namespace {

using testing::Problem;

struct Result {
  float loss = 0;
  AlignedVector<float> gradient;
  bool operator==(const Result&) const = default;
};

Result gradient_of(Classifier& classifier, const Problem& problem) {
  Result result{0, testing::nans<float>(problem.parameters.size())};
  result.loss = classifier.gradient(problem.parameters.data(), problem.images.data(), problem.labels.data(),
                                    result.gradient.data());
  return result;
}

Result on_a_new_thread(Classifier& classifier, const Problem& problem) {
  Result result;
  std::thread([&] { result = gradient_of(classifier, problem); }).join();
  return result;
}

const std::vector<testing::Case> onednn_cases{{"mlp", {1, 28, 28}, 4, CpuEngine::onednn},
                                              {"mlp", {3, 5, 7}, 19, CpuEngine::onednn},
                                              {"cnn", {1, 28, 28}, 5, CpuEngine::onednn},
                                              {"cnn", {3, 32, 32}, 8, CpuEngine::onednn},
                                              {"cnn", {2, 9, 8}, 1, CpuEngine::onednn},
                                              {"resnet8", {3, 12, 12}, 3, CpuEngine::onednn},
                                              {testing::image_layers, {3, 37, 35}, 5, CpuEngine::onednn},
                                              {testing::feature_layers, {1, 8, 8}, 6, CpuEngine::onednn}};

class Classifiers : public ::testing::TestWithParam<testing::Case> {
 protected:
  void SetUp() override {
    if (GetParam().engine == CpuEngine::onednn && !onednn_available()) GTEST_SKIP() << "built without oneDNN";
  }

  Architecture architecture_ = testing::make_network(GetParam().architecture, GetParam().shape);
  Problem problem_{architecture_, GetParam().batch};

  std::unique_ptr<Classifier> make() const {
    return make_classifier(architecture_, GetParam().batch, GetParam().engine);
  }
};

class OnednnClassifiers : public Classifiers {};

// A convolution's gradient sums 8 · 32 · 32 products of float32: rounding of 6e-8 · √8192 = 5e-6 at worst, in
// each of two engines.
constexpr double float_tolerance = 1e-5;

constexpr MaskKey masks{.seed = 1, .worker = 2, .job = 3};

TEST_P(OnednnClassifiers, AgreeWithThePlainEngine) {
  const auto plain_classifier = make_classifier(architecture_, GetParam().batch, CpuEngine::plain);
  plain_classifier->use_masks(masks);
  const Result plain = gradient_of(*plain_classifier, problem_);
  const auto classifier = make();
  classifier->use_masks(masks);
  const Result result = gradient_of(*classifier, problem_);
  EXPECT_NEAR(result.loss, plain.loss, 1e-6F * plain.loss);
  for (const TensorSpec& tensor : architecture_.layout().tensors()) {
    const auto part = [&](const Result& of) {
      return std::span(of.gradient).subspan(tensor.offset, tensor.elements());
    };
    EXPECT_LT(testing::relative_error(part(result), part(plain)), float_tolerance) << tensor.name;
  }
}

TEST_P(Classifiers, DropByTheirMasksWhereTheyTrain) {
  const auto& layers = architecture_.summaries();
  const bool drops =
      std::ranges::any_of(layers, [](const LayerSummary& layer) { return layer.kind == "dropout"; });
  const auto classifier = make();
  const Result without = gradient_of(*classifier, problem_);
  const auto logits = [&] {
    std::vector<float> values(static_cast<std::size_t>(10 * GetParam().batch));
    classifier->logits(problem_.parameters.data(), problem_.images.data(), GetParam().batch, values.data());
    return values;
  };
  const auto loss = [&] {
    return classifier->evaluate(problem_.parameters.data(), problem_.images.data(), problem_.labels.data(),
                                GetParam().batch, nullptr);
  };
  const std::pair evaluated{logits(), loss()};
  std::vector<Result> results;
  for (const MaskKey& key : {masks, MaskKey{1, 2, 4}}) {
    classifier->use_masks(key);
    results.push_back(gradient_of(*classifier, problem_));
    EXPECT_EQ(results.back() == without, !drops);
    EXPECT_EQ((std::pair{logits(), loss()}), evaluated);
  }
  EXPECT_EQ(results[0] == results[1], !drops);
  classifier->use_masks(std::nullopt);
  EXPECT_EQ(gradient_of(*classifier, problem_), without);
}

// What stands behind the examples is computed, too, and must have no part in the gradient.
TEST_P(Classifiers, GradientsOfAPartAreThoseOfASmallerBatch) {
  const int count = (GetParam().batch + 1) / 2;
  Result part{0, testing::nans<float>(problem_.parameters.size())};
  part.loss = make()->gradient_of(problem_.parameters.data(), problem_.images.data(), problem_.labels.data(),
                                  count, part.gradient.data());
  const Result small = gradient_of(*make_classifier(architecture_, count, GetParam().engine), problem_);
  EXPECT_NEAR(part.loss, small.loss, 1e-6F * small.loss);
  EXPECT_LT(testing::relative_error(part.gradient, small.gradient), float_tolerance);
}

TEST_P(Classifiers, GradientMatchesDifferencesOfTheLoss) {
  const auto classifier = make();
  const Result at = gradient_of(*classifier, problem_);
  // Along the gradient itself. In float32: a loss of 2.3 with 7 digits, and steps that change it by 0.0005.
  double squared_norm = 0;
  for (const double value : at.gradient) squared_norm += value * value;
  const double step = 0.0005 / squared_norm;
  const auto loss_at = [&](double distance) {
    Problem moved = problem_;
    for (std::size_t i = 0; i < at.gradient.size(); ++i) {
      moved.parameters[i] += static_cast<float>(distance * static_cast<double>(at.gradient[i]));
    }
    return static_cast<double>(gradient_of(*classifier, moved).loss);
  };
  EXPECT_NEAR((loss_at(step) - loss_at(-step)) / (2 * step) / squared_norm, 1, 0.01);
}

TEST_P(Classifiers, GiveTheSameBitsOnEveryThread) {
  const auto first = make();
  const Result expected = gradient_of(*first, problem_);
  EXPECT_EQ(gradient_of(*first, problem_), expected);
  EXPECT_EQ(on_a_new_thread(*first, problem_), expected);

  // Some made here, some on their thread; all at work at once.
  std::vector<std::unique_ptr<Classifier>> made_here;
  made_here.push_back(make());
  made_here.push_back(make());
  std::vector<Result> results(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < results.size(); ++t) {
    threads.emplace_back([&, t] {
      const auto own = t < 2 ? std::move(made_here[t]) : make();
      for (int repeat = 0; repeat < 3; ++repeat) results[t] = gradient_of(*own, problem_);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(results, ::testing::Each(expected));
}

TEST_P(Classifiers, LeaveTheWorkToTheCallingThread) {
  const auto threads = [] {  // those that were joined may still be there
    std::set<std::string> ids;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      ids.insert(task.path().filename());
    }
    return ids;
  };
  std::thread([] {}).join();  // ThreadSanitizer starts a thread of its own with the first one
  std::thread([&] {
    // A new thread: its OpenMP regions have as many threads as the machine, until it is told otherwise.
    auto before = threads();
    before.insert(std::to_string(gettid()));  // lists of what ends meanwhile have holes
    gradient_of(*make(), problem_);
    std::vector<std::string> started;
    std::ranges::set_difference(threads(), before, std::back_inserter(started));
    EXPECT_THAT(started, ::testing::IsEmpty());
  }).join();
}

TEST_P(Classifiers, EvaluatePartsOfABatch) {
  const auto classifier = make();
  const int batch = GetParam().batch;
  std::vector<float> logits(static_cast<std::size_t>(10 * batch));
  classifier->logits(problem_.parameters.data(), problem_.images.data(), batch, logits.data());
  for (const int count : {1, std::max(1, batch - 1), batch}) {
    std::vector<std::uint8_t> expected_hits(static_cast<std::size_t>(count), 9);
    std::vector<std::uint8_t> hits(expected_hits);
    const double expected = plain::cross_entropy<float>(count, 10, logits.data(), problem_.labels.data(),
                                                        nullptr, expected_hits.data());
    EXPECT_EQ(classifier->evaluate(problem_.parameters.data(), problem_.images.data(), problem_.labels.data(),
                                   count, hits.data()),
              expected);
    EXPECT_EQ(hits, expected_hits);
    std::vector<float> some(static_cast<std::size_t>(10 * count));
    classifier->logits(problem_.parameters.data(), problem_.images.data(), count, some.data());
    EXPECT_THAT(some, ::testing::ElementsAreArray(logits.data(), some.size()));
  }
}

TEST_P(Classifiers, NonFiniteInputsGiveANanLoss) {
  const auto classifier = make();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Problem bad_image = problem_;
  bad_image.images[17] = nan;
  EXPECT_TRUE(std::isnan(gradient_of(*classifier, bad_image).loss));
  if (const auto& layers = architecture_.summaries();
      std::ranges::none_of(layers, [](const LayerSummary& layer) { return layer.kind.ends_with("_norm"); })) {
    Problem overflow = problem_;
    for (float& value : overflow.parameters) value *= 1e30F;
    EXPECT_FALSE(std::isfinite(gradient_of(*classifier, overflow).loss));
  }
  Problem diverged = problem_;
  std::ranges::fill(diverged.parameters, nan);
  EXPECT_TRUE(std::isnan(gradient_of(*classifier, diverged).loss));
  EXPECT_TRUE(std::isnan(classifier->evaluate(diverged.parameters.data(), diverged.images.data(),
                                              diverged.labels.data(), GetParam().batch, nullptr)));
  EXPECT_EQ(gradient_of(*classifier, problem_), gradient_of(*make(), problem_)) << "a NaN stayed behind";
}

INSTANTIATE_TEST_SUITE_P(Onednn, OnednnClassifiers, ::testing::ValuesIn(onednn_cases));
INSTANTIATE_TEST_SUITE_P(Onednn, Classifiers, ::testing::ValuesIn(onednn_cases));
INSTANTIATE_TEST_SUITE_P(
    Plain, Classifiers,
    ::testing::Values(testing::Case{"mlp", {1, 28, 28}, 4, CpuEngine::plain},
                      testing::Case{"cnn", {1, 28, 28}, 2, CpuEngine::plain},
                      testing::Case{testing::image_layers, {3, 37, 35}, 3, CpuEngine::plain},
                      testing::Case{testing::feature_layers, {1, 8, 8}, 4, CpuEngine::plain}));

TEST(MakeClassifier, RefusesAnEmptyBatch) {
  const Architecture mlp = make_architecture("mlp", {1, 2, 2}, 2);
  EXPECT_THROW(make_classifier(mlp, 0), std::invalid_argument);
}

}  // namespace
}  // namespace tardigrad::models
