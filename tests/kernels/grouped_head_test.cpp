#include "kernels/grouped_head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "kernels/softmax_cross_entropy.h"
#include "tests/kernels/backend.h"
#include "tests/kernels/grouped_layers.h"
#include "tests/kernels/pool_cases.h"

namespace tardigrad {
namespace {

using namespace ::tardigrad::testing;

/// What a head gives, and what goes in.
struct Head {
  Head(Backend backend, const LinearCase& head)
      : of(head),
        backend_(backend),
        input(backend, random_numbers<float>(of.input_size(), 1)),
        labels(backend, some_labels(head)),
        input_gradient(backend, std::vector<float>(of.input_size(), poison)),
        losses(backend, std::vector<float>(of.jobs, poison)),
        vectors(backend, head, random_numbers<float>) {}

  static std::vector<std::int32_t> some_labels(const LinearCase& of) {
    std::vector<std::int32_t> labels;
    for (std::size_t n = 0; n < of.jobs * of.batch; ++n) {
      labels.push_back(static_cast<std::int32_t>(n * 7 % of.outputs));
    }
    return labels;
  }

  /// A part of it, or all.
  template <typename Operation>
  Operation make() const {
    auto operation = vectors.make<Operation>();
    operation.input = input.data();
    return operation;
  }

  void run(bool wants_input) const {
    auto head = make<GroupedHead>();
    head.relu_before = true;
    head.labels = labels.data();
    head.losses = losses.data();
    if (wants_input) head.input_gradient = input_gradient.data();
    execute(backend_, head);
  }

  void run_in_parts(bool wants_input) const {
    const Guarded<float> logits(backend_, std::vector<float>(of.output_size(), poison));
    auto forward = make<GroupedLinear>();
    forward.output = logits.data();
    execute(backend_, forward);
    execute(backend_, SoftmaxCrossEntropy<float>{of.batch, of.outputs, logits.data(), labels.data(),
                                                 logits.data(), losses.data(), nullptr, nullptr, of.jobs});
    auto backward = make<GroupedLinearBackward>();
    backward.relu_before = true;
    backward.output_gradient = logits.data();
    if (wants_input) backward.input_gradient = input_gradient.data();
    execute(backend_, backward);
  }

  LinearCase of;
  Backend backend_;
  Guarded<float> input;
  Guarded<std::int32_t> labels;
  Guarded<float> input_gradient;
  Guarded<float> losses;
  VectorsOfJobs vectors;
};

class GroupedHeadContract : public OnBackend {};

TEST_P(GroupedHeadContract, GivesTheBitsOfItsPartsOneAfterAnother) {
  for (const LinearCase& of : {LinearCase{1, 1, 1, 1}, LinearCase{16, 4, 128, 10}, LinearCase{3, 8, 33, 64},
                               LinearCase{2, 5, 784, 10}, LinearCase{4, 3, 36, 7, 3}}) {
    for (const bool wants_input : {true, false}) {
      SCOPED_TRACE(::testing::Message() << of);
      const Head whole(GetParam(), of);
      const Head parts(GetParam(), of);
      whole.run(wants_input);
      parts.run_in_parts(wants_input);
      EXPECT_TRUE(same_bits(whole.losses.values(), parts.losses.values()));
      EXPECT_TRUE(same_bits(whole.input_gradient.values(), parts.input_gradient.values()));
      for (std::size_t k = 0; k < of.jobs; ++k) {
        EXPECT_TRUE(same_bits(whole.vectors.gradients[k]->values(), parts.vectors.gradients[k]->values()))
            << "job " << k;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, GroupedHeadContract, every_backend, ::testing::PrintToStringParamName());

TEST(GroupedHead, RefusesWrongArguments) {
  float value = 0;
  std::int32_t label = 0;
  GroupedHead head;
  head.jobs = head.batch = head.inputs = head.outputs = 1;
  head.parameters[0] = &value;
  head.gradients[0] = &value;
  head.input = head.losses = &value;
  head.labels = &label;
  GroupedHead wrong = head;
  wrong.outputs = 65;
  expect_refused(wrong, "too many outputs");
  wrong = head;
  wrong.labels = nullptr;
  expect_refused(wrong, "a pointer is null");
  wrong = head;
  wrong.gradients[0] = nullptr;
  expect_refused(wrong, "gradients of a job are null");
  wrong = head;
  wrong.batch = 9;
  expect_refused(wrong, "too large a batch");
}

TEST(GroupedHead, TakesSmallLayers) {
  EXPECT_TRUE(GroupedHead::takes(128, 10));
  EXPECT_TRUE(GroupedHead::takes(784, 10));
  EXPECT_FALSE(GroupedHead::takes(128, 65));
  EXPECT_FALSE(GroupedHead::takes(1024, 10));
}

TEST(GroupedHead, DoesNothingForAnEmptyGroup) {
  EXPECT_NO_THROW(GroupedHead().run());
#if TARDIGRAD_CUDA
  EXPECT_NO_THROW(GroupedHead().launch(nullptr));
#endif
}

TEST(GroupedHead, CountsBytesAndFlops) {
  GroupedHead head;
  head.jobs = 3;
  head.batch = 4;
  head.inputs = 10;
  head.outputs = 5;
  // Parameters read, gradients written, the input read; labels and losses.
  EXPECT_EQ(head.bytes(), 3 * 4 * (55 + 55 + 4 * 10 + 4 + 1));
  EXPECT_EQ(head.flops(), 3 * 4 * (2 * 50 + 6 * 5 + 2 * 50));
  float value = 0;
  head.input_gradient = &value;
  EXPECT_EQ(head.bytes(), 3 * 4 * (55 + 55 + 50 + 4 * 20 + 4 + 1));
}

}  // namespace
}  // namespace tardigrad
