"""Options of the modules, checked by the library."""

from __future__ import annotations

import ctypes
import json
from typing import Any

from .._library import library


def check(module: str, **options: Any) -> None:
    """`module`: "ring_attention" or "ring_transformer"; options that are None are absent. Raises InputError."""
    library().module_check(module.encode(), _text(options))


def ring_size_for(world: int, length: int, **options: Any) -> int:
    """Ranks of a ring for a sequence of so many rows. Raises InputError where there is none."""
    ranks = ctypes.c_int()
    library().module_ring_size(_text(options), world, length, ctypes.byref(ranks))
    return ranks.value


def _text(options: dict[str, Any]) -> bytes:
    return json.dumps({name: value for name, value in options.items() if value is not None}).encode()
