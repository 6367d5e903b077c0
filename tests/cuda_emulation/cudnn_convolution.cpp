// The arithmetic of a convolution: every image is unfolded into the matrix of the inputs under the filter
// (pixels × depth, depth = r·s·c), which turns the three directions into products of matrices.
#include "tests/cuda_emulation/cudnn_convolution.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "tests/cuda_emulation/matrix_product.h"

namespace tardigrad::emulation {
namespace {

using Size = std::size_t;

/// Calls visit(offset) for every element, in the order n, h, w, c.
template <typename Visit>
void visit_channels_last(const cudnnTensorStruct& tensor, Visit visit) {
  const auto at = [&](Size axis, int i) {
    return static_cast<Size>(i) * static_cast<Size>(tensor.stride[axis]);
  };
  for (int n = 0; n < tensor.size[0]; ++n) {
    for (int h = 0; h < tensor.size[2]; ++h) {
      for (int w = 0; w < tensor.size[3]; ++w) {
        const Size pixel = at(0, n) + at(2, h) + at(3, w);
        for (int c = 0; c < tensor.size[1]; ++c) visit(pixel + at(1, c));
      }
    }
  }
}

/// The tensor as fp32, packed with channels last.
std::vector<float> read(const cudnnTensorStruct& tensor, const void* data, bool as_tf32) {
  const Format format = format_of(tensor.type);
  std::vector<float> values;
  values.reserve(tensor.extent());
  visit_channels_last(tensor, [&](Size at) {
    const float value = load(format, data, at);
    values.push_back(as_tf32 ? round_to_tf32(value) : value);
  });
  return values;
}

void write(const cudnnTensorStruct& tensor, const std::vector<float>& values, float alpha, float beta,
           void* data) {
  const Format format = format_of(tensor.type);
  const float* value = values.data();
  visit_channels_last(tensor, [&](Size at) {
    const float scaled = alpha * *value++;
    store(format, data, at, beta == 0 ? scaled : scaled + beta * load(format, data, at));
  });
}

/// Visits the pixels of the output and the places in the filter for which there is an input: visit(pixel,
/// tap, input pixel), a tap being the place r·S + s.
template <typename Visit>
void visit_taps(const Convolution& p, Visit visit) {
  const int rows = p.w.size[2];
  const int columns = p.w.size[3];
  const bool flipped = p.how.mode == CUDNN_CONVOLUTION;
  for (int oh = 0; oh < p.y.size[2]; ++oh) {
    for (int ow = 0; ow < p.y.size[3]; ++ow) {
      for (int r = 0; r < rows; ++r) {
        const int h = oh * p.how.stride[0] + r * p.how.dilation[0] - p.how.pad[0];
        if (h < 0 || h >= p.x.size[2]) continue;
        for (int s = 0; s < columns; ++s) {
          const int w = ow * p.how.stride[1] + s * p.how.dilation[1] - p.how.pad[1];
          if (w < 0 || w >= p.x.size[3]) continue;
          const int tap = flipped ? (rows - 1 - r) * columns + columns - 1 - s : r * columns + s;
          visit(static_cast<Size>(oh * p.y.size[3] + ow), static_cast<Size>(tap),
                static_cast<Size>(h * p.x.size[3] + w));
        }
      }
    }
  }
}

/// One computation: the sizes, as Size, and the tensors as fp32 with channels last.
class Computation {
 public:
  Computation(const Convolution& convolution, const Algorithm& algorithm, void* workspace)
      : p_(convolution),
        images_(static_cast<Size>(p_.x.size[0])),
        groups_(static_cast<Size>(p_.how.groups)),
        inputs_(static_cast<Size>(p_.x.size[1])),
        inputs_each_(static_cast<Size>(p_.w.size[1])),
        input_pixels_(static_cast<Size>(p_.x.size[2] * p_.x.size[3])),
        outputs_(static_cast<Size>(p_.w.size[0])),
        outputs_each_(static_cast<Size>(p_.outputs_each())),
        pixels_(static_cast<Size>(p_.pixels())),
        depth_(static_cast<Size>(p_.depth())) {
    parts_.count = algorithm.parts;
    if (!algorithm.deterministic) {
      static std::atomic<Size> runs{0};
      turn_ = runs++;
      parts_.first = turn_ % parts_.count;
    }
    if (const Size bytes = workspace_bytes(p_, algorithm); bytes > 0) {
      // At its end, so that a workspace which is too small is overrun.
      unfolded_ = static_cast<float*>(workspace) + (bytes - p_.unfolded_bytes()) / sizeof(float);
    } else {
      own_.resize(pixels_ * depth_);
      unfolded_ = own_.data();
    }
  }

  std::vector<float> forward(const std::vector<float>& x, const std::vector<float>& w) {
    std::vector<float> y(images_ * pixels_ * outputs_);
    visit_groups([&](Size image, Size group) {
      unfold(image_of(x, image) + group * inputs_each_);
      add_product(pixels_, outputs_each_, depth_, {unfolded_, depth_, 1}, {filter(w, group), 1, depth_},
                  y.data() + image * pixels_ * outputs_ + group * outputs_each_, outputs_, parts_);
    });
    return y;
  }

  std::vector<float> backward_data(const std::vector<float>& w, const std::vector<float>& dy) {
    std::vector<float> dx(images_ * input_pixels_ * inputs_);
    visit_groups([&](Size image, Size group) {
      std::fill_n(unfolded_, pixels_ * depth_, 0.0F);
      add_product(pixels_, depth_, outputs_each_, {gradient(dy, image, group), outputs_, 1},
                  {filter(w, group), depth_, 1}, unfolded_, depth_, parts_);
      float* into = dx.data() + image * input_pixels_ * inputs_ + group * inputs_each_;
      visit_taps(p_, [&](Size pixel, Size tap, Size input) {
        const float* from = unfolded_ + pixel * depth_ + tap * inputs_each_;
        for (Size c = 0; c < inputs_each_; ++c) into[input * inputs_ + c] += from[c];
      });
    });
    return dx;
  }

  std::vector<float> backward_filter(const std::vector<float>& x, const std::vector<float>& dy) {
    std::vector<float> dw(outputs_ * depth_);
    visit_groups([&](Size image, Size group) {
      unfold(image_of(x, image) + group * inputs_each_);
      add_product(outputs_each_, depth_, pixels_, {gradient(dy, image, group), 1, outputs_},
                  {unfolded_, depth_, 1}, dw.data() + group * outputs_each_ * depth_, depth_, parts_);
    });
    return dw;
  }

 private:
  /// Image by image; from another first one at each run where the algorithm isn't deterministic.
  template <typename Visit>
  void visit_groups(Visit visit) {
    for (Size i = 0; i < images_; ++i) {
      for (Size group = 0; group < groups_; ++group) visit((i + turn_) % images_, group);
    }
  }

  void unfold(const float* image) {
    std::fill_n(unfolded_, pixels_ * depth_, 0.0F);  // where there is padding
    visit_taps(p_, [&](Size pixel, Size tap, Size input) {
      std::copy_n(image + input * inputs_, inputs_each_, unfolded_ + pixel * depth_ + tap * inputs_each_);
    });
  }

  const float* image_of(const std::vector<float>& x, Size image) const {
    return x.data() + image * input_pixels_ * inputs_;
  }
  const float* gradient(const std::vector<float>& dy, Size image, Size group) const {
    return dy.data() + image * pixels_ * outputs_ + group * outputs_each_;
  }
  /// outputs_each × depth
  const float* filter(const std::vector<float>& w, Size group) const {
    return w.data() + group * outputs_each_ * depth_;
  }

  const Convolution& p_;
  Size images_, groups_, inputs_, inputs_each_, input_pixels_, outputs_, outputs_each_, pixels_, depth_;
  Parts parts_;
  Size turn_ = 0;
  std::vector<float> own_;
  float* unfolded_;
};

}  // namespace

void compute(const Convolution& p, Direction direction, const Algorithm& algorithm, float alpha,
             const void* first, const void* second, float beta, void* out, void* workspace) {
  const bool as_tf32 = p.x.type == CUDNN_DATA_FLOAT && p.how.math != CUDNN_FMA_MATH;
  Computation computation(p, algorithm, workspace);
  // A packed filter k × r × s × c is outputs × depth, each group's rows together.
  const cudnnTensorStruct w = p.w.tensor();
  switch (direction) {
    case Direction::forward:
      return write(p.y, computation.forward(read(p.x, first, as_tf32), read(w, second, as_tf32)), alpha, beta,
                   out);
    case Direction::backward_data:
      return write(p.x, computation.backward_data(read(w, first, as_tf32), read(p.y, second, as_tf32)), alpha,
                   beta, out);
    case Direction::backward_filter:
      return write(w, computation.backward_filter(read(p.x, first, as_tf32), read(p.y, second, as_tf32)),
                   alpha, beta, out);
  }
}

void bias_gradient(const cudnnTensorStruct& dy_tensor, const void* dy, float alpha, float beta,
                   const cudnnTensorStruct& db_tensor, void* db) {
  const std::vector<float> gradient = read(dy_tensor, dy, false);
  std::vector<float> sums(static_cast<Size>(dy_tensor.size[1]));
  for (Size i = 0; i < gradient.size(); ++i) sums[i % sums.size()] += gradient[i];
  write(db_tensor, sums, alpha, beta, db);
}

}  // namespace tardigrad::emulation
