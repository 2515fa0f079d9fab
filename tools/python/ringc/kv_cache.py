"""Keys and values of sequences that grow."""

from __future__ import annotations

import ctypes
import json
from typing import Any, Mapping, Optional

from . import _handles, _structs
from ._handles import Handle
from ._library import library
from ._structs import DecodeKeys
from ._tensor import HOST, Tensor, view
from .decoding import OPTIONS, eager, run
from .errors import InputError
from .groups import name_of, world_of


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

    @eager
    def append(self, entry: int, k: Tensor, v: Tensor) -> None:
        """Adds tokens: k ``[n, h_kv, d]``, v ``[n, h_kv, d_v]``, all of them on every rank."""
        with self._lock:
            library().cache_append(self._handle.raw, entry, *_pair(k, v))

    @eager
    def append_own(self, entry: int, tokens: int, k: Tensor, v: Tensor) -> None:
        """The same of `tokens` of which k and v have those of this rank's pages alone: a shard of the layout "striped:page_size"."""
        with self._lock:
            library().cache_append_own(self._handle.raw, entry, tokens, *_pair(k, v))

    @eager
    def share(self, source: int, entry: int, tokens: int) -> None:
        """Makes an empty entry begin as `source` does, with its first `tokens`, a multiple of the page size: they share the pages."""
        with self._lock:
            library().cache_share(self._handle.raw, source, entry, tokens)

    @eager
    def free(self, entry: int) -> None:
        """Gives back an entry's pages."""
        with self._lock:
            library().cache_free_entry(self._handle.raw, entry)

    @eager
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

    @eager
    def decode(self, q: Tensor, *, arguments: Optional[Mapping[str, Any]] = None, split: int = 0, return_lse: bool = False,
               **options: Any) -> Any:  # fmt: skip
        """Attention of q ``[entries, n_q, h, d]`` to all entries; `options` and the result are ``ringc.decode``'s."""
        k, v, table, lengths = (_structs.Tensor() for _ in range(4))
        keys = DecodeKeys()
        with self._lock:
            library().cache_inputs(self._handle.raw, k, v, table, lengths, keys)
            tensors = {"k": k, "v": v, "page_table": table, "lengths": lengths}
            return run(
                q, tensors, keys, {**OPTIONS, **options}, arguments=arguments, group=self.group, split=split, return_lse=return_lse
            )


def _pair(k: Tensor, v: Tensor) -> list[_structs.Tensor]:
    return [_structs.tensor(name, view(name, each)) for name, each in (("k", k), ("v", v))]
