"""Attention of a few queries to all keys of their entries (docs/semantics.md section 9)."""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any, Callable, Mapping, Optional, Sequence, TypeVar, Union

import numpy

from . import _objects, _options, _structs
from ._functions import Function
from ._library import library
from ._run import arguments_array
from ._structs import DecodeInputs, DecodeKeys, RowPositions, pointer
from ._tensor import HOST, Tensor, is_torch, numpy_dtype, view
from .errors import InputError
from .groups import name_of

#: Of decode and KvCache.decode.
OPTIONS: dict[str, Any] = {
    "causal": True, "window": (-1, -1), "softcap": None, "alibi": False, "mask": None, "score": None, "scale": None,
    "kv_head_map": "blocked",
}  # fmt: skip
Wrapped = TypeVar("Wrapped", bound=Callable[..., Any])


def eager(function: Wrapped) -> Wrapped:
    """torch.compile leaves it as it is: it has no operator of its own."""

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        torch = sys.modules.get("torch")
        if torch is None or not torch.compiler.is_compiling():
            return function(*arguments, **options)
        return torch.compiler.disable(function)(*arguments, **options)

    return call  # type: ignore[return-value]


@eager
def decode(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    lengths: Optional[Tensor] = None,
    page_table: Optional[Tensor] = None,
    causal: bool = True,
    window: Sequence[int] = (-1, -1),
    softcap: Optional[float] = None,
    alibi: Union[bool, Sequence[float]] = False,
    mask: Union[Function, list[Function], None] = None,
    score: Union[Function, list[Function], None] = None,
    arguments: Optional[Mapping[str, Any]] = None,
    scale: Optional[float] = None,
    kv_head_map: str = "blocked",
    group: Any = None,
    first: int = 0,
    split: int = 0,
    return_lse: bool = False,
) -> Any:
    """Attention of q ``[b, n_q, h, d]``, the last 1 to 16 queries of each entry, to its keys; no gradients.

    Args:
        k, v: ``[b, n_k, h_kv, d]`` and ``[.., d_v]``; with a page table pages ``[pages, page size, h_kv, d]``. ``KvCache.decode``
            has them from a cache.
        lengths: i32 ``[b]``, keys of each entry, of all ranks; absent: all rows.
        page_table: i32 ``[b, pages of an entry]``, -1: nowhere.
        group: ranks that each have some of the keys; all give the same q and lengths, and get the whole result.
        first: position of the first of this rank's keys, which follow one another.
        split: keys that one program attends to, a multiple of 64: then an entry's bits do not depend on the other entries.
        others: as ``ringc.attention``.

    Returns:
        out ``[b, n_q, h, d_v]``, or (out, lse f32 ``[b, h, n_q]``). Raises as ``ringc.attention``.
    """
    keys = DecodeKeys(positions=RowPositions(first, 1 << 30, 1 << 30), length=-1) if lengths is not None or first else None
    options = {
        "causal": causal, "window": window, "softcap": softcap, "alibi": alibi, "mask": mask, "score": score, "scale": scale,
        "kv_head_map": kv_head_map,
    }  # fmt: skip
    tensors = {"k": k, "v": v, "page_table": page_table, "lengths": lengths}
    return run(q, tensors, keys, options, arguments=arguments, group=group, split=split, return_lse=return_lse)


def run(
    q: Any,
    tensors: Mapping[str, Any],
    keys: Optional[DecodeKeys],
    options: Mapping[str, Any],
    *,
    arguments: Optional[Mapping[str, Any]],
    group: Any,
    split: int,
    return_lse: bool,
) -> Any:
    """`tensors`: k, v, page_table, lengths, of any library or the library's own; None is absent."""
    given = _options.arguments_of(arguments)
    text = _text(options, given, {"split": split} if split else None)
    taken = {name: _taken(name, each) for name, each in {"q": q, **tensors}.items() if each is not None}
    (b, n_q, h, _), d_v = _shape_of("q", taken["q"]), _shape_of("v", taken["v"])[3]
    found = _object(group, text, q, _shape_of("q", taken["q"]), _shape_of("k", taken["k"])[2], d_v)
    made, count = arguments_array(text, given.tensors, given.integers, given.reals)
    inputs = DecodeInputs(arguments=made, argument_count=count, **{name: pointer(each) for name, each in taken.items()})
    out, lse = empty(q, (b, n_q, h, d_v)), empty(q, (b, h, n_q), "f32")
    with found.lock:
        library().decode_run(found.raw, stream_of(q), inputs, keys, _taken("out", out), _taken("lse", lse))
    return (out, lse) if return_lse else out


def _text(options: Mapping[str, Any], given: _options.Arguments, more: Optional[Mapping[str, Any]]) -> str:
    unknown = set(options) - set(OPTIONS)
    if unknown:
        raise TypeError(f"an unexpected keyword argument {min(unknown)!r}")
    return _options.text(layout="contiguous", deterministic=True, options=more, arguments=given, **options)


def _object(group: Any, text: str, q: Any, shape: tuple[int, ...], kv_heads: int, value_head_dim: int) -> _objects.Object:
    """`shape` [b, n, h, d] of q."""
    if is_torch(q) and q.requires_grad and sys.modules["torch"].is_grad_enabled():
        raise InputError.of("q", "a tensor that requires_grad", "one without, or torch.no_grad(): a decode has no gradient")
    seen = view("q", q)
    return _objects.decode(seen.device, name_of(group), text, (shape[2], kv_heads, shape[3], value_head_dim, seen.dtype))


def _taken(name: str, tensor: Any) -> _structs.Tensor:
    return tensor if isinstance(tensor, _structs.Tensor) else _structs.tensor(name, view(name, tensor))


def _shape_of(name: str, tensor: _structs.Tensor) -> tuple[int, ...]:
    if tensor.ndim != 4:
        raise InputError.of(name, f"{tensor.ndim} axes", "4")
    return tuple((ctypes.c_int64 * 4).from_address(tensor.shape))


def empty(like: Any, shape: Sequence[int], dtype: Optional[str] = None) -> Any:
    """A new tensor of the library that `like` is of, by default of its type."""
    if is_torch(like):
        return like.new_empty(shape, dtype=sys.modules["torch"].float32 if dtype == "f32" else None)
    seen = view("q", like)
    if seen.device != HOST:
        raise InputError.of("q", f"a {type(like).__name__} on CUDA", "torch tensors there, and others on the host")
    if dtype is None and isinstance(like, numpy.ndarray):
        return numpy.empty(shape, like.dtype)
    return numpy.empty(shape, numpy_dtype(dtype or seen.dtype))


def stream_of(like: Any) -> Optional[int]:
    """torch's current one; of CUDA tensors of others the default one."""
    if is_torch(like) and like.is_cuda:
        return sys.modules["torch"].cuda.current_stream(like.device).cuda_stream or None
    return None


@eager
def tree_attn_decode(
    q: Tensor, k: Optional[Tensor] = None, v: Optional[Tensor] = None, *, group: Any = None, shard_kv_seq: bool = True,
    return_lse: bool = False, **options: Any,
) -> Any:  # fmt: skip
    """tree_attn_decode of ring-attention-pytorch (arXiv 2408.04093): q ``[b, h, n_q, d]``, the same on all ranks of `group`.

    k ``[b, h_kv, n_k, d]`` and v ``[b, h_kv, n_k, d_v]``: all keys, of which each rank takes its part (`shard_kv_seq`), or this
    rank's own, or None. Every rank gets the attention to the keys of all: out ``[b, h, n_q, d_v]``, with `return_lse` also lse.
    `options` are decode's softcap, mask and so on; shards have no positions, and take no masks and scores.
    """
    if (k is None) != (v is None):
        raise InputError.of("k and v", "one of them", "both, or none")
    if k is None or v is None:
        nothing = (q.shape[0], q.shape[1], 0, q.shape[3])
        k, v = empty(q, nothing), empty(q, nothing)
    text = _text({**OPTIONS, "causal": False, **options}, _options.arguments_of(None), None)
    taken = {name: _taken(name, each) for name, each in (("q", q), ("k", k), ("v", v))}
    (b, h, n_q, d), (_, h_kv, _, _), (_, _, _, d_v) = (_shape_of(name, each) for name, each in taken.items())
    found = _object(group, text, q, (b, n_q, h, d), h_kv, d_v)
    out, lse = empty(q, (b, h, n_q, d_v)), empty(q, (b, h, n_q), "f32")
    with found.lock:
        library().tree_attn_decode(
            found.raw, stream_of(q), *taken.values(), 0 if shard_kv_seq else 1, _taken("out", out), _taken("lse", lse)
        )
    return (out, lse) if return_lse else out
