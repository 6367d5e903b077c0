#include "kernels/repack_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <stdexcept>

#include "tests/kernels/backend.h"
#include "tests/kernels/bf16_reference.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

constexpr float untouched = -77;  // both float and bf16 have it

/// The tensors of a model, one behind the other with `gap` elements between them in both forms.
struct Model {
  RepackedTensors tensors;
  std::size_t flat_size = 0;
  std::size_t working_size = 0;
};

struct TensorShape {
  std::uint32_t outputs, inputs, padded_inputs, taps;
};

Model make_model(const std::vector<TensorShape>& shapes, std::size_t gap) {
  Model model;
  for (const TensorShape& shape : shapes) {
    RepackedTensor& tensor = model.tensors.tensors[model.tensors.count++];
    tensor = {model.flat_size, model.working_size,  shape.outputs,
              shape.inputs,    shape.padded_inputs, shape.taps};
    model.flat_size += tensor.flat_size() + gap;
    model.working_size += tensor.working_size() + gap;
  }
  return model;
}

/// A convolution with few channels, larger ones, biases, linear layers; with and without padding.
std::vector<Model> models() {
  const std::vector<TensorShape> cnn{{32, 3, 8, 9},      {32, 1, 1, 1},     {64, 32, 32, 9}, {64, 1, 1, 1},
                                     {100, 900, 900, 1}, {10, 100, 100, 1}, {10, 1, 1, 1}};
  const std::vector<TensorShape> odd{{3, 5, 7, 9}, {1, 1, 1, 1}, {7, 3, 4, 1},    {2, 259, 260, 9},
                                     {0, 3, 8, 9}, {1, 1, 9, 4}, {4097, 1, 1, 1}, {5, 301, 304, 2}};
  return {make_model(cnn, 0),
          make_model(cnn, 3),
          make_model(odd, 1),
          make_model({{300, 10, 16, 9}}, 0),
          make_model({{17, 3, 4, 25}, {6, 20, 20, 49}, {5, 7, 7, 10}}, 1),
          make_model({{0, 1, 1, 1}}, 0),
          Model{}};
}

std::vector<float> random_floats(std::size_t size) {
  std::mt19937 random(static_cast<unsigned>(size));
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  std::generate(values.begin(), values.end(), [&] { return normal(random); });
  return values;
}

/// visit(flat index, working index) for every element; the flat index is −1 for padding.
template <typename Visit>
void for_each_element(const Model& model, const Visit& visit) {
  for (std::size_t t = 0; t < model.tensors.count; ++t) {
    const RepackedTensor& tensor = model.tensors.tensors[t];
    std::size_t working = tensor.working_offset;
    for (std::size_t output = 0; output < tensor.outputs; ++output) {
      for (std::size_t tap = 0; tap < tensor.taps; ++tap) {
        for (std::size_t input = 0; input < tensor.padded_inputs; ++input, ++working) {
          const std::size_t flat = tensor.flat_offset + (output * tensor.inputs + input) * tensor.taps + tap;
          visit(input < tensor.inputs ? static_cast<std::ptrdiff_t>(flat) : -1, working);
        }
      }
    }
  }
}

class RepackTensorsContract : public OnBackend {
 protected:
  /// Calls check(Number, model, offset of both vectors from an aligned address).
  template <typename Check>
  static void for_each_case(const Check& check) {
    for (const Model& model : models()) {
      for (const std::size_t offset : {0, 1}) {
        SCOPED_TRACE(::testing::Message() << model.tensors.count << " tensors of " << model.flat_size
                                          << " elements, offset " << offset);
        check(float{}, model, offset);
        check(Bf16{}, model, offset);
      }
    }
  }
};

TEST_P(RepackTensorsContract, PacksParameters) {
  for_each_case([]<typename Number>(Number, const Model& model, std::size_t offset) {
    const std::vector<float> parameters = random_floats(model.flat_size);
    std::vector<Number> want(model.working_size, nearest<Number>(untouched));
    for_each_element(model, [&](std::ptrdiff_t from, std::size_t to) {
      const float value = from < 0 ? 0 : parameters[static_cast<std::size_t>(from)];
      want[to] = nearest<Number>(std::is_same_v<Number, Bf16> ? nearest_bf16(value) : value);
    });
    const Guarded<float> flat(GetParam(), parameters, offset);
    const Guarded<Number> working(GetParam(), std::vector<Number>(want.size(), nearest<Number>(untouched)),
                                  offset);
    execute(GetParam(), PackParameters<Number>{model.tensors, flat.data(), working.data()});
    EXPECT_TRUE(same_bits(working.values(), want));
    EXPECT_TRUE(same_bits(flat.values(), parameters));
  });
}

TEST_P(RepackTensorsContract, UnpacksGradients) {
  for_each_case([]<typename Number>(Number, const Model& model, std::size_t offset) {
    std::vector<Number> gradients;
    for (const float value : random_floats(model.working_size)) gradients.push_back(nearest<Number>(value));
    std::vector<float> want(model.flat_size, untouched);
    for_each_element(model, [&](std::ptrdiff_t to, std::size_t from) {
      if (to >= 0) want[static_cast<std::size_t>(to)] = widen(gradients[from]);
    });
    const Guarded<Number> working(GetParam(), gradients, offset);
    const Guarded<float> flat(GetParam(), std::vector<float>(want.size(), untouched), offset);
    execute(GetParam(), UnpackGradients<Number>{model.tensors, working.data(), flat.data()});
    EXPECT_TRUE(same_bits(flat.values(), want));
    EXPECT_TRUE(same_bits(working.values(), gradients));
  });
}

INSTANTIATE_TEST_SUITE_P(Backends, RepackTensorsContract, every_backend, ::testing::PrintToStringParamName());

TEST(RepackTensors, RefusesWrongArguments) {
  float value = 0;
  const auto tensors = [](TensorShape shape) { return make_model({shape}, 0).tensors; };
  const RepackedTensors one = tensors({1, 1, 1, 1});
  expect_refused(PackParameters<float>{one, nullptr, &value}, "pack_parameters: flat is null");
  expect_refused(PackParameters<float>{one, &value, nullptr}, "working is null");
  expect_refused(UnpackGradients<float>{one, nullptr, &value}, "unpack_gradients: working is null");
  expect_refused(PackParameters<float>{tensors({1, 1, 1, 50}), &value, &value}, "taps");
  expect_refused(PackParameters<float>{tensors({1, 1, 1, 0}), &value, &value}, "taps");
  expect_refused(PackParameters<float>{tensors({1, 2, 1, 1}), &value, &value}, "padded_inputs");
  expect_refused(PackParameters<float>{tensors({1, 0, 1, 1}), &value, &value}, "without inputs");
  expect_refused(PackParameters<float>{tensors({1U << 31, 2, 2, 1}), &value, &value}, "less than 2^32");
  RepackedTensors many;
  many.count = 17;
  expect_refused(PackParameters<float>{many, &value, &value}, "more than 16 tensors");
}

TEST(RepackTensors, CountsBytes) {
  const Model model = make_model({{32, 3, 8, 9}, {10, 100, 100, 1}}, 0);
  PackParameters<Bf16> pack;
  pack.tensors = model.tensors;
  EXPECT_EQ(pack.bytes(), (864 + 1000) * 4 + (2304 + 1000) * 2);
  UnpackGradients<Bf16> unpack;
  unpack.tensors = model.tensors;
  EXPECT_EQ(unpack.bytes(), (864 + 1000) * 6);
}

}  // namespace
}  // namespace tardigrad
