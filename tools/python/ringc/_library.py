"""libringc.so by ctypes: its structs, its functions (ringc/c/ringc_c.h), and its errors as exceptions."""

from __future__ import annotations

import ctypes
import os
import threading
from ctypes import POINTER, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_uint8, c_uint16, c_uint64, c_void_p
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from . import errors
from ._tensor import HOST, View
from .errors import InputError

ABI_VERSION = 1


class Tensor(ctypes.Structure):
    """ringc_tensor, whose layout is DLPack's DLTensor. Shape and strides are addresses of what `keep` holds."""

    _fields_ = (
        ("data", c_void_p),
        ("device_type", c_int32),
        ("device_id", c_int32),
        ("ndim", c_int32),
        ("code", c_uint8),
        ("bits", c_uint8),
        ("lanes", c_uint16),
        ("shape", c_void_p),
        ("strides", c_void_p),
        ("byte_offset", c_uint64),
    )


class Argument(ctypes.Structure):
    """ringc_argument"""

    INTEGER, REAL, BOOL, TENSOR = range(4)
    _fields_ = (
        ("name", c_char_p),
        ("kind", c_int32),
        ("truth", c_int32),
        ("integer", c_int64),
        ("real", c_double),
        ("tensor", POINTER(Tensor)),
    )


class _Sized(ctypes.Structure):
    """A struct that says its size first."""

    def __init__(self, **fields: Any):
        super().__init__(ctypes.sizeof(self), **fields)


class AttentionInputs(_Sized):
    """ringc_attention_inputs"""

    _fields_ = (
        ("size", c_size_t),
        ("batch", c_int64),
        ("query_length", c_int64),
        ("key_length", c_int64),
        ("q", POINTER(Tensor)),
        ("k", POINTER(Tensor)),
        ("v", POINTER(Tensor)),
        ("key_mask", POINTER(Tensor)),
        ("bias", POINTER(Tensor)),
        ("cu_seqlens", POINTER(Tensor)),
        ("arguments", POINTER(Argument)),
        ("argument_count", c_size_t),
    )


class AttentionResults(_Sized):
    """ringc_attention_results"""

    _fields_ = (("size", c_size_t),) + tuple((name, POINTER(Tensor)) for name in ("out", "lse", "row_max", "row_sum"))


class AttentionGradients(_Sized):
    """ringc_attention_gradients"""

    _fields_ = (("size", c_size_t),) + tuple((name, POINTER(Tensor)) for name in ("dout", "dq", "dk", "dv"))


class DecodeInputs(_Sized):
    """ringc_decode_inputs"""

    _fields_ = (
        ("size", c_size_t),
        ("q", POINTER(Tensor)),
        ("k", POINTER(Tensor)),
        ("v", POINTER(Tensor)),
        ("page_table", POINTER(Tensor)),
        ("lengths", POINTER(Tensor)),
        ("arguments", POINTER(Argument)),
        ("argument_count", c_size_t),
    )


class RowPositions(ctypes.Structure):
    """ringc_row_positions: row l is at first + (l / block) * jump + l % block."""

    _fields_ = (("first", c_int64), ("block", c_int64), ("jump", c_int64))


class DecodeKeys(_Sized):
    """ringc_decode_keys"""

    _fields_ = (("size", c_size_t), ("positions", RowPositions), ("length", c_int64))


class Send(ctypes.Structure):
    """ringc_send and ringc_receive"""

    _fields_ = (("peer", c_int32), ("bytes", c_void_p), ("count", c_size_t))


_POST = ctypes.CFUNCTYPE(
    c_int, c_void_p, c_int, POINTER(Send), c_size_t, POINTER(Send), c_size_t, POINTER(c_uint64), c_void_p, c_size_t
)
_WAIT = ctypes.CFUNCTYPE(c_int, c_void_p, c_uint64, c_void_p, c_size_t)
_CANCEL = ctypes.CFUNCTYPE(c_int, c_void_p, c_uint64)
_ABORT = ctypes.CFUNCTYPE(None, c_void_p, c_char_p)
_RELEASE = ctypes.CFUNCTYPE(None, c_void_p)


class Messages(_Sized):
    """ringc_messages"""

    _fields_ = (
        ("size", c_size_t),
        ("user", c_void_p),
        ("post", _POST),
        ("wait", _WAIT),
        ("cancel", _CANCEL),
        ("abort", _ABORT),
        ("release", _RELEASE),
    )


class Source(ctypes.Structure):
    """ringc_source"""

    _fields_ = (("name", c_char_p), ("text", c_char_p))


TuneProgress = ctypes.CFUNCTYPE(c_int, c_void_p, c_char_p)

_CODES = {"f32": (2, 32), "f16": (2, 16), "bf16": (4, 16), "i32": (0, 32), "i64": (0, 64), "bool": (6, 8)}
_CPU, _CUDA = 1, 2
_extents = [c_int64 * max(1, 2 * axes) for axes in range(9)]


def tensor(argument: str, view: View) -> Tensor:
    """As the library takes it; it keeps alive what it points to."""
    axes = len(view.shape)
    code = _CODES.get(view.dtype)
    if code is None:
        raise InputError.of(argument, view.dtype, "f32, f16, bf16, i32 or bool")
    if axes > 8:
        raise InputError.of(argument, f"{axes} axes", "at most 8")
    extents = _extents[axes](*view.shape, *view.strides)
    address = ctypes.addressof(extents)
    kind, index = (_CPU, 0) if view.device == HOST else (_CUDA, view.device)
    made = Tensor(view.data, kind, index, axes, code[0], code[1], 1, address, address + 8 * axes, 0)
    made.keep = (extents, view)
    return made


def pointer(of: Optional[Tensor]) -> Any:
    """To a tensor, or null."""
    return None if of is None else ctypes.pointer(of)


_EXCEPTIONS = {
    1: errors.InputError,
    2: errors.CompileError,
    3: errors.DisagreementError,
    4: errors.PeerError,
    5: errors.CudaError,
    6: errors.NcclError,
    7: errors.OutOfMemoryError,
    8: errors.ClosedError,
    9: errors.BusyError,
    10: errors.InternalError,
}

_T, _H, _OUT = POINTER(Tensor), c_void_p, POINTER(c_void_p)
_TEXT_OUT = POINTER(c_void_p)
_POSITIONS = POINTER(RowPositions)
_INPUTS, _RESULTS, _GRADIENTS = POINTER(AttentionInputs), POINTER(AttentionResults), POINTER(AttentionGradients)
_DECODE_INPUTS, _DECODE_KEYS = POINTER(DecodeInputs), POINTER(DecodeKeys)

#: Functions that give a status, by what they take.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "context_create": (c_char_p, _OUT),
    "group_threads": (_H, c_int, c_int64, _OUT),
    "group_nccl": (_H, c_int, c_int, c_char_p, c_int64, _OUT),
    "group_nccl_comm": (_H, c_void_p, c_int64, _OUT),
    "group_messages": (_H, c_int, c_int, POINTER(Messages), _OUT),
    "group_abort": (_H, c_char_p),
    "group_close": (_H,),
    "nccl_unique_id": (_H, c_void_p),
    "attention_create": (_H, _H, c_char_p, _OUT),
    "attention_prepare": (_H, c_int, _INPUTS),
    "attention_workspace_bytes": (_H, c_int, _INPUTS, POINTER(c_int64)),
    "attention_forward": (_H, c_void_p, _INPUTS, _RESULTS, c_void_p, c_int64),
    "attention_backward": (_H, c_void_p, _INPUTS, _RESULTS, _GRADIENTS, c_void_p, c_int64),
    "attention_wait": (_H, c_void_p),
    "decode_create": (_H, _H, c_char_p, _OUT),
    "decode_run": (_H, c_void_p, _DECODE_INPUTS, _DECODE_KEYS, _T, _T),
    "decode_wait": (_H, c_void_p),
    "tree_attn_decode": (_H, c_void_p, _T, _T, _T, c_int, _T, _T),
    "merge": (_H, _T, _T, _T, _T, _T, _T),
    "cache_create": (_H, c_void_p, c_char_p, _OUT),
    "cache_append": (_H, c_int64, _T, _T),
    "cache_append_own": (_H, c_int64, c_int64, _T, _T),
    "cache_share": (_H, c_int64, c_int64, c_int64),
    "cache_free_entry": (_H, c_int64),
    "cache_length": (_H, c_int64, POINTER(c_int64)),
    "cache_free_pages": (_H, POINTER(c_int64)),
    "cache_inputs": (_H, _T, _T, _T, _T, _DECODE_KEYS),
    "local_length": (c_char_p, c_int, c_int, c_int64, POINTER(c_int64)),
    "padded_length": (c_char_p, c_int, c_int64, POINTER(c_int64)),
    "positions": (c_char_p, c_int, c_int, c_int64, _T),
    "query_positions": (c_char_p, c_int, c_int, c_int64, c_int64, _T),
    "row_positions_of": (c_char_p, c_int, c_int, c_int64, c_int64, _POSITIONS),
    "rope": (_T, _T, _POSITIONS, c_char_p),
    "rope_inverse": (_T, _T, _POSITIONS, c_char_p),
    "compile": (c_char_p, POINTER(Source), c_size_t, c_char_p, c_char_p, _TEXT_OUT, POINTER(c_size_t), _TEXT_OUT),
    "stage_names": (c_char_p, _TEXT_OUT),
    "module_check": (c_char_p, c_char_p),
    "module_ring_size": (c_char_p, c_int, c_int64, POINTER(c_int)),
    "tune": (c_char_p, TuneProgress, c_void_p, _TEXT_OUT),
    "options_help": (c_char_p, _TEXT_OUT),
}


#: What a function of the caller, called by the library, was ended `by`: of the thread.
interrupted = threading.local()


class Library:
    """The functions, without their prefix: `library.attention_create(...)` raises what it fails with."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, path: str):
        self.path = path
        try:
            self._so = ctypes.CDLL(path)
            self._so.ringc_abi_version.restype = c_int
            version = self._so.ringc_abi_version()
        except (OSError, AttributeError) as error:
            raise ImportError(f"ringc: {path} cannot be loaded: {error}") from error
        if version != ABI_VERSION:
            raise ImportError(f"ringc: {path} has version {version} of the interface, this package needs {ABI_VERSION}")
        self._so.ringc_last_error.restype = c_char_p
        self._so.ringc_version.restype = c_char_p
        self._so.ringc_free.argtypes = (c_void_p,)
        self._so.ringc_free.restype = None
        for name in ("context", "group", "attention", "decode", "cache"):
            destroy = getattr(self._so, f"ringc_{name}_destroy")
            destroy.argtypes, destroy.restype = (c_void_p,), None
            setattr(self, f"{name}_destroy", destroy)
        for name, takes in _FUNCTIONS.items():
            setattr(self, name, self._checked(name, takes))

    def _checked(self, name: str, takes: tuple[Any, ...]) -> Any:
        function = getattr(self._so, f"ringc_{name}")
        function.argtypes, function.restype = takes, c_int

        def call(*arguments: Any) -> None:
            status = function(*arguments)
            if status:
                self._raise(status)

        return call

    def _raise(self, status: int) -> None:
        ended = getattr(interrupted, "by", None)
        if ended is not None:
            interrupted.by = None
            raise ended
        text = self._so.ringc_last_error() or b""
        raise _EXCEPTIONS.get(status, errors.InternalError)(text.decode("utf-8", "replace"))

    def version(self) -> str:
        return self._so.ringc_version().decode()

    def text(self, function: Any, *arguments: Any) -> str:
        """What a function gives that takes a place for a text last."""
        place = c_void_p()
        function(*arguments, ctypes.byref(place))
        try:
            return ctypes.string_at(place.value or 0).decode() if place.value else ""
        finally:
            self._so.ringc_free(place)

    def free(self, address: Any) -> None:
        self._so.ringc_free(address)


def _path() -> str:
    """RINGC_LIBRARY, else the library beside this file."""
    named = os.environ.get("RINGC_LIBRARY")
    if named:
        return named
    beside = Path(__file__).with_name("libringc.so")
    if not beside.exists():
        raise ImportError(f"ringc: there is no {beside}, and RINGC_LIBRARY names none")
    return str(beside)


_lock = threading.Lock()
_loaded: Optional[Library] = None


def library() -> Library:
    """The library, loaded at its first use."""
    global _loaded
    if _loaded is None:
        with _lock:
            if _loaded is None:
                _loaded = Library(_path())
    return _loaded
