#include "models/cuda/plan_cache.h"

#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <array>
#include <atomic>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "runtime/base/json_text.h"
#include "runtime/base/say.h"
#include "runtime/device/device.h"

namespace tardigrad::models::cuda {
namespace {

using Json = nlohmann::ordered_json;
using Path = std::filesystem::path;

std::string hash_of(const std::string& text) {
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

// cuBLASLt's algorithms are made to be kept: they are 64 bytes without pointers, good for the same version of
// the library (its documentation of cublasLtMatmulAlgo_t).
using AlgorithmWords = std::array<std::uint64_t, sizeof(cublasLtMatmulAlgo_t) / sizeof(std::uint64_t)>;
static_assert(sizeof(AlgorithmWords) == sizeof(cublasLtMatmulAlgo_t));

Json to_json(const ConvolutionEngine& engine) {
  Json knobs = Json::array();  // a number and a value, and so on
  for (const EngineKnob& knob : engine.knobs) {
    knobs.push_back(knob.type);
    knobs.push_back(knob.value);
  }
  return {{"index", engine.index}, {"knobs", knobs}, {"workspace_bytes", engine.workspace_bytes}};
}

template <typename Algorithm>
Json to_json(const AlgorithmChoice<Algorithm>& choice) {
  Json json{{"algorithm", static_cast<int>(choice.algorithm)},
            {"math", static_cast<int>(choice.math)},
            {"workspace_bytes", choice.algorithm_workspace_bytes}};
  if (choice.engine) json["engine"] = to_json(*choice.engine);
  return json;
}

Json to_json(const ProductAlgorithm& product) {
  AlgorithmWords words{};
  std::memcpy(words.data(), &product.matmul.algorithm, sizeof(words));
  return {{"fused", product.fused ? 1 : 0},
          {"algorithm", words},
          {"workspace_bytes", product.matmul.workspace_bytes}};
}

template <typename Layer>
Json directions(const Layer& layer) {
  return {{"forward", to_json(layer.forward)},
          {"backward_data", to_json(layer.backward_data)},
          {"backward_weight", to_json(layer.backward_weight)}};
}

const Json& member(const Json& object, const char* name, Json::value_t type) {
  if (!object.is_object() || !object.contains(name) || object.at(name).type() != type) {
    throw std::invalid_argument(fmt::format("no {}", name));
  }
  return object.at(name);
}

ConvolutionEngine read_engine(const Json& from) {
  ConvolutionEngine engine;
  engine.index = json_member(from, "index");
  const std::vector<std::int64_t> knobs = json_member(from, "knobs");
  for (std::size_t i = 0; i < knobs.size(); i += 2) {
    if (i + 1 == knobs.size() || knobs[i] < 0 || knobs[i] >= CUDNN_KNOB_TYPE_COUNTS) {
      throw std::invalid_argument("no knob of an engine of cuDNN's");
    }
    engine.knobs.push_back({static_cast<int>(knobs[i]), knobs[i + 1]});
  }
  engine.workspace_bytes = json_member(from, "workspace_bytes");
  return engine;
}

template <typename Algorithm>
void read(const Json& from, AlgorithmChoice<Algorithm>& choice) {
  const int algorithm = json_member(from, "algorithm");
  const int math = json_member(from, "math");
  if (algorithm < 0 || math < CUDNN_DEFAULT_MATH || math > CUDNN_FMA_MATH) {
    throw std::invalid_argument("no algorithm of cuDNN's");
  }
  choice.algorithm = static_cast<Algorithm>(algorithm);
  choice.math = static_cast<cudnnMathType_t>(math);
  choice.algorithm_workspace_bytes = json_member(from, "workspace_bytes");
  if (from.contains("engine")) choice.engine = read_engine(member(from, "engine", Json::value_t::object));
}

void read(const Json& from, ProductAlgorithm& product) {
  const int fused = json_member(from, "fused");
  const std::vector<std::uint64_t> words = json_member(from, "algorithm");
  if (words.size() != AlgorithmWords().size()) throw std::invalid_argument("no algorithm of cuBLASLt's");
  product.fused = fused != 0;
  std::memcpy(&product.matmul.algorithm, words.data(), sizeof(AlgorithmWords));
  product.matmul.workspace_bytes = json_member(from, "workspace_bytes");
}

template <typename Layer>
Layer read_directions(const Json& from) {
  Layer layer;
  read(member(from, "forward", Json::value_t::object), layer.forward);
  read(member(from, "backward_data", Json::value_t::object), layer.backward_data);
  read(member(from, "backward_weight", Json::value_t::object), layer.backward_weight);
  return layer;
}

template <typename Layer>
std::vector<Layer> read_layers(const Json& plan, const char* name) {
  std::vector<Layer> layers;
  for (const Json& from : member(plan, name, Json::value_t::array)) {
    layers.push_back(read_directions<Layer>(from));
  }
  return layers;
}

/// The one of those values that has the name. Throws std::invalid_argument where none has.
template <typename Value>
Value parse_named(const std::string& name, std::initializer_list<Value> values) {
  for (const Value value : values) {
    if (name == name_of(value)) return value;
  }
  throw std::invalid_argument(fmt::format("a way to compute that is none: {}", name));
}

/// Its first bytes, more than any plan has.
std::string read_file(const Path& path) {
  std::string text(std::size_t{1} << 20, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

/// Whether all of it could be written.
bool write_file(const Path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  return file.good();
}

/// What a file holds: the key, the plan, and what finds damage.
std::string file_text(const Json& key, const Json& plan) {
  const Json file{{"key", key}, {"plan", plan}, {"xxh3", hash_of(json_text(key) + json_text(plan))}};
  return json_text(file) + "\n";
}

void tell(const Path& file, const std::string& what) {
  say_line("{}: {}; how to compute is chosen anew", file.string(), what);
}

}  // namespace

std::string plan_key(Device device, const Architecture& architecture, int batch,
                     const NetworkOptions& options) {
  const CurrentDevice current(device);
  cudaDeviceProp properties{};
  TARDIGRAD_CUDA_CHECK(cudaGetDeviceProperties(&properties, device.index), device);
  int driver = 0;
  int runtime = 0;
  TARDIGRAD_CUDA_CHECK(cudaDriverGetVersion(&driver), device);
  TARDIGRAD_CUDA_CHECK(cudaRuntimeGetVersion(&runtime), device);
  const ImageShape& images = architecture.input();
  std::vector<std::vector<std::int64_t>> parameters;
  for (const TensorSpec& tensor : architecture.layout().tensors()) parameters.push_back(tensor.shape);
  const Json key{{"format", 6},
                 {"gpu", properties.name},
                 {"compute_capability", {properties.major, properties.minor}},
                 {"multiprocessors", properties.multiProcessorCount},
                 {"cuda_of_driver", driver},
                 {"cuda", runtime},
                 {"cudnn", cudnnGetVersion()},
                 {"cublaslt", cublasLtGetVersion()},
                 {"network", architecture.name()},
                 {"layers", architecture.digest()},
                 {"images", {images.channels, images.height, images.width}},
                 {"parameters", parameters},
                 {"batch_size", batch},
                 {"precision", name_of(options.precision)},
                 {"deterministic", options.deterministic},
                 {"graphs", options.graphs},
                 {"workspace_limit", options.workspace_limit}};
  return json_text_of_any_bytes(key);
}

std::string plan_to_json(const Plan& plan) {
  Json convolutions = Json::array();
  for (const ConvolutionAlgorithms& layer : plan.convolutions) convolutions.push_back(directions(layer));
  Json linears = Json::array();
  for (const LinearAlgorithms& layer : plan.linears) linears.push_back(directions(layer));
  return json_text(
      Json{{"precision", name_of(plan.way.precision)},
           {"activations", name_of(plan.way.format)},
           {"parameter_gradients", name_of(plan.way.parameter_gradients)},
           {"first_layers", name_of(plan.way.first_layers)},
           {"first_convolution", plan.first_convolution ? directions(*plan.first_convolution) : Json()},
           {"convolutions", convolutions},
           {"linears", linears}});
}

Plan plan_from_json(const std::string& text) {
  const auto json = parse_json<Json>(text);
  Plan plan;
  plan.way.precision = parse_precision(std::string(json_member(json, "precision")));
  plan.way.format = parse_named(json_member(json, "activations"),
                                {ActivationFormat::channel_major, ActivationFormat::channels_last,
                                 ActivationFormat::channels_last_padded});
  plan.way.parameter_gradients = parse_named(json_member(json, "parameter_gradients"),
                                             {ParameterGradients::in_turn, ParameterGradients::beside});
  plan.way.first_layers =
      parse_named(json_member(json, "first_layers"), {FirstLayers::apart, FirstLayers::fused});
  if (plan.way.first_layers == FirstLayers::fused) {
    const Json& first = member(json, "first_convolution", Json::value_t::object);
    plan.first_convolution = read_directions<ConvolutionAlgorithms>(first);
  }
  plan.convolutions = read_layers<ConvolutionAlgorithms>(json, "convolutions");
  plan.linears = read_layers<LinearAlgorithms>(json, "linears");
  return plan;
}

Path PlanCache::file_of(const std::string& key) const { return folder_ / (hash_of(key) + ".json"); }

std::optional<Plan> PlanCache::load(const std::string& key) const {
  const Path file = file_of(key);
  std::error_code error;
  if (folder_.empty() || !std::filesystem::exists(file, error)) return std::nullopt;
  try {
    const std::string text = read_file(file);
    const auto json = parse_json<Json>(text);
    const Json& its_key = member(json, "key", Json::value_t::object);
    const Json& plan = member(json, "plan", Json::value_t::object);
    if (text != file_text(its_key, plan)) {
      tell(file, "damaged");
    } else if (json_text(its_key) != key) {
      tell(file, "for another GPU, library or network");
    } else {
      return plan_from_json(json_text(plan));
    }
  } catch (const std::invalid_argument&) {
    tell(file, "damaged");
  }
  return std::nullopt;
}

void PlanCache::store(const std::string& key, const Plan& plan) const {
  if (folder_.empty()) return;
  const Path file = file_of(key);
  static std::atomic<int> stored = 0;
  const Path unfinished = fmt::format("{}.{}.{}", file.string(), getpid(), stored++);
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (!error && !write_file(unfinished,
                            file_text(parse_own_json<Json>(key), parse_own_json<Json>(plan_to_json(plan))))) {
    error = std::make_error_code(std::errc::io_error);
  }
  if (!error) std::filesystem::rename(unfinished, file, error);
  if (!error) return;
  say_line("{}: how to compute cannot be kept for other runs: {}", file.string(), error.message());
  std::error_code ignored;
  std::filesystem::remove(unfinished, ignored);
}

}  // namespace tardigrad::models::cuda
