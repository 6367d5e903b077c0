#include "models/cuda/blueprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "kernels/bias_relu_max_pool_backward.h"

namespace tardigrad::models::cuda {
namespace {

constexpr std::size_t library_alignment = 16;  // bytes; what the fastest kernels of cuDNN and cuBLASLt want
constexpr std::size_t memory_alignment = 256;  // bytes; as cudaMalloc gives it

constexpr std::size_t round_up(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Lays out memory, piece by piece.
class Arena {
 public:
  /// Bytes; returns where they begin.
  std::size_t take(std::size_t bytes) {
    const std::size_t begin = bytes_;
    bytes_ = round_up(bytes_ + bytes, memory_alignment);
    return begin;
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_ = 0;
};

class Builder {
 public:
  Builder(const Architecture& architecture, int batch, Precision precision, Activations activations)
      : architecture_(architecture) {
    plan_.batch = batch;
    plan_.precision = precision;
    plan_.element = element_of(precision);
    plan_.activations = activations;
    for (const LayerSpec& layer : architecture.layers()) {
      if (!std::holds_alternative<Flatten>(layer)) layers_.push_back(&layer);
    }
  }

  Blueprint build() {
    begin_with_images();
    for (std::size_t l = 0; l < layers_.size();) l = add_stage(l);
    if (plan_.linears.empty() || plan_.linears.back().relu) refuse();
    plan_.labels = arena_.take(batch() * sizeof(std::int32_t));
    plan_.losses = arena_.take(batch() * sizeof(float));
    plan_.partial_sums = arena_.take(partial_sums_ * sizeof(float));
    plan_.working = arena_.take(packed_size_ * size_of(plan_.element));
    plan_.working_gradients = arena_.take(packed_gradient_size_ * size_of(plan_.element));
    plan_.bytes = arena_.bytes();
    return std::move(plan_);
  }

 private:
  std::size_t batch() const { return static_cast<std::size_t>(plan_.batch); }

  [[noreturn]] void refuse() const {
    throw std::invalid_argument(fmt::format(
        "model {}: GPUs have no kernels for all of its layers yet: expected convolutions of 3x3, each with "
        "bias, padding 1, relu and a max_pool of 2 behind, and linear layers with relu between, or --device "
        "cpu",
        architecture_.name()));
  }

  template <typename Spec>
  const Spec* layer(std::size_t l) const {
    return l < layers_.size() ? std::get_if<Spec>(layers_[l]) : nullptr;
  }

  std::size_t take_elements(std::size_t count) { return arena_.take(count * size_of(plan_.element)); }

  void begin_with_images() {
    const ImageShape& images = architecture_.input();
    plan_.image_channels = images.channels;
    if (plan_.activations != Activations::channel_major) plan_.image_format = MemoryFormat::channels_last;
    if (plan_.activations == Activations::channels_last_padded) {
      plan_.image_channels = static_cast<int>(
          round_up(static_cast<std::size_t>(images.channels), library_alignment / size_of(plan_.element)));
    }
    plan_.images = take_elements(batch() * static_cast<std::size_t>(plan_.image_channels) *
                                 static_cast<std::size_t>(images.height * images.width));
    input_ = input_gradient_ = plan_.images;
    input_channels_ = plan_.image_channels;
  }

  /// Returns the number of the layer behind the stage.
  std::size_t add_stage(std::size_t l) {
    if (const auto* convolution = layer<models::Convolution>(l)) {
      const auto* pool = layer<MaxPool>(l + 2);
      if (!is_usual(*convolution) || !layer<Relu>(l + 1) || !pool || !pool->is_2x2()) refuse();
      add(*convolution, layer<Linear>(l + 3) != nullptr);
      return l + 3;
    }
    const auto* linear = layer<Linear>(l);
    const bool relu = layer<Relu>(l + 1) != nullptr;
    if (!linear) refuse();
    add(*linear, relu);
    return l + (relu ? 2 : 1);
  }

  static bool is_usual(const models::Convolution& convolution) {
    return convolution.kernel == 3 && convolution.stride == 1 && convolution.padding == 1 &&
           convolution.groups == 1 && convolution.bias_offset;
  }

  void add(const models::Convolution& convolution, bool linear_follows) {
    ConvolutionStage stage;
    stage.convolution = convolution;
    stage.input_channels = input_channels_;
    stage.format = plan_.image_format;
    stage.reads_images = is_first();
    stage.pool = {.batch = batch(),
                  .channels = static_cast<std::size_t>(convolution.out_channels),
                  .height = static_cast<std::size_t>(convolution.height),
                  .width = static_cast<std::size_t>(convolution.width),
                  .input_format = stage.format,
                  // Linear layers have their inputs channel-major, as PyTorch does.
                  .output_format = linear_follows ? MemoryFormat::channel_major : stage.format};
    RepackedTensor weight;
    weight.flat_offset = convolution.weight_offset;
    weight.outputs = static_cast<std::uint32_t>(convolution.out_channels);
    weight.inputs = static_cast<std::uint32_t>(convolution.in_channels);
    weight.padded_inputs = static_cast<std::uint32_t>(input_channels_);
    weight.taps = 9;
    const bool in_place = stage.format == MemoryFormat::channel_major && plan_.element == Element::f32 &&
                          lies_well(convolution.weight_offset);
    if (stage.format == MemoryFormat::channel_major) as_it_is(weight);
    stage.weight = parameter(weight, in_place, in_place);
    stage.bias.flat = *convolution.bias_offset;  // only our own kernels use it
    stage.input = input_;
    stage.convolved = take_elements(stage.pool.input_size());
    stage.winners = arena_.take(stage.pool.output_size());
    stage.pooled = take_elements(stage.pool.output_size());
    // The same for both kinds of elements or more for one of them: room for either.
    partial_sums_ = std::max({partial_sums_, BiasReluMaxPoolBackward<float>::partial_sums_size(stage.pool),
                              BiasReluMaxPoolBackward<Bf16>::partial_sums_size(stage.pool)});
    input_ = input_gradient_ = stage.pooled;
    input_channels_ = convolution.out_channels;
    plan_.convolutions.push_back(stage);
  }

  void add(const Linear& linear, bool relu) {
    LinearStage stage;
    stage.linear = linear;
    stage.relu = relu;
    stage.reads_images = is_first();
    stage.input = input_;
    stage.input_gradient = input_gradient_;
    stage.output = take_elements(batch() * linear.output_size());
    stage.output_gradient = relu ? take_elements(batch() * linear.output_size()) : stage.output;
    const bool f32 = plan_.element == Element::f32;
    const bool in_place = lies_well(linear.weight_offset) && lies_well(linear.bias_offset);
    // Products of bf16 can be written in fp32, so gradients need no repacking.
    const auto size = static_cast<std::uint32_t>(linear.outputs);
    stage.weight = parameter(matrix(linear.weight_offset, size, static_cast<std::uint32_t>(linear.inputs)),
                             in_place && f32, in_place);
    stage.bias = parameter(matrix(linear.bias_offset, size, 1), in_place && f32, in_place);
    input_ = stage.output;
    input_gradient_ = stage.output_gradient;
    plan_.linears.push_back(stage);
  }

  bool is_first() const { return plan_.convolutions.empty() && plan_.linears.empty(); }

  /// Whether what begins there in a flat vector can be given to a library.
  static bool lies_well(std::size_t offset) { return offset * sizeof(float) % library_alignment == 0; }

  static RepackedTensor matrix(std::size_t offset, std::uint32_t rows, std::uint32_t columns) {
    RepackedTensor tensor;
    tensor.flat_offset = offset;
    tensor.outputs = rows;
    tensor.inputs = tensor.padded_inputs = columns;
    return tensor;
  }

  /// A tensor whose elements keep their order.
  static void as_it_is(RepackedTensor& tensor) {
    tensor.inputs *= tensor.taps;
    tensor.padded_inputs = tensor.inputs;
    tensor.taps = 1;
  }

  Parameter parameter(RepackedTensor tensor, bool value_in_place, bool gradient_in_place) {
    Parameter result;
    result.flat = tensor.flat_offset;
    if (!value_in_place) result.packed = pack(plan_.packed, packed_size_, tensor);
    if (!gradient_in_place) {
      result.packed_gradient = pack(plan_.packed_gradients, packed_gradient_size_, tensor);
    }
    return result;
  }

  static std::size_t pack(std::vector<RepackedTensors>& launches, std::size_t& size, RepackedTensor tensor) {
    if (launches.empty() || launches.back().count == RepackedTensors::max_count) launches.emplace_back();
    tensor.working_offset = size;
    launches.back().tensors[launches.back().count++] = tensor;
    size = round_up(size + tensor.working_size(), memory_alignment);
    return tensor.working_offset;
  }

  const Architecture& architecture_;
  std::vector<const LayerSpec*> layers_;  // but for flatten, which moves nothing
  Blueprint plan_;
  Arena arena_;
  std::size_t input_ = 0;
  std::size_t input_gradient_ = 0;
  int input_channels_ = 0;
  std::size_t partial_sums_ = 0;
  std::size_t packed_size_ = 0;           // elements
  std::size_t packed_gradient_size_ = 0;  // elements
};

bool has_convolutions(const Architecture& architecture) {
  return std::ranges::any_of(architecture.layers(), [](const LayerSpec& layer) {
    return std::holds_alternative<models::Convolution>(layer);
  });
}

}  // namespace

const char* name_of(Activations activations) {
  switch (activations) {
    case Activations::channel_major:
      return "channel-major";
    case Activations::channels_last:
      return "channels-last";
    case Activations::channels_last_padded:
      return "channels-last, padded";
  }
  return "";
}

Blueprint make_blueprint(const Architecture& architecture, int batch, Precision precision,
                         Activations activations) {
  return Builder(architecture, batch, precision, activations).build();
}

std::vector<Activations> activation_choices(const Architecture& architecture, Precision precision) {
  if (!has_convolutions(architecture)) return {Activations::channel_major};
  const std::size_t channels_of_a_group = library_alignment / size_of(element_of(precision));
  const bool padded = static_cast<std::size_t>(architecture.input().channels) % channels_of_a_group != 0;
  std::vector<Activations> choices;
  if (padded) choices.push_back(Activations::channels_last_padded);
  choices.push_back(Activations::channels_last);
  // Tensor cores read channels last; without them, that only costs the repacking.
  choices.insert(precision == Precision::fp32 ? choices.begin() : choices.end(), Activations::channel_major);
  return choices;
}

std::vector<WayToCompute> ways_to_compute(const Architecture& architecture, Precision precision,
                                          bool deterministic) {
  std::vector<WayToCompute> ways;
  for (const Precision one : {Precision::bf16, Precision::tf32, Precision::fp32}) {
    const bool more_exact = one < precision;
    if (one != precision && (!more_exact || deterministic)) continue;
    for (const Activations activations : activation_choices(architecture, one)) {
      ways.push_back({one, activations});
    }
  }
  return ways;
}

std::size_t largest_bytes(const Architecture& architecture, int batch, Precision precision,
                          bool deterministic) {
  std::size_t bytes = 0;
  for (const WayToCompute& way : ways_to_compute(architecture, precision, deterministic)) {
    bytes = std::max(bytes, make_blueprint(architecture, batch, way.precision, way.activations).bytes);
  }
  return bytes;
}

}  // namespace tardigrad::models::cuda
