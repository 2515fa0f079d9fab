"""libringc.so by ctypes: its functions (ringc/c/ringc_c.h), and its errors as exceptions."""

from __future__ import annotations

import ctypes
import os
import threading
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from . import errors
from ._structs import (
    AttentionGradients,
    AttentionInputs,
    AttentionResults,
    DecodeInputs,
    DecodeKeys,
    Messages,
    RowPositions,
    Source,
    Tensor,
    TuneProgress,
)  # fmt: skip

ABI_VERSION = 1

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
        self._so.ringc_program.argtypes, self._so.ringc_program.restype = (c_int, POINTER(c_char_p)), c_int
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

    def program(self, arguments: list[bytes]) -> int:
        """The command line tool; `arguments` begin with its name."""
        return int(self._so.ringc_program(len(arguments), (c_char_p * (len(arguments) + 1))(*arguments, None)))


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
