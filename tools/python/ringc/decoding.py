"""Attention of a few queries to all keys of their entries, from a cache that grows (docs/semantics.md section 9)."""

from __future__ import annotations

import ctypes
import functools
import json
import sys
from typing import Any, Callable, Mapping, Optional, Sequence, TypeVar, Union

import numpy

from . import _handles, _objects, _options, _structs
from ._functions import Function
from ._handles import Handle
from ._library import library
from ._run import arguments_array
from ._structs import DecodeInputs, DecodeKeys, RowPositions, pointer
from ._tensor import HOST, Tensor, is_torch, numpy_dtype, view
from .errors import InputError
from .groups import name_of, world_of

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _eager(function: _Function) -> _Function:
    """torch.compile leaves it as it is: it has no operator of its own."""

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        torch = sys.modules.get("torch")
        if torch is None or not torch.compiler.is_compiling():
            return function(*arguments, **options)
        return torch.compiler.disable(function)(*arguments, **options)

    return call  # type: ignore[return-value]


@_eager
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
    return _decode(
        q, k, v, lengths, page_table, keys, group, split, return_lse, arguments,
        causal=causal, window=window, softcap=softcap, alibi=alibi, mask=mask, score=score, scale=scale, kv_head_map=kv_head_map,
    )  # fmt: skip


def _decode(q, k, v, lengths, page_table, keys, group, split, return_lse, arguments, **options) -> Any:
    given = _options.arguments_of(arguments)
    more = {"split": split} if split else None
    text = _options.text(layout="contiguous", deterministic=True, options=more, arguments=given, **options)
    views: dict[str, Any] = {"q": view("q", q)}
    for name, each in (("k", k), ("v", v), ("page_table", page_table), ("lengths", lengths)):
        if each is not None:
            views[name] = each if isinstance(each, _structs.Tensor) else view(name, each)
    heads_of = {name: _axes(name, views[name]) for name in ("q", "k", "v")}
    (b, n_q, h, d), (_, _, h_kv, _), (_, _, _, d_v) = (heads_of[name] for name in ("q", "k", "v"))
    seen = views["q"]
    found = _objects.decode(seen.device, name_of(group), text, (h, h_kv, d, d_v, seen.dtype))
    tensors = {name: each if isinstance(each, _structs.Tensor) else _structs.tensor(name, each) for name, each in views.items()}
    made, count = arguments_array(text, given.tensors, given.integers, given.reals)
    inputs = DecodeInputs(arguments=made, argument_count=count, **{name: pointer(each) for name, each in tensors.items()})
    out, lse = empty(q, (b, n_q, h, d_v)), empty(q, (b, h, n_q), "f32")
    written = [_structs.tensor(name, view(name, each)) for name, each in (("out", out), ("lse", lse))]
    with found.lock:
        library().decode_run(found.raw, stream_of(q), inputs, keys, *written)
    return (out, lse) if return_lse else out


def _axes(name: str, tensor: Any) -> tuple[int, ...]:
    if isinstance(tensor, _structs.Tensor):
        shape = (ctypes.c_int64 * tensor.ndim).from_address(tensor.shape)
    else:
        shape = tensor.shape
    if len(shape) != 4:
        raise InputError.of(name, f"{len(shape)} axes", "4")
    return tuple(shape)


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


@_eager
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
    arguments = options.pop("arguments", None)
    options = {"causal": False, "window": (-1, -1), "softcap": None, "alibi": False, "mask": None, "score": None, "scale": None,
               "kv_head_map": "blocked", **options}  # fmt: skip
    given = _options.arguments_of(arguments)
    if any(given.names) or given.bools:
        raise InputError.of("arguments", "some", "none: decode() takes them")
    text = _options.text(layout="contiguous", deterministic=True, options=None, arguments=given, **options)
    if k is None or v is None:
        shape = (q.shape[0], q.shape[1], 0, q.shape[3])
        k, v = empty(q, shape), empty(q, shape)
    views = {name: view(name, each) for name, each in (("q", q), ("k", k), ("v", v))}
    (b, h, n_q, d), (_, h_kv, _, _), (_, _, _, d_v) = (_axes(name, each) for name, each in views.items())
    seen = views["q"]
    found = _objects.decode(seen.device, name_of(group), text, (h, h_kv, d, d_v, seen.dtype))
    out, lse = empty(q, (b, h, n_q, d_v)), empty(q, (b, h, n_q), "f32")
    tensors = [_structs.tensor(name, each) for name, each in views.items()]
    written = [_structs.tensor(name, view(name, each)) for name, each in (("out", out), ("lse", lse))]
    with found.lock:
        library().tree_attn_decode(found.raw, stream_of(q), *tensors, 0 if shard_kv_seq else 1, *written)
    return (out, lse) if return_lse else out


class KvCache:
    """Keys and values of sequences that grow, in pages of a pool; one on each rank of a group, which make the same calls.

        cache = KvCache(pages=64, kv_heads=2, head_dim=64, entries=4, device="cuda:0")
        cache.append(0, k, v)                       # [n, h_kv, d], [n, h_kv, d_v]
        out = cache.decode(q)                       # [entries, n_q, h, d]

    Args:
        pages: of this rank's pool. page_size: tokens of one. entries: sequences at a time. pages_of_entry: at most, in this rank.
        kv_heads, head_dim, value_head_dim (None: head_dim), dtype ("f32", "f16", "bf16").
        device: "cpu", or "cuda:N": then torch's stream that is current now is the cache's, and calls on another are ordered behind
            it by the caller.
        group: page p of an entry is on the rank p % ranks.
    Errors are InputErrors and change nothing. One thread at a time calls it.
    """

    def __init__(
        self, *, pages: int, kv_heads: int, head_dim: int, value_head_dim: Optional[int] = None, page_size: int = 64,
        entries: int = 1, pages_of_entry: int = 16, dtype: str = "f32", device: str = "cpu", group: Any = None,
    ):  # fmt: skip
        kind, _, number = str(device).partition(":")
        if kind not in ("cpu", "cuda"):
            raise InputError.of("device", repr(device), "'cpu' or 'cuda:N'")
        index = HOST if kind == "cpu" else int(number or 0)
        self.group = group
        rank, ranks = world_of(name_of(group))
        fields: dict[str, Any] = {
            "pages": pages, "page_size": page_size, "kv_heads": kv_heads, "head_dim": head_dim, "value_head_dim": value_head_dim or 0,
            "dtype": str(dtype).removeprefix("torch."), "entries": entries, "pages_of_entry": pages_of_entry, "rank": rank, "ranks": ranks,
        }  # fmt: skip
        fields["dtype"] = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}.get(fields["dtype"], fields["dtype"])
        stream = None
        if index != HOST:
            import torch

            self._stream = torch.cuda.current_stream(index)
            stream = self._stream.cuda_stream or None
        context = _handles.context(index)
        create = (library().cache_create, library().cache_destroy, context.raw, stream, json.dumps(fields).encode())
        self._handle = Handle.create(*create, keep=context)
        self._lock = self._handle.lock

    @_eager
    def append(self, entry: int, k: Tensor, v: Tensor) -> None:
        """Adds tokens: k ``[n, h_kv, d]``, v ``[n, h_kv, d_v]``, all of them on every rank."""
        with self._lock:
            library().cache_append(self._handle.raw, entry, *_pair(k, v))

    @_eager
    def append_own(self, entry: int, tokens: int, k: Tensor, v: Tensor) -> None:
        """The same of `tokens` of which k and v have those of this rank's pages alone: a shard of the layout "striped:page_size"."""
        with self._lock:
            library().cache_append_own(self._handle.raw, entry, tokens, *_pair(k, v))

    @_eager
    def share(self, source: int, entry: int, tokens: int) -> None:
        """Makes an empty entry begin as `source` does, with its first `tokens`, a multiple of the page size: they share the pages."""
        with self._lock:
            library().cache_share(self._handle.raw, source, entry, tokens)

    @_eager
    def free(self, entry: int) -> None:
        """Gives back an entry's pages."""
        with self._lock:
            library().cache_free_entry(self._handle.raw, entry)

    @_eager
    def length(self, entry: int) -> int:
        """Tokens of an entry, of all ranks."""
        found = ctypes.c_int64()
        with self._lock:
            library().cache_length(self._handle.raw, entry, ctypes.byref(found))
        return found.value

    @property
    def free_pages(self) -> int:
        """Of this rank's pool."""
        found = ctypes.c_int64()
        with self._lock:
            library().cache_free_pages(self._handle.raw, ctypes.byref(found))
        return found.value

    @_eager
    def decode(self, q: Tensor, *, arguments: Optional[Mapping[str, Any]] = None, split: int = 0, return_lse: bool = False,
               **options: Any) -> Any:  # fmt: skip
        """Attention of q ``[entries, n_q, h, d]`` to all entries; `options` and the result are ``ringc.decode``'s."""
        options = {"causal": True, "window": (-1, -1), "softcap": None, "alibi": False, "mask": None, "score": None, "scale": None,
                   "kv_head_map": "blocked", **options}  # fmt: skip
        k, v, table, lengths = (_structs.Tensor() for _ in range(4))
        keys = DecodeKeys()
        with self._lock:
            library().cache_inputs(self._handle.raw, k, v, table, lengths, keys)
            return _decode(q, k, v, lengths, table, keys, self.group, split, return_lse, arguments, **options)


def _pair(k: Tensor, v: Tensor) -> list[_structs.Tensor]:
    return [_structs.tensor(name, view(name, each)) for name, each in (("k", k), ("v", v))]
