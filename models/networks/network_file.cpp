#include "models/networks/network_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "models/networks/network_builder.h"
#include "runtime/base/json_text.h"
#include "runtime/base/nearest_name.h"
#include "runtime/base/toml_file.h"

namespace tardigrad::models {
namespace {

constexpr const char* flag = "--model";
constexpr int most_layers = 10000;    // those of blocks as often as they are used
constexpr std::size_t deepest = 100;  // blocks in blocks

/// Says what may be written of a kind of layer beside its name.
struct LayerKind {
  std::string_view name;
  std::string_view value;  ///< What its own key is set to; nothing where a word stands alone.
  std::vector<std::string> keys;
};

const std::vector<LayerKind>& layer_kinds() {
  static const std::vector<LayerKind> kinds{
      {"conv", "the number of channels it gives", {"kernel", "stride", "padding", "groups", "bias"}},
      {"linear", "the number of features it gives, or \"classes\"", {}},
      {"relu", "", {}},
      {"gelu", "", {}},
      {"group_norm", "the number of groups", {}},
      {"layer_norm", "", {}},
      {"max_pool", "the width of its windows", {"stride", "padding"}},
      {"avg_pool", "the width of its windows", {"stride", "padding"}},
      {"global_avg_pool", "", {}},
      {"dropout", "the probability", {}},
      {"flatten", "", {}},
      {"residual", "the layers of its branch", {"shortcut"}},
      {"block", "the name of one of [blocks]", {"repeat"}}};
  return kinds;
}

const LayerKind* find_kind(std::string_view name) {
  const auto kind = std::ranges::find(layer_kinds(), name, &LayerKind::name);
  return kind == layer_kinds().end() ? nullptr : &*kind;
}

std::vector<std::string> kind_names() {
  std::vector<std::string> names;
  for (const LayerKind& kind : layer_kinds()) names.emplace_back(kind.name);
  return names;
}

/// Reads a text and builds what it says.
class NetworkReader {
 public:
  NetworkReader(const std::string& name, std::string file, std::string_view text, const ImageShape& shape,
                int classes)
      : file_(std::move(file)),
        document_(parse_toml(flag, file_, text)),
        classes_(classes),
        builder_(name, shape) {}

  Architecture read() {
    for (const auto& [key, value] : document_) require_known(key, {"layers", "blocks", "description"});
    if (const toml::node* blocks = document_.get("blocks")) {
      if (!blocks->is_table()) refuse(*blocks, "blocks: expected a table of lists of layers");
      blocks_ = blocks->as_table();
    }
    const toml::node* layers = document_.get("layers");
    if (!layers) {
      throw std::invalid_argument(fmt::format("{} {}: no layers, expected layers = […]", flag, file_));
}
    read_layers("layers", *layers);
    const auto features = builder_.features();
    if (features != classes_) {
      refuse(*layers, "the last layer gives {}, expected {}, one a class of the data: end with {}",
             features ? fmt::format("{} features", *features) : "images", classes_, "{linear = \"classes\"}");
    }
    return at(*layers, [&] { return builder_.build(); });
  }

 private:
  template <typename... Values>
  [[noreturn]] void refuse(const toml::node& node, fmt::format_string<Values...> format,
                           Values&&... values) const {
    throw std::invalid_argument(fmt::format("{} {}:{}: {}", flag, file_, node.source().begin.line,
                                            fmt::format(format, std::forward<Values>(values)...)));
  }

  /// What `build` returns; what it throws is said of the place of the node.
  template <typename Build>
  std::invoke_result_t<Build> at(const toml::node& node, const Build& build) const {
    try {
      return build();
    } catch (const std::invalid_argument& error) {
      refuse(node, "{}", error.what());
    }
  }

  void require_known(const toml::key& key, const std::vector<std::string>& known) const {
    if (std::ranges::find(known, key.str()) != known.end()) return;
    throw std::invalid_argument(fmt::format("{} {}:{}: {}", flag, file_, key.source().begin.line,
                                            unknown_name_message("key", key.str(), known)));
  }

  void read_layers(std::string_view what, const toml::node& node) {
    const toml::array* list = node.as_array();
    if (!list) refuse(node, "{}: expected a list of layers", what);
    for (const toml::node& layer : *list) read_layer(layer);
  }

  void read_layer(const toml::node& node) {
    if (++layers_ > most_layers) refuse(node, "more than {} layers", most_layers);
    if (const auto* word = node.as_string()) {
      const LayerKind& kind = kind_of(node, word->get());
      if (!kind.value.empty()) refuse(node, "{}: expected {{{} = {}}}", kind.name, kind.name, kind.value);
      return add(kind, toml::table(), node);
    }
    const toml::table* table = node.as_table();
    if (!table) refuse(node, "expected a layer, such as \"relu\" or {{conv = 32, kernel = 3}}");
    const LayerKind* kind = nullptr;
    for (const auto& [key, value] : *table) {
      const LayerKind* found = find_kind(key.str());
      if (found && kind) {
        refuse(node, "{} and {} in one layer, expected one of them", kind->name, found->name);
}
      if (found) kind = found;
    }
    if (!kind) {
      if (table->empty()) refuse(node, "expected a layer, such as \"relu\" or {{conv = 32, kernel = 3}}");
      kind = &kind_of(node, table->begin()->first.str());
    }
    std::vector<std::string> known = kind->keys;
    known.emplace_back(kind->name);
    if (kind->name != "block") known.emplace_back("name");
    for (const auto& [key, value] : *table) require_known(key, known);
    add(*kind, *table, node);
  }

  const LayerKind& kind_of(const toml::node& node, std::string_view name) const {
    if (const LayerKind* kind = find_kind(name)) return *kind;
    if (name.starts_with("batch_norm") || name.starts_with("batchnorm")) {
      refuse(
          node,
          "{}: its statistics have no meaning where every worker has another model; expected group_norm or "
          "layer_norm",
          name);
    }
    refuse(node, "{}", unknown_name_message("layer", name, kind_names()));
  }

  void add(const LayerKind& kind, const toml::table& layer, const toml::node& node) {
    if (kind.name == "residual") return add_residual(layer, node);
    if (kind.name == "block") return add_block(layer);
    const std::string name = text(layer, "name").value_or("");
    const toml::node* value = kind.value.empty() ? layer.get(kind.name) : nullptr;
    if (value && value->value_exact<bool>() != true) {
      refuse(node, "{}: expected {} = true, or the word alone", kind.name, kind.name);
    }
    at(node, [&] { add_simple(kind, layer, name); });
  }

  void add_simple(const LayerKind& kind, const toml::table& layer, const std::string& name) {
    if (kind.name == "conv") {
      builder_.convolution({.channels = number(layer, "conv", {}),
                            .kernel = number(layer, "kernel", {}),
                            .stride = number(layer, "stride", 1),
                            .padding = number(layer, "padding", 0),
                            .groups = number(layer, "groups", 1),
                            .bias = truth(layer, "bias", true)},
                           name);
    } else if (kind.name == "linear") {
      builder_.linear(text(layer, "linear", "classes") ? classes_ : number(layer, "linear", {}), name);
    } else if (kind.name == "relu") {
      builder_.relu(name);
    } else if (kind.name == "gelu") {
      builder_.gelu(name);
    } else if (kind.name == "group_norm") {
      builder_.group_norm(number(layer, "group_norm", {}), name);
    } else if (kind.name == "layer_norm") {
      builder_.layer_norm(name);
    } else if (kind.name == "max_pool") {
      builder_.max_pool(pool(layer, "max_pool"), name);
    } else if (kind.name == "avg_pool") {
      builder_.avg_pool(pool(layer, "avg_pool"), name);
    } else if (kind.name == "global_avg_pool") {
      builder_.global_avg_pool(name);
    } else if (kind.name == "dropout") {
      builder_.dropout(fraction(layer, "dropout"), name);
    } else {
      builder_.flatten(name);
    }
  }

  void add_residual(const toml::table& layer, const toml::node& node) {
    if (++depth_ > deepest) refuse(node, "blocks in blocks more than {} deep", deepest);
    at(node, [&] { builder_.begin_residual(text(layer, "name").value_or("")); });
    read_layers("residual", *layer.get("residual"));
    if (const toml::node* shortcut = layer.get("shortcut")) {
      builder_.begin_shortcut();
      read_layers("shortcut", *shortcut);
    }
    at(node, [&] { builder_.end_residual(); });
    --depth_;
  }

  void add_block(const toml::table& layer) {
    const toml::node& use = *layer.get("block");
    const auto name = use.value<std::string>();
    if (!name) refuse(use, "block: expected the name of one of [blocks]");
    if (open_.size() >= deepest) refuse(use, "blocks in blocks more than {} deep", deepest);
    if (const auto first = std::ranges::find(open_, *name); first != open_.end()) {
      refuse(use, "block {} uses itself: {} > {}", *name,
             fmt::join(first, std::min(first + 3, open_.end()), " > "),
             open_.end() - first > 3 ? "…" : *name);
    }
    std::vector<std::string> known;
    for (const auto& [key, value] : blocks_ ? *blocks_ : toml::table()) known.emplace_back(key.str());
    const toml::node* layers = blocks_ ? blocks_->get(*name) : nullptr;
    if (!layers) refuse(use, "{}", unknown_name_message("block", *name, known));
    if (!is_layer_name(*name)) refuse(use, "block {}: expected {}", in_quotes(*name), layer_name_rule);
    open_.push_back(*name);
    const int repeat = at(use, [&] { return number(layer, "repeat", 1); });
    if (repeat < 1 || repeat > most_layers) refuse(use, "repeat {}, expected 1 to {}", repeat, most_layers);
    for (int i = 0; i < repeat; ++i) read_layers(*name, *layers);
    open_.pop_back();
  }

  // Values of a layer's keys. They throw std::invalid_argument without the place.

  static int number(const toml::table& layer, std::string_view key, std::optional<int> otherwise) {
    const toml::node* value = layer.get(key);
    if (!value && otherwise) return *otherwise;
    const auto number = value && value->is_integer() ? value->value<std::int64_t>() : std::nullopt;
    if (number && *number >= 0 && *number <= std::numeric_limits<int>::max()) {
      return static_cast<int>(*number);
}
    throw std::invalid_argument(fmt::format("{}: expected {} = a whole number", key, key));
  }

  static double fraction(const toml::table& layer, std::string_view key) {
    const toml::node* value = layer.get(key);
    if (!value->is_number()) throw std::invalid_argument(fmt::format("{}: expected a number", key));
    return *value->value<double>();
  }

  static bool truth(const toml::table& layer, std::string_view key, bool otherwise) {
    const toml::node* value = layer.get(key);
    if (!value) return otherwise;
    if (value->is_boolean()) return *value->value<bool>();
    throw std::invalid_argument(fmt::format("{}: expected true or false", key));
  }

  /// Whether a key has a word, which must be this one.
  static bool text(const toml::table& layer, std::string_view key, std::string_view expected) {
    const toml::node* value = layer.get(key);
    if (!value->is_string()) return false;
    if (*value->value<std::string_view>() == expected) return true;
    throw std::invalid_argument(fmt::format("{} = \"{}\": expected a whole number or \"{}\"", key,
                                            *value->value<std::string_view>(), expected));
  }

  std::optional<std::string> text(const toml::table& layer, std::string_view key) const {
    const toml::node* value = layer.get(key);
    if (!value) return std::nullopt;
    if (!value->is_string()) refuse(*value, "{}: expected a word in quotes", key);
    return value->value<std::string>();
  }

  static PoolOptions pool(const toml::table& layer, std::string_view kind) {
    PoolOptions options;
    options.kernel = number(layer, kind, {});
    options.stride = number(layer, "stride", options.kernel);
    options.padding = number(layer, "padding", 0);
    return options;
  }

  std::string file_;
  toml::table document_;
  const toml::table* blocks_ = nullptr;
  int classes_;
  NetworkBuilder builder_;
  std::vector<std::string> open_;  // blocks that are being read
  int layers_ = 0;
  std::size_t depth_ = 0;
};

}  // namespace

Architecture parse_network(const std::string& name, const std::string& file, std::string_view text,
                           const ImageShape& shape, int classes) {
  return NetworkReader(name, file, text, shape, classes).read();
}

}  // namespace tardigrad::models
