#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/architecture.h"

namespace tardigrad::models {

/// Tells whether layers and blocks may be called so: letters, digits and _, no digit first, 64 at most.
bool is_layer_name(std::string_view text);
inline constexpr const char* layer_name_rule = "up to 64 letters, digits and _, no digit first";

/// Says how a convolution is, as layers/convolution.h has it.
struct ConvolutionOptions {
  int channels = 0;  ///< Of the output.
  int kernel = 3;    ///< 1 to 7
  int stride = 1;
  int padding = 0;
  int groups = 1;
  bool bias = true;
};

/// Says which windows are pooled, as layers/pool.h has it.
struct PoolOptions {
  int kernel = 2;
  std::optional<int> stride = {};  ///< That of the kernel, if it isn't given.
  int padding = 0;                 ///< At most half of the kernel.
};

/// Builds an architecture layer by layer. Each layer must fit what the layers so far give, images or
/// features; otherwise it is refused by std::invalid_argument, which names the layer, what comes in and what
/// was expected.
///
/// A layer has the name given, or else that of its kind and a number, in order: conv1, fc1, norm1, relu1,
/// gelu1, pool1, dropout1, flatten1, block1. Its tensors have that of the layer in front: "conv1.weight".
class NetworkBuilder {
 public:
  /// Begins a network that reads images of that shape. Throws std::invalid_argument for more than 2³⁰
  /// elements.
  NetworkBuilder(std::string name, const ImageShape& input);

  NetworkBuilder& convolution(const ConvolutionOptions& options, const std::string& name = {});
  NetworkBuilder& linear(int outputs, const std::string& name = {});
  NetworkBuilder& relu(const std::string& name = {});
  NetworkBuilder& gelu(const std::string& name = {});
  NetworkBuilder& group_norm(int groups, const std::string& name = {});
  NetworkBuilder& layer_norm(const std::string& name = {});
  NetworkBuilder& max_pool(const PoolOptions& options = {}, const std::string& name = {});
  NetworkBuilder& avg_pool(const PoolOptions& options = {}, const std::string& name = {});
  NetworkBuilder& global_avg_pool(const std::string& name = {});
  /// Drops with a probability in [0, 1).
  NetworkBuilder& dropout(double probability, const std::string& name = {});
  NetworkBuilder& flatten(const std::string& name = {});

  /// Begins a residual block with the branch, whose layers follow, goes over to its shortcut, where that has
  /// layers, and ends it. Throws std::logic_error in any other order.
  NetworkBuilder& begin_residual(const std::string& name = {});
  NetworkBuilder& begin_shortcut();
  NetworkBuilder& end_residual();

  /// Returns the number of features, or nothing where the layers so far give images.
  std::optional<int> features() const;

  /// Ends the network, after which the builder is of no more use. `description` says of what layers it is, as
  /// Architecture::digest() tells networks apart. Throws std::invalid_argument unless the last layer gives
  /// two features or more, one a class, and a layer has parameters.
  Architecture build(std::string_view description = {});

 private:
  /// Is what goes through layers: images, or {features, 1, 1}.
  struct Activation {
    ImageShape shape = {};
    bool is_flat = false;
    bool is_image = false;  ///< The network's own, which no gradient is wanted with respect to.

    bool same_shape(const Activation& other) const;
  };
  /// Is a list of layers that is being filled.
  struct Scope {
    std::string prefix = {};  ///< Of the names in it, e.g. "block1.branch.".
    Activation now = {};
    std::vector<LayerSpec> layers = {};
    std::map<std::string, int, std::less<>> numbers = {};  ///< Of the layers of each kind so far.
    std::vector<std::string> names = {};
  };
  /// Is a block that is being filled; its layers so far lie in a scope.
  struct OpenBlock {
    std::string name = {};
    Activation input = {};
    std::optional<Scope> branch = {};  ///< Where its shortcut is being filled.
  };

  static std::string describe(const Activation& activation);
  Scope& scope() { return scopes_.back(); }
  Activation& now() { return scope().now; }
  const Activation& now() const { return scopes_.back().now; }
  void require_images(std::string_view kind) const;
  template <typename Pool>
  NetworkBuilder& pool(std::string_view kind, const PoolOptions& options, const std::string& name);
  PoolWindows windows(std::string_view kind, const PoolOptions& options) const;
  std::string take_name(std::string_view kind, const std::string& given);
  std::size_t add_tensor(const std::string& name, std::vector<std::int64_t> shape, InitialValues values);
  void append(std::string_view kind, const std::string& name, LayerSpec layer, Activation output,
              std::size_t parameters = 0, double products = 0);

  Architecture architecture_;
  std::vector<Scope> scopes_;
  std::vector<OpenBlock> blocks_;
  std::uint64_t dropouts_ = 0;
};

}  // namespace tardigrad::models
