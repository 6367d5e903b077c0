#include "models/layers/linear.h"

#include "models/layers/onednn/primitives.h"

namespace tardigrad::models::onednn {
namespace {

using dnnl::matmul;
using dnnl::memory;
using Tag = memory::format_tag;

/// A row-major matrix in the caller's memory, or the transpose of one.
memory matrix(int rows, int columns, Tag format = Tag::ab) { return view(describe({rows, columns}, format)); }

/// to = a · b
Operation make_product(const memory& a, const memory& b, const memory& to) {
  const matmul::primitive_desc description({a.get_desc(), b.get_desc(), to.get_desc()}, attributes(), cpu());
  return Operation::make<matmul>(description, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, to}});
}

/// to = a · b + bias
Operation make_product(const memory& a, const memory& b, const memory& bias, const memory& to) {
  const matmul::primitive_desc description({a.get_desc(), b.get_desc(), bias.get_desc(), to.get_desc()},
                                           attributes(), cpu());
  return Operation::make<matmul>(
      description, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_BIAS, bias}, {DNNL_ARG_DST, to}});
}

/// Products of the matrices as they lie: packing weights as oneDNN likes them costs more than it saves.
class LinearLayer final : public Layer {
 public:
  LinearLayer(const Linear& linear, int batch)
      : linear_(linear),
        batch_(batch),
        input_(matrix(batch, linear.inputs)),
        output_(matrix(batch, linear.outputs)),
        output_transposed_(matrix(linear.outputs, batch, Tag::ba)),
        weight_(matrix(linear.outputs, linear.inputs)),
        weight_transposed_(matrix(linear.inputs, linear.outputs, Tag::ba)),
        bias_(matrix(1, linear.outputs)) {
    const OneThread one_thread;
    forward_ = make_product(input_, weight_transposed_, bias_, output_);
    weight_gradient_ = make_product(output_transposed_, input_, weight_);
    input_gradient_ = make_product(output_, weight_, input_);
  }

  std::size_t output_size() const override { return linear_.output_size() * batch_; }

  void forward(const float* parameters, const float* input, float* output) override {
    point(input_, input);
    point(weight_transposed_, parameters + linear_.weight_offset);
    point(bias_, parameters + linear_.bias_offset);
    point(output_, output);
    forward_.execute();
  }

  void backward(const float* parameters, const float* input, const float* output_gradient,
                float* input_gradient, float* gradient) override {
    point(output_transposed_, output_gradient);
    point(input_, input);
    point(weight_, gradient + linear_.weight_offset);
    weight_gradient_.execute();
    plain::bias_gradient(linear_, batch_, output_gradient, gradient + linear_.bias_offset);
    if (!input_gradient) return;
    // Last, since it may overwrite the input.
    point(output_, output_gradient);
    point(weight_, parameters + linear_.weight_offset);
    point(input_, input_gradient);
    input_gradient_.execute();
  }

 private:
  Linear linear_;
  int batch_;
  // The caller's: an activation or the gradient with respect to it, parameters or gradient.
  memory input_, output_, output_transposed_, weight_, weight_transposed_, bias_;
  Operation forward_, weight_gradient_, input_gradient_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Linear& linear, int batch) {
  return std::make_unique<LinearLayer>(linear, batch);
}

}  // namespace tardigrad::models::onednn
