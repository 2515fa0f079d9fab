"""Structs of ringc/c/ringc_c.h, and tensors as the library takes them."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_uint8, c_uint16, c_uint64, c_void_p
from typing import Any, Optional

from ._tensor import HOST, View
from .errors import InputError


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


Post = ctypes.CFUNCTYPE(
    c_int, c_void_p, c_int, POINTER(Send), c_size_t, POINTER(Send), c_size_t, POINTER(c_uint64), c_void_p, c_size_t
)
Wait = ctypes.CFUNCTYPE(c_int, c_void_p, c_uint64, c_void_p, c_size_t)
Cancel = ctypes.CFUNCTYPE(c_int, c_void_p, c_uint64)
Abort = ctypes.CFUNCTYPE(None, c_void_p, c_char_p)
Release = ctypes.CFUNCTYPE(None, c_void_p)


class Messages(_Sized):
    """ringc_messages"""

    _fields_ = (
        ("size", c_size_t),
        ("user", c_void_p),
        ("post", Post),
        ("wait", Wait),
        ("cancel", Cancel),
        ("abort", Abort),
        ("release", Release),
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
