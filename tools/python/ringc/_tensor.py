"""Tensors of numpy, torch, and whatever speaks DLPack, as views of their memory; nothing is copied."""

from __future__ import annotations

import ctypes
import sys
from typing import Any, NamedTuple, Protocol, Union

import numpy

from .errors import InputError


class _SpeaksDlpack(Protocol):
    @property
    def shape(self) -> Any: ...

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...

    def __dlpack_device__(self) -> Any: ...


#: numpy.ndarray, torch.Tensor, or an object of another library that has ``__dlpack__``.
Tensor = Union[numpy.ndarray, _SpeaksDlpack]

HOST = -1


class View(NamedTuple):
    """Where a tensor lies. `keep` holds the memory."""

    data: int
    dtype: str  # "f32", "f16", "bf16", "i32", "i64", "bool", or another library's name of what ringc has not
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # elements
    device: int  # of CUDA, or HOST
    keep: Any


_NUMPY_DTYPES = {
    "float32": "f32",
    "float16": "f16",
    "bfloat16": "bf16",  # of ml_dtypes
    "int32": "i32",
    "int64": "i64",
    "bool": "bool",
}

_DLPACK_DTYPES = {(2, 32): "f32", (2, 16): "f16", (4, 16): "bf16", (0, 32): "i32", (0, 64): "i64", (6, 8): "bool"}
_DLPACK_KINDS = {0: "i", 1: "u", 2: "f", 4: "bf", 5: "c", 6: "bool"}
_DLPACK_HOST = (1, 3)  # CPU, CUDA's pinned host memory
_DLPACK_CUDA = (2, 13)  # CUDA, CUDA's managed memory


def is_torch(tensor: object) -> bool:
    """Whether it is a torch.Tensor; does not import torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(tensor, torch.Tensor)


def view(argument: str, tensor: Any) -> View:
    """Of any tensor; `argument` is its name in messages."""
    if is_torch(tensor):
        return _of_torch(argument, tensor)
    if isinstance(tensor, numpy.ndarray):
        return _of_numpy(argument, tensor)
    if hasattr(tensor, "__dlpack__"):
        return _of_dlpack(argument, tensor)
    raise InputError.of(argument, type(tensor).__name__, "a numpy or torch tensor, or one that has __dlpack__")


def _of_numpy(argument: str, array: numpy.ndarray) -> View:
    if not array.dtype.isnative:
        raise InputError.of(argument, f"{array.dtype} of the other byte order", "the processor's")
    size = array.itemsize
    if any(stride < 0 or stride % size for stride in array.strides):
        array = numpy.ascontiguousarray(array)
    dtype = _NUMPY_DTYPES.get(array.dtype.name, array.dtype.name)
    # Of an array without elements numpy's are any.
    strides = tuple(stride // size for stride in array.strides) if array.size else contiguous_strides(array.shape)
    return View(array.ctypes.data, dtype, array.shape, strides, HOST, array)


_torch_dtypes: dict[Any, str] = {}


def _of_torch(argument: str, tensor: Any) -> View:
    torch = sys.modules["torch"]
    if not _torch_dtypes:
        _torch_dtypes.update({
            torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16",
            torch.int32: "i32", torch.int64: "i64", torch.bool: "bool",
        })
    kind = tensor.device.type
    if kind not in ("cpu", "cuda") or tensor.layout is not torch.strided:
        what = f"a tensor on {kind}" if tensor.layout is torch.strided else f"a tensor of {tensor.layout}"
        raise InputError.of(argument, what, "strided tensors on cpu or cuda")
    if tensor.is_conj() or tensor.is_neg():
        raise InputError.of(argument, "a view that conjugates or negates", "a tensor of plain numbers")
    device = HOST if kind == "cpu" else tensor.device.index
    dtype = _torch_dtypes.get(tensor.dtype) or str(tensor.dtype).removeprefix("torch.")
    return View(tensor.data_ptr(), dtype, tuple(tensor.shape), tensor.stride(), device, tensor)


class _DlTensor(ctypes.Structure):
    """DLTensor of dlpack.h, the first member of DLManagedTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


def _of_dlpack(argument: str, tensor: Any) -> View:
    try:
        kind, device = tensor.__dlpack_device__()
        # The stream that will read it: of CUDA 1, the legacy default one.
        capsule = tensor.__dlpack__(stream=1) if kind in _DLPACK_CUDA else tensor.__dlpack__()
    except Exception as error:
        raise InputError.of(argument, f"{type(tensor).__name__} whose __dlpack__ fails: {error}", "a tensor") from error
    if kind not in _DLPACK_HOST + _DLPACK_CUDA:
        raise InputError.of(argument, f"a tensor on a device of DLPack's kind {int(kind)}", "one on the host or on CUDA")
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    # The capsule keeps its name, so that its destructor lets go of the memory when `keep` does.
    found = ctypes.cast(pointer(capsule, b"dltensor"), ctypes.POINTER(_DlTensor)).contents
    shape = tuple(found.shape[axis] for axis in range(found.ndim))
    if found.strides:
        strides = tuple(found.strides[axis] for axis in range(found.ndim))
    else:
        strides = contiguous_strides(shape)
    dtype = _DLPACK_DTYPES.get((found.code, found.bits)) if found.lanes == 1 else None
    if dtype is None:
        dtype = f"{_DLPACK_KINDS.get(found.code, 'kind ' + str(found.code))}{found.bits}" + f"x{found.lanes}" * (found.lanes != 1)
    data = (found.data or 0) + found.byte_offset
    return View(data, dtype, shape, strides, HOST if kind in _DLPACK_HOST else int(device), (tensor, capsule))


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of a row-major tensor, in elements."""
    strides: list[int] = []
    step = 1
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))


def numpy_dtype(dtype: str) -> numpy.dtype:
    """Of results on the host."""
    if dtype == "bf16":
        try:
            return numpy.dtype("bfloat16")  # where ml_dtypes has been imported
        except TypeError as error:
            raise InputError.of("dtype", "bf16", "f32 or f16: numpy has no bf16 without the package ml_dtypes") from error
    return numpy.dtype({"f32": "float32", "f16": "float16", "i32": "int32", "bool": "bool"}[dtype])
