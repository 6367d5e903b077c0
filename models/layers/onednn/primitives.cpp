#include "models/layers/onednn/primitives.h"

#include <omp.h>

namespace tardigrad::models::onednn {

const dnnl::engine& cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

OneThread::OneThread() : previous_(omp_get_max_threads()) { omp_set_num_threads(1); }

OneThread::~OneThread() { omp_set_num_threads(previous_); }

dnnl::memory::desc describe(const dnnl::memory::dims& shape, dnnl::memory::format_tag format) {
  return {shape, dnnl::memory::data_type::f32, format};
}

dnnl::memory view(const dnnl::memory::desc& description) { return {description, cpu(), DNNL_MEMORY_NONE}; }

void point(dnnl::memory& view, const float* data) {
  // oneDNN has no memory of constants; operands that a primitive only reads stay as they are.
  view.set_data_handle(const_cast<float*>(data));
}

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attributes;
  // In some builds oneDNN's own scratchpad belongs to the thread that creates a primitive, and may not be
  // there on the one that executes it.
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

Operation::Operation(dnnl::primitive primitive, const dnnl::memory::desc& scratchpad, Operands operands)
    : primitive_(std::move(primitive)), operands_(std::move(operands)), stream_(cpu()) {
  operands_.emplace(DNNL_ARG_SCRATCHPAD, dnnl::memory(scratchpad, cpu()));
}

Operation Operation::make_reorder(const dnnl::memory& from, const dnnl::memory& to) {
  const dnnl::reorder::primitive_desc description(from, to, attributes());
  return make<dnnl::reorder>(description, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

void Operation::execute() {
  const OneThread one_thread;
  primitive_.execute(stream_, operands_);
}

}  // namespace tardigrad::models::onednn
