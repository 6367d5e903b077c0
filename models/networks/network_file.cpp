#include "models/networks/network_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <sstream>
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

/// A name or another word of the file, for a message.
std::string shown(std::string_view text) { return is_layer_name(text) ? std::string(text) : in_quotes(text); }

using Table = const toml::table&;

// Values of a layer's keys. They throw std::invalid_argument without the place.

int number(Table layer, std::string_view key, std::optional<int> otherwise) {
  const toml::node* value = layer.get(key);
  if (!value && otherwise) return *otherwise;
  if (!value) throw std::invalid_argument(fmt::format("no {}, expected {} = a whole number", key, key));
  constexpr int most = std::numeric_limits<int>::max();
  const auto number = value->is_integer() ? value->value<std::int64_t>() : std::nullopt;
  if (number && *number >= 0 && *number <= most) return static_cast<int>(*number);
  const std::string found = number ? fmt::format(", found {}", *number) : "";
  throw std::invalid_argument(
      fmt::format("{}: expected {} = a whole number from 0 to {}{}", key, key, most, found));
}

double fraction(Table layer, std::string_view key) {
  const toml::node* value = layer.get(key);
  if (!value->is_number()) throw std::invalid_argument(fmt::format("{}: expected a number", key));
  return *value->value<double>();
}

bool truth(Table layer, std::string_view key, bool otherwise) {
  const toml::node* value = layer.get(key);
  if (!value) return otherwise;
  if (value->is_boolean()) return *value->value<bool>();
  throw std::invalid_argument(fmt::format("{}: expected true or false", key));
}

std::optional<std::string> word(Table layer, std::string_view key) {
  const toml::node* value = layer.get(key);
  if (!value) return std::nullopt;
  if (value->is_string()) return value->value<std::string>();
  throw std::invalid_argument(fmt::format("{}: expected a word in quotes", key));
}

/// The same, or a word for another number.
int number_or(Table layer, std::string_view key, std::string_view name, int named) {
  if (!layer.get(key)->is_string()) return number(layer, key, {});
  const std::string found = word(layer, key).value_or("");
  if (found == name) return named;
  throw std::invalid_argument(
      fmt::format("{} = {}: expected a whole number or \"{}\"", key, in_quotes(found), name));
}

PoolOptions pool(Table layer, std::string_view kind) {
  PoolOptions options;
  options.kernel = number(layer, kind, {});
  options.stride = number(layer, "stride", options.kernel);
  options.padding = number(layer, "padding", 0);
  return options;
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
    for (const auto& [key, value] : document_) require_known(key, {"layers", "blocks"});
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
    std::ostringstream description;  // without comments, and in one way of writing
    description << toml::json_formatter(document_);
    return at(*layers, [&] { return builder_.build(description.str()); });
  }

 private:
  /// Says how a kind of layer is written, and adds one.
  struct Kind {
    std::string_view name;
    std::string_view value;  ///< What its own key is set to; nothing where a word stands alone.
    std::vector<std::string> keys;
    void (*add)(NetworkReader& reader, Table layer, const std::string& name);
    bool has_layers = false;  ///< Which say themselves where they stand.
  };

  static const std::vector<Kind>& kinds() {
    using Reader = NetworkReader&;
    using Name = const std::string&;
    static const std::vector<Kind> kinds{
        {"conv",
         "the number of channels it gives",
         {"kernel", "stride", "padding", "groups", "bias"},
         [](Reader reader, Table layer, Name name) {
           reader.builder_.convolution({.channels = number(layer, "conv", {}),
                                        .kernel = number(layer, "kernel", {}),
                                        .stride = number(layer, "stride", 1),
                                        .padding = number(layer, "padding", 0),
                                        .groups = number(layer, "groups", 1),
                                        .bias = truth(layer, "bias", true)},
                                       name);
         }},
        {"linear",
         "the number of features it gives, or \"classes\"",
         {},
         [](Reader reader, Table layer, Name name) {
           reader.builder_.linear(number_or(layer, "linear", "classes", reader.classes_), name);
         }},
        {"relu", "", {}, [](Reader reader, Table, Name name) { reader.builder_.relu(name); }},
        {"gelu", "", {}, [](Reader reader, Table, Name name) { reader.builder_.gelu(name); }},
        {"group_norm",
         "the number of groups",
         {},
         [](Reader reader, Table layer, Name name) {
           reader.builder_.group_norm(number(layer, "group_norm", {}), name);
         }},
        {"layer_norm", "", {}, [](Reader reader, Table, Name name) { reader.builder_.layer_norm(name); }},
        {"max_pool",
         "the width of its windows",
         {"stride", "padding"},
         [](Reader reader, Table layer, Name name) {
           reader.builder_.max_pool(pool(layer, "max_pool"), name);
         }},
        {"avg_pool",
         "the width of its windows",
         {"stride", "padding"},
         [](Reader reader, Table layer, Name name) {
           reader.builder_.avg_pool(pool(layer, "avg_pool"), name);
         }},
        {"global_avg_pool",
         "",
         {},
         [](Reader reader, Table, Name name) { reader.builder_.global_avg_pool(name); }},
        {"dropout",
         "the probability",
         {},
         [](Reader reader, Table layer, Name name) {
           reader.builder_.dropout(fraction(layer, "dropout"), name);
         }},
        {"flatten", "", {}, [](Reader reader, Table, Name name) { reader.builder_.flatten(name); }},
        {"residual",
         "the layers of its branch",
         {"shortcut"},
         [](Reader reader, Table layer, Name name) { reader.add_residual(layer, name); },
         true},
        {"block",
         "the name of one of blocks",
         {"repeat"},
         [](Reader reader, Table layer, Name) { reader.add_block(layer); },
         true}};
    return kinds;
  }

  static const Kind* find_kind(std::string_view name) {
    const auto kind = std::ranges::find(kinds(), name, &Kind::name);
    return kind == kinds().end() ? nullptr : &*kind;
  }

  static std::vector<std::string> kind_names() {
    std::vector<std::string> names;
    for (const Kind& kind : kinds()) names.emplace_back(kind.name);
    return names;
  }

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
                                            unknown_name_message("key", shown(key.str()), known)));
  }

  void read_layers(std::string_view what, const toml::node& node) {
    const toml::array* list = node.as_array();
    if (!list) refuse(node, "{}: expected a list of layers", what);
    for (const toml::node& layer : *list) read_layer(layer);
  }

  void read_layer(const toml::node& node) {
    if (++layers_ > most_layers) refuse(node, "more than {} layers", most_layers);
    if (const auto* word = node.as_string()) {
      const Kind& kind = kind_of(node, word->get());
      if (!kind.value.empty()) refuse(node, "{}: expected {{{} = {}}}", kind.name, kind.name, kind.value);
      return add(kind, toml::table(), node);
    }
    const toml::table* table = node.as_table();
    if (!table) refuse(node, "expected a layer, such as \"relu\" or {{conv = 32, kernel = 3}}");
    const Kind& kind = kind_in(*table, node);
    std::vector<std::string> known = kind.keys;
    known.emplace_back(kind.name);
    if (kind.name != "block") known.emplace_back("name");
    for (const auto& [key, value] : *table) require_known(key, known);
    add(kind, *table, node);
  }

  /// That which one of the keys names.
  const Kind& kind_in(Table table, const toml::node& node) const {
    const Kind* kind = nullptr;
    std::optional<std::string_view> unknown;
    for (const auto& entry : table) {
      const std::string_view key = entry.first.str();
      const Kind* found = find_kind(key);
      if (found && kind) {
        refuse(node, "{} and {} in one layer, expected one of them", kind->name, found->name);
      }
      if (found) kind = found;
      const auto has_key = [key](const Kind& any) {
        return std::ranges::find(any.keys, key) != any.keys.end();
      };
      if (!found && key != "name" && std::ranges::none_of(kinds(), has_key)) unknown = key;
    }
    if (kind) return *kind;
    if (unknown) return kind_of(node, *unknown);
    refuse(node, "no kind of layer, expected one of {}", fmt::join(kind_names(), ", "));
  }

  const Kind& kind_of(const toml::node& node, std::string_view name) const {
    if (const Kind* kind = find_kind(name)) return *kind;
    if (name.starts_with("batch_norm") || name.starts_with("batchnorm")) {
      refuse(
          node,
          "{}: its statistics have no meaning where every worker has another model; expected group_norm or "
          "layer_norm",
          shown(name));
    }
    refuse(node, "{}", unknown_name_message("layer", shown(name), kind_names()));
  }

  void add(const Kind& kind, Table layer, const toml::node& node) {
    const toml::node* value = kind.value.empty() ? layer.get(kind.name) : nullptr;
    if (value && value->value_exact<bool>() != true) {
      refuse(node, "{}: expected {} = true, or the word alone", kind.name, kind.name);
    }
    const auto name = at(node, [&] { return word(layer, "name"); });
    if (name && !is_layer_name(*name)) {
      refuse(node, "{}: name {}, expected {}", kind.name, in_quotes(*name), layer_name_rule);
    }
    if (kind.has_layers) return kind.add(*this, layer, name.value_or(""));
    at(node, [&] { kind.add(*this, layer, name.value_or("")); });
  }

  void add_residual(Table layer, const std::string& name) {
    const toml::node& branch = *layer.get("residual");
    if (++depth_ > deepest) refuse(branch, "blocks in blocks more than {} deep", deepest);
    at(branch, [&] { builder_.begin_residual(name); });
    read_layers("residual", branch);
    if (const toml::node* shortcut = layer.get("shortcut")) {
      builder_.begin_shortcut();
      read_layers("shortcut", *shortcut);
    }
    at(branch, [&] { builder_.end_residual(); });
    --depth_;
  }

  void add_block(Table layer) {
    const toml::node& use = *layer.get("block");
    const std::string name = at(use, [&] { return word(layer, "block").value_or(""); });
    if (!is_layer_name(name)) refuse(use, "block {}: expected {}", in_quotes(name), layer_name_rule);
    if (open_.size() >= deepest) refuse(use, "blocks in blocks more than {} deep", deepest);
    if (std::ranges::find(open_, name) != open_.end()) {
      refuse(use, "block {} uses itself, by way of block {}", name, open_.back());
    }
    const int repeat = at(use, [&] { return number(layer, "repeat", 1); });
    if (repeat < 1 || repeat > most_layers) refuse(use, "repeat {}, expected 1 to {}", repeat, most_layers);
    const toml::node& layers = block_called(name, use);
    open_.push_back(name);
    for (int i = 0; i < repeat; ++i) read_layers("blocks." + name, layers);
    open_.pop_back();
  }

  const toml::node& block_called(const std::string& name, const toml::node& use) const {
    if (!blocks_ || blocks_->empty()) refuse(use, "block {}: there is no blocks.{}", name, name);
    if (const toml::node* layers = blocks_->get(name)) {
      if (layers->is_array() && layers->as_array()->empty()) refuse(*layers, "blocks.{}: no layers", name);
      return *layers;
    }
    constexpr std::size_t most_named = 10;
    std::vector<std::string> known;
    for (const auto& [key, value] : *blocks_) {
      if (is_layer_name(key.str()) && known.size() < most_named) known.emplace_back(key.str());
    }
    refuse(use, "{}", unknown_name_message("block", name, known));
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
