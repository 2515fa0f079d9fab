"""One call of the library's attention: views in, a status out. What numpy's and torch's ways have in common."""

from __future__ import annotations

import ctypes
from typing import Any, Callable, NamedTuple, Optional, Sequence

from . import _objects
from ._library import library
from ._options import argument_names
from ._structs import Argument, AttentionGradients, AttentionInputs, AttentionResults, pointer, tensor
from ._tensor import HOST, view
from .errors import InputError
from .groups import world_of


class Call(NamedTuple):
    """All that a pass reads besides dout; tensors of any library."""

    q: Any  # [b, n_q, h, d]
    k: Any  # [b, n_k, h_kv, d]
    v: Any  # [b, n_k, h_kv, d_v]
    key_mask: Any  # bool [b, n_k], or None
    bias: Any  # f32 [b or 1, h or 1, n_q, all n_k], or None
    cu_seqlens: Any  # i32 of the host, or None
    tensors: Sequence[Any]  # arguments
    integers: Sequence[int]
    reals: Sequence[float]
    whole: Sequence[int]  # batch, n_q and n_k of all ranks; (): as many rows on each
    options: str  # _options.text
    group: str  # groups.name_of


#: Bytes of device memory: an address, and what holds it.
Allocate = Callable[[int], tuple[int, Any]]


def check_shapes(call: Call) -> None:
    """What sizes are taken from; the library checks the rest."""
    for name, given in (("q", call.q), ("k", call.k), ("v", call.v)):
        axes = given.ndim if hasattr(given, "ndim") else len(view(name, given).shape)
        if axes != 4:
            raise InputError.of(name, f"{axes} axes", "4: [b, n, h, d]")


class _Prepared:
    """The structs of a call, and what they point to."""

    def __init__(self, call: Call):
        check_shapes(call)
        views = {name: view(name, getattr(call, name)) for name in ("q", "k", "v")}
        self.device = views["q"].device
        for name in ("key_mask", "bias", "cu_seqlens"):
            if getattr(call, name) is not None:
                views[name] = view(name, getattr(call, name))
        self.tensors = {name: tensor(name, each) for name, each in views.items()}
        self.arguments, self.count = arguments_array(call.options, call.tensors, call.integers, call.reals)
        q, k, v = (views[name].shape for name in ("q", "k", "v"))
        self.object = _objects.attention(self.device, call.group, call.options, (q[2], k[2], q[3], v[3], views["q"].dtype))
        batch, query_length, key_length = self._whole(call, q, k)
        self.inputs = AttentionInputs(
            batch=batch, query_length=query_length, key_length=key_length,
            arguments=self.arguments, argument_count=self.count,
            **{name: pointer(each) for name, each in self.tensors.items()},
        )  # fmt: skip

    @staticmethod
    def _whole(call: Call, q: tuple[int, ...], k: tuple[int, ...]) -> tuple[int, int, int]:
        if not call.group:
            return 0, 0, 0
        if call.whole:
            batch, query_length, key_length = call.whole
            return batch, query_length, key_length
        world = world_of(call.group)[1]
        return q[0], q[1] * world, k[1] * world

    def workspace(self, which: int, allocate: Optional[Allocate]) -> tuple[Any, int, Any]:
        if allocate is None or self.device == HOST:
            return None, 0, None
        size = ctypes.c_int64()
        library().attention_workspace_bytes(self.object.raw, which, ctypes.byref(self.inputs), ctypes.byref(size))
        if size.value == 0:
            return None, 0, None
        address, keep = allocate(size.value)
        return ctypes.c_void_p(address), size.value, keep


def arguments_array(
    options: str, tensors: Sequence[Any], integers: Sequence[int], reals: Sequence[float]
) -> tuple[Any, int]:
    """ringc_argument's, which keep what they point to."""
    (of_tensors, of_integers, of_reals), bools = argument_names(options)
    for name, number in zip(of_integers, integers):
        if not -(2**63) <= number < 2**63:
            raise InputError.of(f"arguments[{name.decode()!r}]", number, "an integer of 64 bits")
    called = [f"arguments[{name.decode()!r}]" for name in of_tensors]
    held = [tensor(name, view(name, given)) for name, given in zip(called, tensors)]
    found = [Argument(name=name, kind=Argument.TENSOR, tensor=pointer(given)) for name, given in zip(of_tensors, held)]
    found += [Argument(name=name, kind=Argument.INTEGER, integer=number) for name, number in zip(of_integers, integers)]
    found += [Argument(name=name, kind=Argument.REAL, real=number) for name, number in zip(of_reals, reals)]
    found += [Argument(name=name, kind=Argument.BOOL, truth=truth) for name, truth in bools]
    made: Any = (Argument * len(found))(*found)
    made.keep = held
    return made, len(found)


def _results(results: Sequence[Any]) -> tuple[AttentionResults, Any]:
    """Of out, lse, and row_max and row_sum or None."""
    held = [
        None if each is None else tensor(name, view(name, each))
        for name, each in zip(("out", "lse", "row_max", "row_sum"), results)
    ]
    out, lse, row_max, row_sum = map(pointer, held)
    return AttentionResults(out=out, lse=lse, row_max=row_max, row_sum=row_sum), held


def forward(call: Call, results: Sequence[Any], stream: int = 0, allocate: Optional[Allocate] = None) -> None:
    """Writes out, lse, and where they are not None row_max and row_sum."""
    prepared = _Prepared(call)
    written, _held = _results(results)
    with prepared.object.lock:
        memory, size, _keep = prepared.workspace(0, allocate)
        library().attention_forward(
            prepared.object.raw, stream or None, ctypes.byref(prepared.inputs), ctypes.byref(written), memory, size
        )


def backward(
    call: Call, results: Sequence[Any], dout: Any, gradients: Sequence[Any], stream: int = 0, allocate: Optional[Allocate] = None
) -> None:
    """Writes dq, dk and dv."""
    prepared = _Prepared(call)
    read, _held = _results(results)
    held = [tensor(name, view(name, each)) for name, each in zip(("dout", "dq", "dk", "dv"), (dout, *gradients))]
    given_dout, dq, dk, dv = map(pointer, held)
    written = AttentionGradients(dout=given_dout, dq=dq, dk=dk, dv=dv)
    with prepared.object.lock:
        memory, size, _keep = prepared.workspace(1, allocate)
        library().attention_backward(
            prepared.object.raw, stream or None, ctypes.byref(prepared.inputs), ctypes.byref(read), ctypes.byref(written), memory, size
        )
