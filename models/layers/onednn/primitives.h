#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <utility>

namespace tardigrad::models::onednn {

/// Returns the CPU as oneDNN sees it: one object for the process, which any thread may use.
const dnnl::engine& cpu();

/// Keeps the calling thread's OpenMP regions at one thread while it lives. oneDNN asks for that number when a
/// primitive is created, where it fixes the order of sums, and again when it is executed.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int previous_;
};

/// Describes an array of float32.
dnnl::memory::desc describe(const dnnl::memory::dims& shape, dnnl::memory::format_tag format);

/// Makes an array that lies in the caller's memory: see point().
dnnl::memory view(const dnnl::memory::desc& description);

/// Makes a view look at `data`.
void point(dnnl::memory& view, const float* data);

/// Returns the attributes that Operation needs its primitives to be made with.
dnnl::primitive_attr attributes();

/// Is a primitive and its operands by DNNL_ARG_…, ready to be executed any number of times.
class Operation {
 public:
  using Operands = std::unordered_map<int, dnnl::memory>;

  Operation() = default;
  Operation(dnnl::primitive primitive, const dnnl::memory::desc& scratchpad, Operands operands);

  /// Takes a `description` that was made with attributes() and while a OneThread lived.
  template <typename Primitive>
  static Operation make(const typename Primitive::primitive_desc& description, Operands operands) {
    return {Primitive(description), description.scratchpad_desc(), std::move(operands)};
  }

  /// Makes an operation that copies between two formats.
  static Operation make_reorder(const dnnl::memory& from, const dnnl::memory& to);

  /// Executes it on the calling thread.
  void execute();

 private:
  dnnl::primitive primitive_;
  Operands operands_;
  dnnl::stream stream_;
};

}  // namespace tardigrad::models::onednn
