#include "tools/python/device_loss.h"

#include <fmt/format.h>

#include <utility>

#include "tools/python/dlpack.h"
#include "tools/python/python_attributes.h"
#include "tools/python/python_errors.h"
#include "tools/python/python_numbers.h"

namespace tardigrad {
namespace {

namespace py = pybind11;

bool is_on_gpu(const py::object& given) {
  const auto device = attribute(given, "__dlpack_device__");
  return device && py::cast<py::sequence>((*device)())[0].cast<int>() == dlpack_cuda;
}

std::int64_t elements_of(const DlpackTensor& tensor) {
  std::int64_t elements = 1;
  for (std::int32_t i = 0; i < tensor.dimensions; ++i) elements *= tensor.shape[i];
  return elements;
}

/// Returns where the only element is.
const float* element_of(const DlpackTensor& tensor, Device device, const CallbackName& name) {
  const bool is_float32 =
      tensor.type.code == dlpack_float && tensor.type.bits == 32 && tensor.type.lanes == 1;
  if (!is_float32 || elements_of(tensor) != 1 || tensor.device.index != device.index) {
    throw py::type_error(fmt::format("{}: expected a loss of one float32 on {}, got {} of {} bits on cuda:{}",
                                     name.text(), device.name(), elements_of(tensor), tensor.type.bits,
                                     tensor.device.index));
  }
  return reinterpret_cast<const float*>(static_cast<const std::byte*>(tensor.data) + tensor.byte_offset);
}

}  // namespace

void take_loss(const py::object& given, const JobStream& stream, float* loss, const CallbackName& name) {
  if (!is_on_gpu(given)) {
    *loss = static_cast<float>(number_of(given, name));
    return;
  }
  // Nobody consumes the capsule: it gives back what it holds when it goes.
  const py::object capsule = given.attr("__dlpack__")(py::arg("stream") = stream.address());
  const auto* managed =
      static_cast<const DlpackManaged*>(PyCapsule_GetPointer(capsule.ptr(), DlpackManaged::capsule));
  if (!managed) throw py::error_already_set();
  const float* element = element_of(managed->tensor, stream.device(), name);
  stream.stream.copy(host_view(loss, 1), BufferRef<const float>(element, 1, stream.device()));
}

}  // namespace tardigrad
