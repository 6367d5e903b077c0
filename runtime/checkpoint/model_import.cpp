#include "runtime/checkpoint/model_import.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string_view>
#include <vector>

#include "kernels/bf16.h"
#include "runtime/base/json_text.h"
#include "runtime/base/refuse_file.h"
#include "runtime/checkpoint/safetensors.h"

namespace tardigrad {
namespace {

namespace fs = std::filesystem;

/// The element that the bytes are.
template <typename Element>
Element element_at(const char* bytes) {
  Element element;
  std::memcpy(&element, bytes, sizeof(element));
  return element;
}

/// Every number of that format, to the bit: a sign, five bits of exponent, ten of fraction.
double from_f16(const char* bytes) {
  const auto bits = element_at<std::uint16_t>(bytes);
  const int exponent = bits >> 10 & 0x1f;
  const int fraction = bits & 0x3ff;
  const double sign = bits >> 15 != 0 ? -1 : 1;
  if (exponent == 0x1f) return sign * (fraction == 0 ? HUGE_VAL : std::nan(""));
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(fraction + 0x400, exponent - 25);
}

struct ForeignType {
  std::string_view name;
  std::size_t bytes;  // of an element
  double (*read)(const char* bytes);
};

constexpr std::array<ForeignType, 4> foreign_types = {{
    {"F32", 4, [](const char* bytes) { return static_cast<double>(element_at<float>(bytes)); }},
    {"F16", 2, from_f16},
    {"BF16", 2, [](const char* bytes) { return static_cast<double>(widen(element_at<Bf16>(bytes))); }},
    {"F64", 8, element_at<double>},
}};

/// "12, 3", of an element by its place among all.
std::string index_of(std::size_t element, const std::vector<std::int64_t>& shape) {
  std::vector<std::size_t> index(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    const auto length = static_cast<std::size_t>(shape[axis]);
    index[axis] = element % length;
    element /= length;
  }
  return fmt::format("{}", fmt::join(index, ", "));
}

/// What a name is when all that wraps a model is taken off.
std::string_view without_wrappers(std::string_view name) {
  constexpr std::array<std::string_view, 2> wrappers = {"module.", "_orig_mod."};
  while (true) {
    const auto wrapper =
        std::ranges::find_if(wrappers, [&](std::string_view one) { return name.starts_with(one); });
    if (wrapper == wrappers.end()) return name;
    name.remove_prefix(wrapper->size());
  }
}

/// A file, or all that a pipe has to say.
struct Source {
  std::unique_ptr<std::istream> stream;
  std::uint64_t bytes = 0;
};

Source open_source(const fs::path& path) {
  std::error_code error;
  auto file = std::make_unique<std::ifstream>(path, std::ios::binary);
  if (!*file || !fs::exists(path, error) || fs::is_regular_file(path, error) ||
      fs::is_directory(path, error)) {
    const std::uint64_t bytes = file_bytes(path, *file);
    return {std::move(file), bytes};
  }
  auto text = std::make_unique<std::stringstream>();
  *text << file->rdbuf();
  text->clear();  // nothing at all is no failure of the stream
  const std::uint64_t bytes = text->view().size();
  return {std::move(text), bytes};
}

class ModelImport {
 public:
  explicit ModelImport(const fs::path& path) : path_(path), source_(open_source(path)) {
    refuse_pickle();
    contents_ = read_safetensors_header(path, *source_.stream, source_.bytes);
    for (const auto& [name, entry] : contents_.header->items()) {
      const auto [other, is_new] = names_.emplace(without_wrappers(name), name);
      if (!is_new) {
        refuse_file(path, fmt::format("{} and {} would be the same tensor", in_quotes(other->second),
                                      in_quotes(name)));
      }
    }
  }

  void read(const TensorSpec& tensor, std::span<float> values) {
    const auto name = names_.find(tensor.name);
    if (name == names_.end()) refuse_others(fmt::format("has no tensor \"{}\"", tensor.name));
    unwrapped_ |= name->second != tensor.name;
    const SafetensorsEntry entry = read_safetensors_entry(path_, contents_, name->second);
    const auto type = std::ranges::find(foreign_types, entry.dtype, &ForeignType::name);
    if (type == foreign_types.end()) {
      refuse_others(fmt::format("tensor \"{}\" is {}; expected F32, F16, BF16 or F64", tensor.name,
                                in_quotes(entry.dtype)));
    }
    if (entry.shape != tensor.shape) {
      refuse_others(fmt::format("tensor \"{}\" has shape [{}]; expected [{}]", tensor.name,
                                describe_shape(entry.shape), describe_shape(tensor.shape)));
    }
    const std::uint64_t begin = begin_of_tensor(path_, contents_, tensor, entry, type->bytes);
    data_bytes_ += tensor.elements() * type->bytes;
    if (type != foreign_types.begin()) ++converted_[std::string(type->name)];
    convert(tensor, *type, begin, values.subspan(tensor.offset, tensor.elements()));
  }

  void require_no_more(const ParameterLayout& layout) const {
    std::set<std::string_view> known;
    for (const TensorSpec& tensor : layout.tensors()) known.insert(tensor.name);
    for (const auto& [name, original] : names_) {
      if (known.contains(name)) continue;
      refuse_others(fmt::format("tensor {} does not belong to this model", in_quotes(original)));
    }
    require_data_bytes(path_, contents_, data_bytes_);
  }

  std::string note() const {
    std::vector<std::string> notes;
    for (const auto& [type, tensors] : converted_) {
      notes.push_back(fmt::format("{} tensor{} converted from {}", tensors, tensors == 1 ? "" : "s", type));
    }
    if (unwrapped_) notes.emplace_back("names taken without \"module.\" or \"_orig_mod.\" before them");
    return fmt::format("{}", fmt::join(notes, ", "));
  }

 private:
  /// What torch.save writes is a ZIP archive; of its first bytes no header would be read.
  void refuse_pickle() {
    std::string begin(4, '\0');
    source_.stream->read(begin.data(), std::ssize(begin));
    source_.stream->clear();
    source_.stream->seekg(0);
    if (begin == "PK\x03\x04") {
      refuse_file(path_,
                  "is what torch.save writes; expected safetensors, as "
                  "safetensors.torch.save_file(model.state_dict(), FILE) writes them");
    }
  }

  void convert(const TensorSpec& tensor, const ForeignType& type, std::uint64_t begin,
               std::span<float> values) {
    std::vector<char> bytes(values.size() * type.bytes);
    source_.stream->seekg(static_cast<std::streamoff>(begin));
    if (!source_.stream->read(bytes.data(), std::ssize(bytes))) {
      refuse_file(path_, fmt::format("tensor \"{}\" cannot be read", tensor.name));
    }
    constexpr double least_beyond = 0x1.ffffffp127;  // what is below is rounded to a float
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double value = type.read(bytes.data() + i * type.bytes);
      if (!(std::abs(value) < least_beyond)) refuse_element(tensor, i, value);
      values[i] = static_cast<float>(value);
    }
  }

  [[noreturn]] void refuse_element(const TensorSpec& tensor, std::size_t element, double value) const {
    refuse_file(path_, fmt::format("tensor \"{}\": element [{}] is {}; expected {}", tensor.name,
                                   index_of(element, tensor.shape), value,
                                   std::isfinite(value) ? "what is in the range of F32" : "a finite number"));
  }

  /// With the tensors that there are.
  [[noreturn]] void refuse_others(const std::string& reason) const {
    constexpr std::size_t most_bytes = 360;  // of a line that people can read
    std::string list;
    std::size_t left_out = 0;
    for (const auto& [name, entry] : contents_.header->items()) {
      const std::string tensor = fmt::format("{} {}", in_quotes(name), describe_entry(name));
      if (left_out > 0 || list.size() + tensor.size() > most_bytes) {
        ++left_out;
      } else {
        list += (list.empty() ? "" : ", ") + tensor;
      }
    }
    if (left_out > 0) list += fmt::format("{}{} more", list.empty() ? "" : " and ", left_out);
    refuse_file(path_, fmt::format("{}; the file has {}", reason, list.empty() ? "no tensors" : list));
  }

  std::string describe_entry(const std::string& name) const {
    try {
      return fmt::format("[{}]", describe_shape(read_safetensors_entry(path_, contents_, name).shape));
    } catch (const std::invalid_argument&) {
      return "(damaged)";
    }
  }

  fs::path path_;
  Source source_;
  SafetensorsContents contents_;
  std::map<std::string, std::string, std::less<>> names_;  // in the file, by what they are
  std::uint64_t data_bytes_ = 0;                           // of the tensors read
  std::map<std::string, std::size_t> converted_;           // how many, by their types
  bool unwrapped_ = false;
};

}  // namespace

std::string import_model(const fs::path& path, const ParameterLayout& layout, std::span<float> values) {
  ModelImport import(path);
  for (const TensorSpec& tensor : layout.tensors()) import.read(tensor, values);
  import.require_no_more(layout);
  return import.note();
}

}  // namespace tardigrad
