#include <cstdlib>
#include <fstream>
#include <optional>

#include "tests/data/temporary_folder.h"
#include "tests/models/classifier_problem.h"
#include "tests/models/test_networks.h"
#include "tests/support/source_path.h"

namespace tardigrad::models {
namespace {

/// A Python that has torch. Debian's package belongs to Debian's Python, which need not be first on the PATH.
std::optional<std::string> python_with_torch() {
  for (const std::string python : {"/usr/bin/python3", "python3"}) {
    const std::string look =
        " -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec(\"torch\"))'";
    if (std::system((python + look + " 2>/dev/null").c_str()) == 0) return python;
  }
  return std::nullopt;
}

class PyTorch : public ::testing::TestWithParam<testing::Case> {
 protected:
  static void SetUpTestSuite() { python_ = python_with_torch(); }

  void SetUp() override {
    if (!python_) GTEST_SKIP() << "no Python with torch (apt-get install python3-torch)";
    if (GetParam().engine == CpuEngine::onednn && !onednn_available()) GTEST_SKIP() << "built without oneDNN";
    write("parameters.f32", std::span<const float>(problem_.parameters));
    write("images.f32", std::span<const float>(problem_.images));
    write("labels.i32", std::span<const std::int32_t>(problem_.labels));
    std::ofstream(folder_.path() / "network.toml") << text();
    run_script();
  }

  /// That of the network's file.
  static std::string text() {
    const std::string& network = GetParam().architecture;
    return network.find('=') == std::string::npos ? built_in_network(network) : network;
  }

  /// Names and shapes, a line a tensor.
  std::string layout() const {
    std::string lines;
    for (const TensorSpec& tensor : architecture_.layout().tensors()) {
      lines += tensor.name;
      for (const std::int64_t extent : tensor.shape) lines += " " + std::to_string(extent);
      lines += '\n';
    }
    return lines;
  }

  std::vector<double> read(const std::string& name, std::size_t count) const {
    std::vector<double> values(count);
    std::ifstream file(folder_.path() / name, std::ios::binary);
    file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(count * sizeof(double)));
    EXPECT_TRUE(file && file.peek() == EOF) << name << " is not " << count << " numbers";
    return values;
  }

  void expect_agreement();

  Architecture architecture_ = testing::make_network(GetParam().architecture, GetParam().shape);
  testing::Problem problem_{architecture_, GetParam().batch};

 private:
  template <typename T>
  void write(const std::string& name, std::span<const T> values) const {
    folder_.write(name, {reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()});
  }

  void run_script() const {
    const auto& [network, shape, batch, engine] = GetParam();
    std::string command =
        *python_ + " " + tardigrad::testing::source_path("tests/models/pytorch_gradient.py");
    command += " " + folder_.path().string();
    for (const int number : {batch, shape.channels, shape.height, shape.width}) {
      command += " " + std::to_string(number);
    }
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }

  static inline std::optional<std::string> python_;
  data::TemporaryFolder folder_;
};

// PyTorch computes in float64, so this is our own rounding through all layers, forward and back: 1e-6 in
// each, somewhat more where the terms of a sum cancel, and a hundredfold below what a wrong formula or a
// wrong order would show.
constexpr double tolerance = 1e-4;

void PyTorch::expect_agreement() {
  const int batch = GetParam().batch;
  const auto classifier = make_classifier(architecture_, batch, GetParam().engine);
  auto logits = testing::nans<float>(static_cast<std::size_t>(10 * batch));
  auto gradient = testing::nans<float>(problem_.parameters.size());
  classifier->logits(problem_.parameters.data(), problem_.images.data(), batch, logits.data());
  const float loss = classifier->gradient(problem_.parameters.data(), problem_.images.data(),
                                          problem_.labels.data(), gradient.data());

  std::ifstream state(folder_.path() / "state.txt");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(state), {}), layout()) << "PyTorch's state dict";
  const double expected_loss = read("loss.f64", 1)[0];
  EXPECT_NEAR(loss, expected_loss, tolerance * expected_loss);
  EXPECT_LT(testing::relative_error(logits, read("logits.f64", logits.size())), tolerance);
  const auto expected_gradient = read("gradient.f64", gradient.size());
  for (const TensorSpec& tensor : architecture_.layout().tensors()) {
    const auto part = [&](const auto& of) { return std::span(of).subspan(tensor.offset, tensor.elements()); };
    EXPECT_LT(testing::relative_error(part(gradient), part(expected_gradient)), tolerance) << tensor.name;
  }
}

TEST_P(PyTorch, LossLogitsAndEveryGradientAgree) { expect_agreement(); }

/// PyTorch's derivative of a ReLU at 0 is 0.
class PyTorchAtZero : public PyTorch {
 protected:
  PyTorchAtZero() { problem_.blank_every_other_image(architecture_); }
};

TEST_P(PyTorchAtZero, LossLogitsAndEveryGradientAgree) { expect_agreement(); }

INSTANTIATE_TEST_SUITE_P(Networks, PyTorchAtZero,
                         ::testing::Values(testing::Case{"mlp", {1, 28, 28}, 8, CpuEngine::plain},
                                           testing::Case{"mlp", {1, 28, 28}, 8, CpuEngine::onednn},
                                           testing::Case{"cnn", {1, 28, 28}, 8, CpuEngine::onednn},
                                           testing::Case{"cnn", {3, 32, 32}, 2, CpuEngine::plain}));
INSTANTIATE_TEST_SUITE_P(
    Networks, PyTorch,
    ::testing::Values(testing::Case{"mlp", {1, 28, 28}, 8, CpuEngine::plain},
                      testing::Case{"mlp", {1, 28, 28}, 8, CpuEngine::onednn},
                      testing::Case{"cnn", {1, 28, 28}, 8, CpuEngine::onednn},
                      testing::Case{"cnn", {3, 32, 32}, 8, CpuEngine::onednn},
                      testing::Case{"cnn", {3, 32, 32}, 2, CpuEngine::plain},
                      testing::Case{"resnet18", {3, 16, 16}, 2, CpuEngine::onednn},
                      testing::Case{testing::image_layers, {3, 37, 35}, 5, CpuEngine::plain},
                      testing::Case{testing::image_layers, {3, 37, 35}, 5, CpuEngine::onednn},
                      testing::Case{testing::feature_layers, {1, 8, 8}, 6, CpuEngine::plain},
                      testing::Case{testing::feature_layers, {1, 8, 8}, 6, CpuEngine::onednn}));

}  // namespace
}  // namespace tardigrad::models
