"""What tests use of the emulated GPUs of tests/cuda_emulation, whose memory is the host's: a consumer of DLPack that makes
NumPy arrays, which on a real GPU nobody could look into, and CUDA's functions, as the package's own library has them."""

import contextlib
import ctypes
import os

os.environ["TARDIGRAD_EMULATED_GPUS"] = "2"

import numpy as np  # noqa: E402

import tardigrad as td  # noqa: E402

cuda = ctypes.CDLL(td._engine.__file__)
HostFunction = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype, _new_capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device", ctypes.c_int32), ("ndim", ctypes.c_int32),
                ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64)]


class Managed(ctypes.Structure):
    _fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class Versioned(ctypes.Structure):
    _fields_ = [("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
                ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("tensor", Tensor)]


def managed(capsule):
    """What a capsule holds, for as long as that is there."""
    if '"dltensor_versioned"' in repr(capsule):
        return Versioned.from_address(_pointer_of(capsule, b"dltensor_versioned"))
    return Managed.from_address(_pointer_of(capsule, b"dltensor"))


def array_of(capsule):
    tensor = managed(capsule).tensor
    return np.ctypeslib.as_array((ctypes.c_float * tensor.shape[0]).from_address(tensor.data))


class Consumed:
    """What a library makes of a capsule: it is given back by the deleter alone, with the interpreter's lock or without."""

    def __init__(self, capsule):
        self._managed = managed(capsule)
        ctypes.pythonapi.PyCapsule_SetName(ctypes.py_object(capsule), b"used")

    def give_back(self):
        HostFunction(self._managed.deleter)(ctypes.addressof(self._managed))


def synchronize(stream):
    assert cuda.cudaStreamSynchronize(ctypes.c_void_p(stream)) == 0


@contextlib.contextmanager
def views(job, *vectors):
    """Arrays of the vectors, when all that the job's stream does before is done. The capsules are not consumed."""
    synchronize(job.stream)
    capsules = [vector.__dlpack__(stream=job.stream) for vector in vectors]
    yield [array_of(capsule) for capsule in capsules]


class Number:
    """An array of DLPack with some elements, on a GPU, for as long as it is kept."""

    def __init__(self, *values, device=0, kind=np.float32):
        self.values = np.array(values, kind)
        self.shape = (ctypes.c_int64 * 1)(len(values))
        self.managed = Managed(Tensor(self.values.ctypes.data, 2, device, 1, 2, 8 * self.values.itemsize, 1, self.shape))
        self.streams = []

    def __dlpack_device__(self):
        return 2, self.managed.tensor.device

    def __dlpack__(self, stream=None):
        self.streams.append(stream)
        return _new_capsule(ctypes.addressof(self.managed), b"dltensor", None)
