#include "models/layers/convolution.h"

#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "models/layers/onednn/primitives.h"

namespace tardigrad::models::onednn {
namespace {

using dnnl::convolution_backward_data;
using dnnl::convolution_backward_weights;
using dnnl::convolution_forward;
using dnnl::memory;
using Tag = memory::format_tag;

constexpr auto direct = dnnl::algorithm::convolution_direct;

/// The weights of the flat vectors are OIHW; oneDNN's kernels want them in formats of their own, so each pass
/// packs or unpacks them. At 1% of a pass that is not worth remembering whether the parameters have changed.
class Conv final : public Layer {
 public:
  Conv(const Convolution& conv, int batch, bool reads_images)
      : conv_(conv),
        stride_{conv.stride, conv.stride},
        padding_{conv.padding, conv.padding},
        // What is left over below and to the right, where the kernel's last step ends before the edge.
        padding_after_{padding_after(conv, conv.height, conv.out_height()),
                       padding_after(conv, conv.width, conv.out_width())} {
    if (conv.bias_offset) bias_ = view(describe({conv.out_channels}, Tag::x));
    // Measured: inside a network, channels last is fastest with AVX-512, and as fast as any other with AVX2.
    // For images of few channels oneDNN has special kernels, which read NCHW and choose what they write.
    input_ = view(
        describe({batch, conv.in_channels, conv.height, conv.width}, reads_images ? Tag::nchw : Tag::nhwc));
    memory::dims weight_shape{conv.out_channels, conv.group_inputs(), conv.kernel, conv.kernel};
    if (conv.groups > 1) {
      weight_shape.insert(weight_shape.begin(), conv.groups);
      weight_shape[1] /= conv.groups;
    }
    weight_ = view(describe(weight_shape, conv.groups > 1 ? Tag::goihw : Tag::oihw));
    any_weight_ = describe(weight_shape, Tag::any);
    const OneThread one_thread;
    convolution_forward::primitive_desc forward = describe_forward(reads_images ? Tag::any : Tag::nhwc);
    if (reads_images && is_reference(describe_backward_weights(forward))) {
      forward = describe_forward(Tag::nchw);
    }
    output_ = view(forward.dst_desc());
    make_forward(forward);
    make_backward_weights(forward);
    if (!reads_images) make_backward_data(forward);
  }

  memory::desc output_description() const { return output_.get_desc(); }

  std::size_t output_size() const override { return output_.get_desc().get_size() / sizeof(float); }

  void forward(const float* parameters, const float* input, float* output) override {
    point(weight_, parameters + conv_.weight_offset);
    if (conv_.bias_offset) point(*bias_, parameters + *conv_.bias_offset);
    point(input_, input);
    point(output_, output);
    pack_weight_.execute();
    forward_.execute();
  }

  void backward(const float* parameters, const float* input, const float* output_gradient,
                float* input_gradient, float* gradient) override {
    point(weight_, gradient + conv_.weight_offset);
    if (conv_.bias_offset) point(*bias_, gradient + *conv_.bias_offset);
    point(input_, input);
    point(output_, output_gradient);
    backward_weights_.execute();
    unpack_weight_gradient_.execute();
    if (!input_gradient) return;
    if (!backward_data_) throw std::logic_error("oneDNN convolution: no gradient with respect to images");
    // Last, since it may overwrite the input.
    point(weight_, parameters + conv_.weight_offset);
    point(input_, input_gradient);
    pack_weight_for_data_->execute();
    backward_data_->execute();
  }

 private:
  static memory::dim padding_after(const Convolution& conv, int size, int outputs) {
    return (outputs - 1) * conv.stride + conv.kernel - size - conv.padding;
  }

  /// That of the bias, or of none.
  memory::desc bias_description() const { return bias_ ? bias_->get_desc() : memory::desc(); }

  convolution_forward::primitive_desc describe_forward(Tag output) const {
    const memory::dims shape{input_.get_desc().dims()[0], conv_.out_channels, conv_.out_height(),
                             conv_.out_width()};
    return {{dnnl::prop_kind::forward_training, direct, input_.get_desc(), any_weight_, bias_description(),
             describe(shape, output), stride_, padding_, padding_after_},
            attributes(),
            cpu()};
  }

  convolution_backward_weights::primitive_desc describe_backward_weights(
      const convolution_forward::primitive_desc& forward) const {
    return {{direct, input_.get_desc(), any_weight_, bias_description(), forward.dst_desc(), stride_,
             padding_, padding_after_},
            attributes(),
            cpu(),
            forward};
  }

  /// Whether oneDNN has no kernel for that but a loop over indices. So it is of one channel with AVX2, where
  /// what forward chooses to write made the gradient 200 times as slow as with NCHW, for which it has a
  /// product of matrices.
  static bool is_reference(const convolution_backward_weights::primitive_desc& description) {
    return std::string_view(description.impl_info_str()).starts_with("ref");
  }

  void make_forward(const convolution_forward::primitive_desc& forward) {
    const memory packed(forward.weights_desc(), cpu());
    pack_weight_ = Operation::make_reorder(weight_, packed);
    Operation::Operands operands{{DNNL_ARG_SRC, input_}, {DNNL_ARG_WEIGHTS, packed}, {DNNL_ARG_DST, output_}};
    if (bias_) operands.emplace(DNNL_ARG_BIAS, *bias_);
    forward_ = Operation::make<convolution_forward>(forward, std::move(operands));
  }

  void make_backward_weights(const convolution_forward::primitive_desc& forward) {
    const auto description = describe_backward_weights(forward);
    const memory packed(description.diff_weights_desc(), cpu());
    unpack_weight_gradient_ = Operation::make_reorder(packed, weight_);
    Operation::Operands operands{
        {DNNL_ARG_SRC, input_}, {DNNL_ARG_DIFF_DST, output_}, {DNNL_ARG_DIFF_WEIGHTS, packed}};
    if (bias_) operands.emplace(DNNL_ARG_DIFF_BIAS, *bias_);
    backward_weights_ = Operation::make<convolution_backward_weights>(description, std::move(operands));
  }

  void make_backward_data(const convolution_forward::primitive_desc& forward) {
    const convolution_backward_data::primitive_desc description(
        {direct, input_.get_desc(), any_weight_, output_.get_desc(), stride_, padding_, padding_after_},
        attributes(), cpu(), forward);
    const memory packed(description.weights_desc(), cpu());
    pack_weight_for_data_ = Operation::make_reorder(weight_, packed);
    backward_data_ = Operation::make<convolution_backward_data>(
        description, {{DNNL_ARG_DIFF_DST, output_}, {DNNL_ARG_WEIGHTS, packed}, {DNNL_ARG_DIFF_SRC, input_}});
  }

  Convolution conv_;
  memory::dims stride_, padding_, padding_after_;
  memory::desc any_weight_;
  // The caller's: an activation or the gradient with respect to it, parameters or gradient.
  memory input_, weight_, output_;
  std::optional<memory> bias_;
  Operation pack_weight_, forward_;
  Operation backward_weights_, unpack_weight_gradient_;
  std::optional<Operation> pack_weight_for_data_, backward_data_;
};

/// The layout that oneDNN chose for the output of a convolution.
ImageLayout layout_of(const Convolution& conv, int batch, const memory::desc& chosen) {
  const memory::dims shape{batch, conv.out_channels, conv.out_height(), conv.out_width()};
  ImageLayout layout{conv.out_channels, conv.out_height(), conv.out_width()};
  for (const auto& [tag, block] : {std::pair{Tag::nchw, 1}, std::pair{Tag::nhwc, conv.out_channels},
                                   std::pair{Tag::nChw8c, 8}, std::pair{Tag::nChw16c, 16}}) {
    layout.block = block;
    if (chosen == describe(shape, tag)) return layout;
  }
  throw std::logic_error("oneDNN convolution: an output format that ImageLayout cannot express");
}

}  // namespace

ConvLayer make_layer(const Convolution& conv, int batch, const ImageLayout& input, bool reads_images) {
  if (input.block != (reads_images ? 1 : conv.in_channels)) {
    throw std::logic_error("oneDNN convolution: its input must be images in NCHW, or channels last");
  }
  auto layer = std::make_unique<Conv>(conv, batch, reads_images);
  const ImageLayout output = layout_of(conv, batch, layer->output_description());
  return {std::move(layer), output};
}

}  // namespace tardigrad::models::onednn
