#include "models/layers/layer_norm.h"

#include "models/aligned_vector.h"
#include "models/layers/onednn/primitives.h"

namespace tardigrad::models::onednn {
namespace {

using dnnl::layer_normalization_backward;
using dnnl::layer_normalization_forward;
using dnnl::memory;
using Tag = memory::format_tag;

class LayerNormLayer final : public Layer {
 public:
  LayerNormLayer(const LayerNorm& norm, int batch, bool reads_images)
      : norm_(norm),
        batch_(batch),
        input_(view(describe({batch, norm.size}, Tag::ab))),
        output_(view(input_.get_desc())),
        input_gradient_(view(input_.get_desc())),
        weight_(view(describe({norm.size}, Tag::a))),
        bias_(view(weight_.get_desc())),
        weight_gradient_(view(weight_.get_desc())),
        bias_gradient_(view(weight_.get_desc())) {
    if (reads_images) unwanted_.resize(output_size());
    const OneThread one_thread;
    const auto epsilon = static_cast<float>(norm.epsilon);
    const auto with_weight_and_bias =
        dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;
    const layer_normalization_forward::primitive_desc forward(
        {dnnl::prop_kind::forward_training, input_.get_desc(), epsilon, with_weight_and_bias}, attributes(),
        cpu());
    const memory mean(forward.mean_desc(), cpu());
    const memory variance(forward.variance_desc(), cpu());
    forward_ = Operation::make<layer_normalization_forward>(forward, {{DNNL_ARG_SRC, input_},
                                                                      {DNNL_ARG_SCALE, weight_},
                                                                      {DNNL_ARG_SHIFT, bias_},
                                                                      {DNNL_ARG_MEAN, mean},
                                                                      {DNNL_ARG_VARIANCE, variance},
                                                                      {DNNL_ARG_DST, output_}});
    const layer_normalization_backward::primitive_desc backward(
        {dnnl::prop_kind::backward, output_.get_desc(), input_.get_desc(), epsilon, with_weight_and_bias},
        attributes(), cpu(), forward);
    backward_ =
        Operation::make<layer_normalization_backward>(backward, {{DNNL_ARG_SRC, input_},
                                                                 {DNNL_ARG_SCALE, weight_},
                                                                 {DNNL_ARG_SHIFT, bias_},
                                                                 {DNNL_ARG_MEAN, mean},
                                                                 {DNNL_ARG_VARIANCE, variance},
                                                                 {DNNL_ARG_DIFF_DST, output_},
                                                                 {DNNL_ARG_DIFF_SRC, input_gradient_},
                                                                 {DNNL_ARG_DIFF_SCALE, weight_gradient_},
                                                                 {DNNL_ARG_DIFF_SHIFT, bias_gradient_}});
  }

  std::size_t output_size() const override { return norm_.output_size() * batch_; }

  void forward(const float* parameters, const float* input, float* output) override {
    point_at_parameters(parameters);
    point(input_, input);
    point(output_, output);
    forward_.execute();
  }

  void backward(const float* parameters, const float* input, const float* output_gradient,
                float* input_gradient, float* gradient) override {
    point_at_parameters(parameters);
    point(weight_gradient_, gradient + norm_.weight_offset);
    point(bias_gradient_, gradient + norm_.bias_offset);
    point(input_, input);
    point(output_, output_gradient);
    // It may be the input's memory: oneDNN writes a row when it has read all that it takes of it.
    point(input_gradient_, input_gradient ? input_gradient : unwanted_.data());
    backward_.execute();
  }

 private:
  void point_at_parameters(const float* parameters) {
    point(weight_, parameters + norm_.weight_offset);
    point(bias_, parameters + norm_.bias_offset);
  }

  LayerNorm norm_;
  int batch_;
  memory input_, output_, input_gradient_, weight_, bias_, weight_gradient_, bias_gradient_;  // the caller's
  Operation forward_, backward_;
  AlignedVector<float> unwanted_;  // the gradient with respect to the input, which oneDNN cannot leave out
};

}  // namespace

std::unique_ptr<Layer> make_layer(const LayerNorm& norm, int batch, bool reads_images) {
  return std::make_unique<LayerNormLayer>(norm, batch, reads_images);
}

}  // namespace tardigrad::models::onednn
