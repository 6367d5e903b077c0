#include <initializer_list>
#include <list>
#include <span>

#include "tests/cuda_emulation/convolution_problem.h"

namespace tardigrad::emulation {
namespace {

/// A descriptor of the graph interface.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    EXPECT_EQ(cudnnBackendCreateDescriptor(type, &descriptor_), CUDNN_STATUS_SUCCESS);
  }
  ~Descriptor() { cudnnBackendDestroyDescriptor(descriptor_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  cudnnBackendDescriptor_t get() const { return descriptor_; }
  cudnnStatus_t finalize() { return cudnnBackendFinalize(descriptor_); }

  cudnnStatus_t try_set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                        std::int64_t count, const void* values) {
    return cudnnBackendSetAttribute(descriptor_, name, type, count, values);
  }
  template <typename Value>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, Value value) {
    EXPECT_EQ(try_set(name, type, 1, &value), CUDNN_STATUS_SUCCESS) << name;
  }
  void set(cudnnBackendAttributeName_t name, std::initializer_list<std::int64_t> values) {
    EXPECT_EQ(try_set(name, CUDNN_TYPE_INT64, std::ssize(values), values.begin()), CUDNN_STATUS_SUCCESS)
        << name;
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& other) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, other.get());
  }

  template <typename Value>
  Value value(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) const {
    Value value{};
    std::int64_t count = 0;
    EXPECT_EQ(cudnnBackendGetAttribute(descriptor_, name, type, 1, &count, &value), CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(count, 1);
    return value;
  }

 private:
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

class Graphs : public testing::TestWithParam<Case> {
 protected:
  static constexpr std::int64_t named = 11;

  enum Id : std::int64_t { x = 1, w = 2, y = 3 };

  void describe(Descriptor& tensor, Id id, std::initializer_list<std::int64_t> size) const {
    const std::span s(size.begin(), size.size());
    tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, {id});
    tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, GetParam().type);
    tensor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {16});
    tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, size);
    if (GetParam().format == CUDNN_TENSOR_NCHW) {
      tensor.set(CUDNN_ATTR_TENSOR_STRIDES, {s[1] * s[2] * s[3], s[2] * s[3], s[3], 1});
    } else {
      tensor.set(CUDNN_ATTR_TENSOR_STRIDES, {s[1] * s[2] * s[3], 1, s[1] * s[3], s[1]});
    }
    EXPECT_EQ(tensor.finalize(), CUDNN_STATUS_SUCCESS);
  }

  /// The way forward of the case, in a graph.
  void describe(Descriptor& graph, cudnnHandle_t handle) const {
    const Case& c = GetParam();
    Descriptor its_x(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    Descriptor its_w(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    Descriptor its_y(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    describe(its_x, x, {c.n, c.c, c.h, c.w});
    describe(its_w, w, {c.k, c.c_each(), c.r, c.s});
    describe(its_y, y, {c.n, c.k, c.out_h(), c.out_w()});
    Descriptor how(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    how.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    how.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, c.mode);
    how.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, {2});
    how.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, {c.dilation_h, c.dilation_w});
    how.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {c.stride_h, c.stride_w});
    how.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {c.pad_h, c.pad_w});
    how.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, {c.pad_h, c.pad_w});
    EXPECT_EQ(how.finalize(), CUDNN_STATUS_SUCCESS);
    Descriptor operation(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    operation.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, how);
    operation.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, its_x);
    operation.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, its_w);
    operation.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, its_y);
    operation.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 2.0F);
    operation.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, -0.5F);
    EXPECT_EQ(operation.finalize(), CUDNN_STATUS_SUCCESS);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
    EXPECT_EQ(graph.finalize(), CUDNN_STATUS_SUCCESS);
  }

  /// What the heuristics name at the place `i`.
  static void name_configuration(const Descriptor& graph, std::size_t i, Descriptor& configuration) {
    Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A);
    EXPECT_EQ(heuristics.finalize(), CUDNN_STATUS_SUCCESS);
    const auto name = [&](std::int64_t most, std::int64_t& count, void* places) {
      EXPECT_EQ(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                         CUDNN_TYPE_BACKEND_DESCRIPTOR, most, &count, places),
                CUDNN_STATUS_SUCCESS);
    };
    std::int64_t all = 0;
    name(0, all, nullptr);
    EXPECT_EQ(all, named);
    std::list<Descriptor> others;
    std::vector<cudnnBackendDescriptor_t> places;
    for (std::size_t place = 0; place < i; ++place) {
      places.push_back(others.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).get());
    }
    places.push_back(configuration.get());
    std::int64_t count = 0;
    name(std::ssize(places), count, places.data());
    EXPECT_EQ(count, std::ssize(places)) << "as many as were wanted";
  }
};

TEST_P(Graphs, ComputeTheirConvolutionByEveryEngineThatIsNamed) {
  int computed = 0;
  for (std::size_t i = 0; i < named; ++i) {
    Problem p(GetParam());
    Descriptor configuration(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    {
      Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);  // what it is needed for keeps it
      describe(graph, p.d.handle);
      name_configuration(graph, i, configuration);
    }
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, p.d.handle);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
    if (plan.finalize() == CUDNN_STATUS_NOT_SUPPORTED) continue;
    ++computed;
    const auto bytes = plan.value<std::int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64);
    EXPECT_LE(static_cast<std::size_t>(bytes), p.workspace.bytes());
    const auto before = p.y.values();
    Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    void* const data[] = {p.y.data(), p.x.data(), p.w.data()};
    EXPECT_EQ(pack.try_set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, data),
              CUDNN_STATUS_SUCCESS);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, {y, x, w});
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, p.workspace.data());
    EXPECT_EQ(pack.finalize(), CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnBackendExecute(p.d.handle, plan.get(), pack.get()), CUDNN_STATUS_SUCCESS);
    p.stream.synchronize();
    std::vector<double> result(p.c.y_size());
    const auto its_x = p.x.values();
    const auto its_w = p.w.values();
    define(p.c, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
      result[yi] += static_cast<double>(its_x[xi] * its_w[wi]);
    });
    EXPECT_EQ(p.y.values(), scaled(p.c.number_format(), result, before, 2, -0.5)) << "named at place " << i;
  }
  EXPECT_EQ(computed, named - 1) << "of which one has no plan";
}

TEST_P(Graphs, RefuseWhatCudnnRefuses) {
  const Problem p(GetParam());
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  EXPECT_EQ(graph.finalize(), CUDNN_STATUS_BAD_PARAM) << "nothing is set";
  std::int64_t count = 0;
  EXPECT_EQ(cudnnBackendGetAttribute(graph.get(), CUDNN_ATTR_OPERATIONGRAPH_OPS,
                                     CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr),
            CUDNN_STATUS_NOT_INITIALIZED);
  const Descriptor unfinished(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
  const cudnnBackendDescriptor_t operation = unfinished.get();
  EXPECT_EQ(graph.try_set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &operation),
            CUDNN_STATUS_BAD_PARAM);
  describe(graph, p.d.handle);
  EXPECT_EQ(graph.try_set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &p.d.handle),
            CUDNN_STATUS_NOT_INITIALIZED)
      << "finalised";
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  engine.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph);
  engine.set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, {99});
  EXPECT_EQ(engine.finalize(), CUDNN_STATUS_BAD_PARAM);
  engine.set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, {1});
  EXPECT_EQ(engine.finalize(), CUDNN_STATUS_SUCCESS);
  Descriptor choice(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
  choice.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, CUDNN_KNOB_TYPE_TILE_SIZE);
  choice.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, {3});
  EXPECT_EQ(choice.finalize(), CUDNN_STATUS_SUCCESS);
  Descriptor configuration(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  configuration.set(CUDNN_ATTR_ENGINECFG_ENGINE, engine);
  configuration.set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, choice);
  EXPECT_EQ(configuration.finalize(), CUDNN_STATUS_BAD_PARAM) << "there are three tiles";
}

INSTANTIATE_TEST_SUITE_P(Cases, Graphs,
                         testing::Values(small, small_nhwc,
                                         Case{.name = "groups and bf16",
                                              .n = 2,
                                              .c = 8,
                                              .h = 7,
                                              .w = 5,
                                              .k = 6,
                                              .r = 3,
                                              .s = 3,
                                              .pad_h = 1,
                                              .pad_w = 1,
                                              .stride_h = 2,
                                              .stride_w = 2,
                                              .groups = 2,
                                              .type = bf16}));

}  // namespace
}  // namespace tardigrad::emulation
