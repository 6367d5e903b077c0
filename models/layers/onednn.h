#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <utility>

namespace tardigrad::models::onednn {

/// The CPU as oneDNN sees it: one object for the process, which any thread may use.
const dnnl::engine& cpu();

/// While it lives, the calling thread's OpenMP regions have one thread. oneDNN asks for that number when a
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

/// Of an array of float32.
dnnl::memory::desc describe(const dnnl::memory::dims& shape, dnnl::memory::format_tag format);

/// An array that lies in the caller's memory: see point().
dnnl::memory view(const dnnl::memory::desc& description);

/// Makes a view look at `data`.
void point(dnnl::memory& view, const float* data);

/// The attributes that Operation needs its primitives to be made with.
dnnl::primitive_attr attributes();

/// A primitive and its operands by DNNL_ARG_…, ready to be executed any number of times.
class Operation {
 public:
  using Operands = std::unordered_map<int, dnnl::memory>;

  Operation() = default;
  Operation(dnnl::primitive primitive, const dnnl::memory::desc& scratchpad, Operands operands);

  /// `description` made with attributes() and while a OneThread lived.
  template <class Primitive>
  static Operation make(const typename Primitive::primitive_desc& description, Operands operands) {
    return {Primitive(description), description.scratchpad_desc(), std::move(operands)};
  }

  /// Copies between two formats.
  static Operation make_reorder(const dnnl::memory& from, const dnnl::memory& to);

  /// On the calling thread.
  void execute();

 private:
  dnnl::primitive primitive_;
  Operands operands_;
  dnnl::stream stream_;
};

}  // namespace tardigrad::models::onednn
