#include "tools/python/device_vector.h"

#include <fmt/format.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <utility>

#include "runtime/device/cuda/foreign_stream.h"
#include "tools/python/dlpack.h"
#include "tools/python/interpreter_lock.h"

namespace tardigrad {
namespace {

namespace py = pybind11;

/// What a consumer gets. The vector is kept until the consumer gives it back.
template <typename Managed>
struct Export {
  explicit Export(py::object the_vector) : vector(std::move(the_vector)) {}

  Managed managed;
  std::int64_t shape = 0;
  std::int64_t stride = 1;
  py::object vector;
};

/// On any thread, with the interpreter's lock or without; when the interpreter is gone, so is the vector.
template <typename Managed>
void give_back(Managed* managed) {
  if (!Py_IsInitialized()) return;
  const InterpreterLock lock;
  delete static_cast<Export<Managed>*>(managed->context);
}

/// Whoever consumes a capsule renames it.
template <typename Managed>
void destroy_capsule(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, Managed::capsule)) return;
  give_back(static_cast<Managed*>(PyCapsule_GetPointer(capsule, Managed::capsule)));
}

template <typename Managed>
py::capsule make_capsule(std::unique_ptr<Export<Managed>> exported, std::size_t size) {
  exported->shape = static_cast<std::int64_t>(size);
  exported->managed.tensor.dimensions = 1;
  exported->managed.tensor.shape = &exported->shape;
  exported->managed.tensor.strides = &exported->stride;
  exported->managed.context = exported.get();
  exported->managed.deleter = &give_back<Managed>;
  py::capsule capsule(&exported->managed, Managed::capsule, &destroy_capsule<Managed>);
  static_cast<void>(exported.release());
  return capsule;
}

/// The arguments of `__dlpack__` that ask for something else than the memory as it is.
void require_no_copy(const DeviceVector& vector, const py::object& device, const py::object& copy) {
  if (!copy.is_none() && py::cast<bool>(copy)) {
    throw py::buffer_error("__dlpack__(copy=True): the engine shows its own memory alone");
  }
  if (device.is_none() || device.equal(py::make_tuple(dlpack_cuda, vector.device().index))) return;
  throw py::buffer_error(fmt::format("__dlpack__(dl_device={}): the vector is on {}, expected ({}, {})",
                                     std::string(py::str(device)), vector.device().name(), dlpack_cuda,
                                     vector.device().index));
}

bool allows_versions(const py::object& most) {
  return !most.is_none() && py::cast<py::sequence>(most)[0].cast<int>() >= 1;
}

}  // namespace

DeviceVector::DeviceVector(const JobStream& stream, BufferRef<float> elements)
    : stream_(stream), data_(elements.data()), size_(elements.size()), is_read_only_(false) {}

DeviceVector::DeviceVector(const JobStream& stream, BufferRef<const float> elements)
    : stream_(stream),
      data_(const_cast<float*>(elements.data())),
      size_(elements.size()),
      is_read_only_(true) {}

void DeviceVector::order(std::optional<long long> consumer) const {
  constexpr long long unordered = -1;
  constexpr long long legacy_default = 1;
  const long long number = consumer.value_or(legacy_default);
  if (number == unordered || number == stream_.address()) return;
  if (number < legacy_default) {
    throw py::value_error(fmt::format(
        "__dlpack__(stream={}): expected 1 (CUDA's legacy default stream), 2 (the default of each thread), a "
        "stream's address, or -1 for no order",
        number));
  }
  // NOLINTNEXTLINE(performance-no-int-to-ptr): 1 and 2 are CUDA's own numbers for them
  if constexpr (built_with_cuda) cuda::order_behind(reinterpret_cast<CudaStream>(number), stream_.stream);
}

py::capsule DeviceVector::dlpack(const py::object& self, std::optional<long long> consumer, bool versioned) {
  order(consumer);
  was_taken_ = true;
  const auto fill = [this](DlpackTensor& tensor) {
    tensor.data = data_;
    tensor.device.index = device().index;
  };
  if (!versioned) {
    auto exported = std::make_unique<Export<DlpackManaged>>(self);
    fill(exported->managed.tensor);
    return make_capsule(std::move(exported), size_);
  }
  auto exported = std::make_unique<Export<DlpackVersioned>>(self);
  fill(exported->managed.tensor);
  if (is_read_only_) exported->managed.flags |= DlpackVersioned::read_only;
  return make_capsule(std::move(exported), size_);
}

py::dict DeviceVector::cuda_array_interface() {
  was_taken_ = true;
  py::dict shown;
  shown["shape"] = py::make_tuple(size_);
  shown["typestr"] = "<f4";
  shown["data"] = py::make_tuple(reinterpret_cast<std::intptr_t>(data_), is_read_only_);
  shown["strides"] = py::none();
  shown["version"] = 3;
  shown["stream"] = stream_.address();
  return shown;
}

void add_device_vector(py::module_& module) {
  py::class_<DeviceVector>(module, "DeviceVector",
                           "A vector of float32 in a GPU's memory, the engine's own: the model or the "
                           "gradient of cuda_gradient().\n\n"
                           "torch.from_dlpack(vector), cupy.from_dlpack(vector) and "
                           "numba.cuda.as_cuda_array(vector) make an array of\n"
                           "it without a copy, which may be used for as long as the call lasts, on "
                           "job.stream. shape is (dimension,),\n"
                           "device the number of the GPU.")
      .def_property_readonly("shape", [](const DeviceVector& self) { return py::make_tuple(self.size()); })
      .def_property_readonly("device", [](const DeviceVector& self) { return self.device().index; })
      .def("__len__", &DeviceVector::size)
      .def("__dlpack_device__",
           [](const DeviceVector& self) { return py::make_tuple(dlpack_cuda, self.device().index); })
      .def(
          "__dlpack__",
          [](const py::object& self, std::optional<long long> stream, const py::object& max_version,
             const py::object& dl_device, const py::object& copy) {
            auto& vector = self.cast<DeviceVector&>();
            require_no_copy(vector, dl_device, copy);
            return vector.dlpack(self, stream, allows_versions(max_version));
          },
          py::kw_only(), py::arg("stream") = py::none(), py::arg("max_version") = py::none(),
          py::arg("dl_device") = py::none(), py::arg("copy") = py::none())
      .def_property_readonly("__cuda_array_interface__", &DeviceVector::cuda_array_interface)
      .def("__repr__", [](const DeviceVector& self) {
        return fmt::format("<DeviceVector [{}] on {}>", self.size(), self.device().name());
      });
}

}  // namespace tardigrad
