"""The library's attentions and decodes, one for each device, group and options, with the lock that makes them one thread's."""

from __future__ import annotations

import collections
import json
import os
import threading
from functools import lru_cache
from typing import Any, Callable, Optional

from . import _handles
from ._handles import Handle, context
from ._library import library
from ._tensor import HOST
from .errors import InputError
from .groups import Group, by_name


class Object:
    """A handle. Calls on one group take turns, too: their messages would mix."""

    def __init__(self, handle: Handle, group: Optional[Group]):
        self.handle = handle
        self.raw = handle.raw
        self.lock = handle.lock
        self.group = group


#: Objects at most; the one that was not used for longest goes.
_MOST = 256
_lock = threading.Lock()
_objects: collections.OrderedDict[tuple[Any, ...], Object] = collections.OrderedDict()


def _find(kind: str, device: int, group_name: str, options: str, files: tuple[str, ...], make: Callable[..., Handle]) -> Object:
    group = by_name(group_name, device)
    # A group of the same name may be another one by now, and a file of masks another text.
    key = (kind, device, id(group), options, tuple(_state(path) for path in files))
    with _lock:
        found = _objects.get(key)
        if found is not None and found.group is group:
            _objects.move_to_end(key)
            return found
    raw, lock = (group.handle.raw, group.lock) if group is not None else (None, None)
    made = Object(make(context(device).raw, raw, options.encode(), lock=lock), group)
    with _lock:
        found = _objects.setdefault(key, made)
        if found.group is not group:
            found = _objects[key] = made
        while len(_objects) > _MOST:
            _objects.popitem(last=False)
    return found


def _state(path: str) -> tuple[int, int]:
    """Changes with a file; of none, or none that can be read, the library's error says more."""
    try:
        state = os.stat(path)
    except OSError:
        return (0, 0)
    return (state.st_mtime_ns, state.st_size)


def attention(device: int, group_name: str, options: str, sizes: tuple[Any, ...]) -> Object:
    """`options` as `_options.text` makes them; `sizes` as `sizes_of`."""
    complete, files = _complete(options, sizes, device)
    return _find("attention", device, group_name, complete, files, _make_attention)


def decode(device: int, group_name: str, options: str, sizes: tuple[Any, ...]) -> Object:
    complete, files = _complete(options, sizes, HOST)
    return _find("decode", device, group_name, complete, files, _make_decode)


def _make_attention(*arguments: Any, lock: Any) -> Handle:
    return Handle.create(library().attention_create, library().attention_destroy, *arguments, lock=lock)


def _make_decode(*arguments: Any, lock: Any) -> Handle:
    return Handle.create(library().decode_create, library().decode_destroy, *arguments, lock=lock)


@lru_cache(maxsize=1024)
def _complete(options: str, sizes: tuple[Any, ...], device: int) -> tuple[str, tuple[str, ...]]:
    """The JSON that the library takes, and the files that it will read."""
    fields = json.loads(options)
    if "refused" in fields:
        raise InputError(fields["refused"])
    fields.pop("arguments", None)
    heads, kv_heads, head_dim, value_head_dim, dtype = sizes
    fields |= {"heads": heads, "kv_heads": kv_heads, "head_dim": head_dim, "value_head_dim": value_head_dim, "dtype": dtype}
    if fields.pop("deterministic", True):
        fields.setdefault("backward", "split")
    elif device != HOST:
        fields.setdefault("backward", "fused")
    functions = fields.get("masks", []) + fields.get("scores", [])
    return json.dumps(fields), tuple(sorted({each["file"] for each in functions if each.get("text") is None}))


def _forget() -> None:
    global _lock
    _lock = threading.Lock()
    _objects.clear()


_handles.forget_after_fork.append(_forget)
