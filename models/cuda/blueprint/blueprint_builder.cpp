#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>

#include "kernels/bias_relu_max_pool_backward.h"
#include "kernels/channel_bias.h"
#include "kernels/conv_relu_pool.h"
#include "models/cuda/blueprint/blueprint.h"
#include "models/cuda/blueprint/blueprint_memory.h"
#include "models/cuda/blueprint/packed_parameters.h"

namespace tardigrad::models::cuda {
namespace {

/// Are the layers behind one, of which it may take some with it.
using Rest = std::span<const LayerSpec>;

template <typename Spec>
const Spec* layer_at(Rest rest, std::size_t l) {
  return l < rest.size() ? std::get_if<Spec>(&rest[l]) : nullptr;
}

bool relu_follows(Rest rest) { return layer_at<Relu>(rest, 0) != nullptr; }

/// The 2×2 max-pool behind a ReLU, if these are next.
const MaxPool* pool_behind_relu(Rest rest) {
  const auto* pool = layer_at<MaxPool>(rest, 1);
  return relu_follows(rest) && pool && pool->is_2x2() ? pool : nullptr;
}

/// What a 2×2 max-pool gives, behind such images and a ReLU that `rest` begins with. Linear layers have their
/// inputs channel-major, as PyTorch does.
ImageBatch pooled_images(ImageBatch images, const MaxPool& pool, Rest rest) {
  images.channels = static_cast<std::size_t>(pool.channels);
  images.pixels = static_cast<std::size_t>(pool.out_height()) * static_cast<std::size_t>(pool.out_width());
  if (layer_at<Flatten>(rest, 2)) images.format = MemoryFormat::channel_major;
  return images;
}

/// In memory as channel-major images.
ConvPoolShape conv_pool_shape(const models::Convolution& convolution, std::size_t batch) {
  return {.batch = batch,
          .input_channels = static_cast<std::size_t>(convolution.in_channels),
          .height = static_cast<std::size_t>(convolution.height),
          .width = static_cast<std::size_t>(convolution.width),
          .channels = static_cast<std::size_t>(convolution.out_channels),
          .kernel = static_cast<unsigned>(convolution.kernel),
          .padding = static_cast<unsigned>(convolution.padding)};
}

/// The convolution that the first layers begin with, if one kernel can compute all three.
const models::Convolution* fusable_convolution(Rest layers) {
  const auto* convolution = layer_at<models::Convolution>(layers, 0);
  if (!convolution || !pool_behind_relu(layers.subspan(1))) return nullptr;
  const bool plain = convolution->bias_offset && convolution->stride == 1 && convolution->groups == 1;
  return plain && conv_pool_shape(*convolution, 1).is_supported() ? convolution : nullptr;
}

WindowShape window_shape(const PoolWindows& pool, const ImageBatch& images) {
  return {.batch = images.batch,
          .channels = images.channels,
          .height = static_cast<std::size_t>(pool.height),
          .width = static_cast<std::size_t>(pool.width),
          .window_height = static_cast<unsigned>(pool.kernel),
          .window_width = static_cast<unsigned>(pool.kernel),
          .stride = static_cast<unsigned>(pool.stride),
          .padding = static_cast<unsigned>(pool.padding),
          .format = images.format};
}

NormShape norm_shape(const GroupNorm& norm, const ImageBatch& images) {
  return {images, static_cast<std::size_t>(norm.groups), false};
}

NormShape norm_shape(const LayerNorm& /*norm*/, const ImageBatch& images) { return {images, 1, true}; }

ImageBatch features_of(std::size_t batch, std::size_t count) {
  return {batch, count, 1, MemoryFormat::channel_major};
}

ImageBatch vector_of(std::size_t size) { return features_of(1, size); }

/// Of what cuDNN reads or writes, whose tensors have at most 2^31 elements.
void require_small(const ImageBatch& shape) {
  if (shape.size() >> 31 == 0) return;
  throw std::invalid_argument(
      fmt::format("{} images before or behind a convolution have {} elements, expected fewer than 2^31 on a "
                  "GPU, or --device "
                  "cpu",
                  shape.batch, shape.size()));
}

class Builder {
 public:
  Builder(const Architecture& architecture, int batch, const WayToCompute& way)
      : architecture_(architecture),
        batch_(static_cast<std::size_t>(batch)),
        fused_(way.first_layers == FirstLayers::fused) {
    plan_.batch = batch;
    plan_.way = way;
    plan_.element = element_of(way.precision);
    format_ = way.format == ActivationFormat::channel_major ? MemoryFormat::channel_major
                                                            : MemoryFormat::channels_last;
  }

  Blueprint build() {
    begin_with_images();
    Rest layers(architecture_.layers());
    if (fused_) layers = layers.subspan(add_fused(layers));
    add_all(layers);
    plan_.logits = now_;
    memory_.place_gradients();
    plan_.labels = memory_.take(batch_ * sizeof(std::int32_t));
    plan_.losses = memory_.take(batch_ * sizeof(float));
    plan_.mask_starts = memory_.take(plan_.dropouts * sizeof(std::uint64_t));
    parameters_.place(memory_);
    plan_.bytes = memory_.bytes();
    return std::move(plan_);
  }

 private:
  ImageBatch images_of(int channels, int height, int width) const {
    return {batch_, static_cast<std::size_t>(channels), static_cast<std::size_t>(height * width), format_};
  }

  /// Where sums go in the flat gradient, and in which order.
  struct Gradient {
    std::size_t to;
    ImageBatch order;
  };

  /// Takes memory for partial sums of gradients, one behind the other, which are to be added at the end.
  /// Returns where it begins.
  std::size_t leave_sums(const PartialSums& sums, std::initializer_list<Gradient> gradients) {
    const std::size_t begin = memory_.take(sums.size() * sizeof(float));
    AddedColumns columns{
        .from = begin / sizeof(float), .parts = sums.parts, .stride = sums.columns, .to = 0, .order = {}};
    for (const Gradient& gradient : gradients) {
      std::vector<AddedParts>& launches = plan_.partial_sums;
      if (launches.empty() || launches.back().count == AddedParts::max_count) launches.emplace_back();
      columns.to = gradient.to;
      columns.order = gradient.order;
      launches.back().columns[launches.back().count++] = columns;
      columns.from += gradient.order.size();
    }
    return begin;
  }

  const Activation& now() const { return plan_[now_]; }

  void begin_with_images() {
    const ImageShape& images = architecture_.input();
    auto channels = static_cast<std::size_t>(images.channels);
    // Only cuDNN's convolutions read padded images faster.
    if (plan_.way.format == ActivationFormat::channels_last_padded && !fused_) {
      channels = round_up(channels, library_alignment / size_of(plan_.element));
    }
    const ImageBatch shape{batch_, channels, static_cast<std::size_t>(images.height * images.width), format_};
    plan_.images = now_ = memory_.add(shape, false);
  }

  /// Adds an activation that comes from what there is now, and goes on from there. Returns both.
  std::pair<ActivationId, ActivationId> give(ImageBatch shape, bool wants_gradient) {
    const ActivationId input = now_;
    now_ = memory_.add(shape, wants_gradient);
    return {input, now_};
  }

  void add_all(Rest rest) {
    while (!rest.empty()) {
      const std::size_t taken =
          std::visit([&](const auto& layer) { return add(layer, rest.subspan(1)); }, rest.front());
      rest = rest.subspan(1 + taken);
    }
  }

  // Each adds the stages of a layer, with the layers behind it that can be part of them, and returns how many
  // of those it took.

  std::size_t add(const models::Convolution& convolution, Rest rest) {
    require_small(now().shape);
    require_small(images_of(convolution.out_channels, convolution.out_height(), convolution.out_width()));
    const bool wants_input_gradient = now().wants_gradient;
    const auto input_channels = static_cast<int>(now().shape.channels);
    const auto [input, output] =
        give(images_of(convolution.out_channels, convolution.out_height(), convolution.out_width()), true);
    plan_.stages.push_back(
        ConvolutionStage{.convolution = convolution,
                         .number = convolutions_++,
                         .input_channels = input_channels,
                         .format = format_,
                         .weight = parameters_.convolution_weight(convolution, input_channels, format_),
                         .wants_input_gradient = wants_input_gradient,
                         .input = input,
                         .output = output});
    if (!convolution.bias_offset) return 0;
    if (const MaxPool* pool = pool_behind_relu(rest)) {
      add_pool(convolution, *pool, rest);
      return 2;
    }
    BiasStage bias{
        .bias = *convolution.bias_offset, .relu = relu_follows(rest), .input = now_, .output = now_};
    bias.partial_sums = leave_sums(ChannelBiasBackward<float>::sums(now().shape),
                                   {{bias.bias, vector_of(now().shape.channels)}});
    // The ReLU's output, which has the place of its input, tells on the way back where it was open.
    if (bias.relu) bias.output = now_ = memory_.add_reader(now_);
    plan_.stages.push_back(bias);
    return bias.relu ? 1 : 0;
  }

  /// Adds the first three layers as one stage, and returns their number.
  std::size_t add_fused(Rest layers) {
    const models::Convolution* convolution = fusable_convolution(layers);
    const Rest rest = layers.subspan(1);
    const ImageBatch pooled = pooled_images(now().shape, *pool_behind_relu(rest), rest);
    ConvReluPoolStage stage{.shape = conv_pool_shape(*convolution, batch_),
                            .weight = convolution->weight_offset,
                            .bias = *convolution->bias_offset};
    stage.shape.input_format = now().shape.format;
    stage.shape.output_format = pooled.format;
    stage.winners = memory_.take(pooled.size());
    stage.partial_sums = leave_sums(
        ConvReluPoolBackward<float>::sums(stage.shape),
        {{stage.weight, stage.shape.weight_order()}, {stage.bias, vector_of(stage.shape.channels)}});
    std::tie(stage.input, stage.output) = give(pooled, true);
    plan_.stages.push_back(stage);
    return 3;
  }

  /// Bias, ReLU and 2×2 max-pool.
  void add_pool(const models::Convolution& convolution, const MaxPool& pool, Rest rest) {
    const ImageBatch pooled = pooled_images(now().shape, pool, rest);
    const PoolShape shape{.batch = batch_,
                          .channels = static_cast<std::size_t>(convolution.out_channels),
                          .height = static_cast<std::size_t>(convolution.out_height()),
                          .width = static_cast<std::size_t>(convolution.out_width()),
                          .input_format = format_,
                          .output_format = pooled.format};
    BiasReluMaxPoolStage stage{.shape = shape, .bias = *convolution.bias_offset};
    stage.winners = memory_.take(shape.output_size());
    stage.partial_sums =
        leave_sums(BiasReluMaxPoolBackward<float>::sums(shape), {{stage.bias, vector_of(shape.channels)}});
    std::tie(stage.input, stage.output) = give(pooled, true);
    plan_.stages.push_back(stage);
  }

  std::size_t add(const Linear& linear, Rest rest) {
    LinearStage stage{.linear = linear,
                      .number = linears_++,
                      .relu = relu_follows(rest),
                      .weight = parameters_.linear_weight(linear),
                      .bias = parameters_.linear_bias(linear),
                      .wants_input_gradient = now().wants_gradient};
    std::tie(stage.input, stage.sums) = give(features_of(batch_, linear.output_size()), true);
    stage.output = now_ = stage.relu ? memory_.add_reader(stage.sums) : stage.sums;
    plan_.stages.push_back(stage);
    return stage.relu ? 1 : 0;
  }

  template <typename Activating>
  requires std::is_same_v<Activating, Relu> || std::is_same_v<Activating, Gelu> std::size_t add(
      const Activating& /*layer*/, Rest /*rest*/) {
    using OneStage = std::conditional_t<std::is_same_v<Activating, Relu>, ReluStage, GeluStage>;
    return add_stage(OneStage(), now().shape);
  }

  std::size_t add(const Dropout& dropout, Rest /*rest*/) {
    plan_.dropouts = std::max<std::size_t>(plan_.dropouts, dropout.number + 1);
    return add_stage(DropoutStage{.probability = dropout.probability, .number = dropout.number}, now().shape);
  }

  template <typename Norm>
  requires std::is_same_v<Norm, GroupNorm> || std::is_same_v<Norm, LayerNorm> std::size_t add(
      const Norm& norm, Rest rest) {
    const NormShape shape = norm_shape(norm, now().shape);
    NormStage stage{.shape = shape,
                    .epsilon = static_cast<float>(norm.epsilon),
                    .relu = relu_follows(rest),
                    .weight = norm.weight_offset,
                    .bias = norm.bias_offset,
                    .statistics = memory_.take(2 * shape.all_groups() * sizeof(float))};
    stage.partial_sums = leave_sums(NormBackward<float>::sums(shape), {{stage.weight, shape.weight_order()},
                                                                       {stage.bias, shape.weight_order()}});
    std::tie(stage.input, stage.output) = give(shape.images, true);
    plan_.stages.push_back(stage);
    return stage.relu ? 1 : 0;
  }

  std::size_t add(const MaxPool& pool, Rest /*rest*/) {
    const WindowShape shape = window_shape(pool, now().shape);
    const std::size_t winners = memory_.take(shape.output_size() * sizeof(std::uint32_t));
    return add_stage(MaxPoolStage{.shape = shape, .winners = winners},
                     images_of(pool.channels, pool.out_height(), pool.out_width()));
  }

  std::size_t add(const AvgPool& pool, Rest /*rest*/) {
    return add_stage(AvgPoolStage{.shape = window_shape(pool, now().shape)},
                     images_of(pool.channels, pool.out_height(), pool.out_width()));
  }

  /// One window of all pixels, whose order is no matter: an image of one row.
  std::size_t add(const GlobalAvgPool& pool, Rest /*rest*/) {
    const WindowShape row = window_shape(
        PoolWindows{.channels = pool.channels, .height = 1, .width = pool.pixels, .kernel = 1, .stride = 1},
        now().shape);
    AvgPoolStage stage{.shape = row};
    stage.shape.window_width = static_cast<unsigned>(pool.pixels);
    return add_stage(stage, features_of(batch_, pool.output_size()));
  }

  /// Only what lies otherwise in memory is moved.
  std::size_t add(const Flatten& flatten, Rest /*rest*/) {
    ImageBatch shape = now().shape;
    const bool lies_alike = shape.channels == 1 || shape.pixels == 1;
    if (shape.format == MemoryFormat::channels_last && !lies_alike) {
      shape.format = MemoryFormat::channel_major;
      add_stage(ReorderStage(), shape);
    }
    now_ = memory_.add_view(now_, features_of(batch_, flatten.size));
    return 0;
  }

  std::size_t add(const Residual& residual, Rest rest) {
    const ActivationId input = now_;
    // The branch is the last on the way back: its gradient may take the place that the sum will have.
    const ForkStage fork{input, memory_.add_view(input, plan_[input].shape), memory_.add_reader(input)};
    plan_.stages.push_back(fork);
    JoinStage join{.relu = relu_follows(rest)};
    join.first = add_branch(residual.branch, fork.first);
    join.second = add_branch(residual.shortcut, fork.second);
    const ImageBatch shape = plan_[join.first].shape;
    const bool wants_gradient = plan_[join.first].wants_gradient || plan_[join.second].wants_gradient;
    join.sum = memory_.add(shape, wants_gradient);
    for (const ActivationId branch : {join.first, join.second}) memory_.share_gradient(branch, join.sum);
    join.output = now_ = join.relu ? memory_.add_reader(join.sum) : join.sum;
    plan_.stages.push_back(join);
    return join.relu ? 1 : 0;
  }

  ActivationId add_branch(const std::vector<LayerSpec>& layers, ActivationId input) {
    now_ = input;
    add_all(layers);
    return now_;
  }

  /// A stage without parameters. It takes no layers with it.
  template <typename OneStage>
  std::size_t add_stage(OneStage stage, ImageBatch output) {
    std::tie(stage.input, stage.output) = give(output, now().wants_gradient);
    plan_.stages.push_back(stage);
    return 0;
  }

  const Architecture& architecture_;
  std::size_t batch_;
  bool fused_;
  Blueprint plan_;
  BlueprintMemory memory_{plan_};
  PackedParameters parameters_{plan_};
  MemoryFormat format_;
  ActivationId now_ = 0;
  std::size_t convolutions_ = 0;
  std::size_t linears_ = 0;
};

}  // namespace

bool may_fuse_first_layers(const Architecture& architecture) {
  return fusable_convolution(architecture.layers()) != nullptr;
}

Blueprint make_blueprint(const Architecture& architecture, int batch, const WayToCompute& way) {
  if (!is_way_of(architecture, way)) throw std::logic_error("a way that this network cannot be computed");
  return Builder(architecture, batch, way).build();
}

}  // namespace tardigrad::models::cuda
