"""Owners of the library's handles, and its contexts: one a device."""

from __future__ import annotations

import ctypes
import json
import os
import threading
import weakref
from typing import Any, Callable

from ._library import library
from ._tensor import HOST


class Handle:
    """Owns one; destroys it with itself, but not as the process ends.

    `lock` is what its users hold: handles of one group are one thread's at a time, also as they are made and destroyed.
    """

    def __init__(
        self, made: ctypes.c_void_p, destroy: Callable[[ctypes.c_void_p], None], keep: Any = None, lock: Any = None
    ):
        self.raw = made
        self.keep = keep
        self.lock = threading.RLock() if lock is None else lock
        end = weakref.finalize(self, _destroy_here, destroy, made, os.getpid(), self.lock)
        end.atexit = False

    @classmethod
    def create(
        cls, create: Callable[..., None], destroy: Callable[..., None], *arguments: Any, keep: Any = None, lock: Any = None
    ) -> Handle:
        place = ctypes.c_void_p()
        lock = threading.RLock() if lock is None else lock
        with lock:
            create(*arguments, ctypes.byref(place))
        return cls(place, destroy, keep, lock)


def _destroy_here(destroy: Callable[..., None], raw: ctypes.c_void_p, process: int, lock: Any) -> None:
    """A handle that fork() copied is the parent's: its threads are not here."""
    if os.getpid() == process:
        with lock:
            destroy(raw)


_lock = threading.Lock()
_contexts: dict[int, Handle] = {}


def context(device: int) -> Handle:
    """Of HOST or a device of CUDA."""
    found = _contexts.get(device)
    if found is None:
        with _lock:
            found = _contexts.get(device)
            if found is None:
                name = "cpu" if device == HOST else f"cuda:{device}"
                options = json.dumps({"device": name}).encode()
                found = Handle.create(library().context_create, library().context_destroy, options)
                _contexts[device] = found
    return found


#: Called in a child of fork(), which has none of the threads that the parent's objects run on.
forget_after_fork: list[Callable[[], None]] = []


def _in_child() -> None:
    global _lock
    _lock = threading.Lock()
    _contexts.clear()
    for forget in forget_after_fork:
        forget()


os.register_at_fork(after_in_child=_in_child)
