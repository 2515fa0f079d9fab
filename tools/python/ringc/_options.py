"""Keyword arguments of a call, as the text that finds its object again."""

from __future__ import annotations

import json
import math
import numbers
from functools import lru_cache
from typing import Any, Iterator, Mapping, NamedTuple, Optional

from . import _functions
from ._tensor import is_torch
from .errors import InputError


class Arguments(NamedTuple):
    """Parameters of masks and scores, by kind. Names, and bools whole, are in the options' text."""

    names: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]  # of tensors, integers, reals
    tensors: list[Any]
    integers: list[int]
    reals: list[float]
    bools: tuple[tuple[str, bool], ...]


def arguments_of(given: Optional[Mapping[str, Any]]) -> Arguments:
    tensors: dict[str, Any] = {}
    integers: dict[str, int] = {}
    reals: dict[str, float] = {}
    bools: dict[str, bool] = {}
    for name, value in (given or {}).items():
        if not isinstance(name, str):
            raise InputError.of("arguments", f"a name {name!r}", "names that are strings")
        if isinstance(value, bool):
            bools[name] = value
        elif isinstance(value, int) or type(value).__name__ == "SymInt":
            integers[name] = value
        elif isinstance(value, float) or type(value).__name__ == "SymFloat":
            reals[name] = value
        elif isinstance(value, numbers.Integral):  # of numpy
            integers[name] = int(value)
        elif isinstance(value, numbers.Real):
            reals[name] = float(value)
        elif is_torch(value) or hasattr(value, "__dlpack__"):
            tensors[name] = value
        else:
            raise InputError.of(f"arguments[{name!r}]", type(value).__name__, "a number, a bool or a tensor")
    names = (tuple(tensors), tuple(integers), tuple(reals))
    return Arguments(names, list(tensors.values()), list(integers.values()), list(reals.values()), tuple(bools.items()))


def text(*, arguments: Arguments, **asked: Any) -> str:
    """JSON of what the caller said; sizes and type come from the tensors (`_objects`)."""
    asked["options"] = {} if asked["options"] is None else asked["options"]
    leaves: list[Any] = []
    shape = _flattened(asked, leaves)
    return text_of(arguments.names, arguments.bools, shape, *leaves)


def _flattened(value: Any, leaves: list[Any]) -> Any:
    """What a tracer knows as constants is arguments of a call, one by one, and not what dicts hold."""
    if isinstance(value, dict):
        return ("dict", tuple((name, _flattened(each, leaves)) for name, each in value.items()))
    if isinstance(value, (tuple, list)):
        return (type(value).__name__, tuple(_flattened(each, leaves) for each in value))
    # As a key a number is a constant for a tracer that would take it for one that varies.
    leaves.extend({value: None} if isinstance(value, (int, float)) else (value,))
    return None


def _restored(shape: Any, leaves: Iterator[Any]) -> Any:
    if shape is None:
        return next(leaves)
    kind, parts = shape
    if kind == "dict":
        return {name: _restored(each, leaves) for name, each in parts}
    return (list if kind == "list" else tuple)(_restored(each, leaves) for each in parts)


def text_of(names: Any, bools: Any, shape: Any, *leaves: Any) -> str:
    """Its result is a constant of a traced graph (_torch.py): nothing that it takes is a tensor."""
    key = (names, bools, shape, leaves, tuple(map(type, leaves)))  # True is 1
    try:
        found = _known.get(key)
    except TypeError:  # a leaf without a hash, which the library or JSON refuses
        return _made_text(names, bools, shape, leaves)
    if found is None:
        if len(_known) >= 4096:
            _known.clear()
        found = _known[key] = _made_text(names, bools, shape, leaves)
    return found


#: Texts of what was asked before.
_known: dict[Any, str] = {}


def _made_text(names: Any, bools: Any, shape: Any, leaves: Any) -> str:
    arguments = {"names": names, "bools": bools}
    try:
        return json.dumps({**_fields(shape, leaves), "arguments": arguments})
    except InputError as error:  # raised as the object is made: a tracer would hide it in an error of its own
        return json.dumps({"refused": str(error), "arguments": arguments})


def _fields(shape: Any, leaves: Any) -> dict[str, Any]:
    asked = _restored(shape, iter(leaves))
    window, alibi = asked["window"], asked["alibi"]
    if not isinstance(window, (tuple, list)) or len(window) != 2:
        raise InputError.of("window", repr(window), "(left, right), -1 for unbounded")
    if not isinstance(asked["options"], dict):
        raise InputError.of("options", repr(asked["options"]), "a dict of the library's options")
    fields = {name: _plain(name, asked[name]) for name in ("causal", "softcap", "scale", "layout", "deterministic")}
    fields |= {
        "window": {"left": _plain("window", window[0]), "right": _plain("window", window[1])},
        "alibi": alibi if isinstance(alibi, bool) else True,
        "alibi_slopes": [] if isinstance(alibi, bool) else [_plain("alibi", slope) for slope in alibi],
        "masks": _functions.parse("mask", asked["mask"]),
        "scores": _functions.parse("score", asked["score"]),
        "head_map": asked["kv_head_map"],
        **asked["options"],
    }
    try:
        json.dumps(fields)
    except TypeError as error:
        raise InputError.of("options", repr(asked["options"]), f"what JSON has: {error}") from error
    return fields


def _plain(name: str, value: Any) -> Any:
    """A number of numpy as Python's. What it may be is the library's to say, but for what JSON has not."""
    if isinstance(value, numbers.Number) and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError.of(name, value, "a finite number")
    return value


@lru_cache(maxsize=1024)
def argument_names(options: str) -> tuple[list[list[bytes]], list[tuple[bytes, bool]]]:
    """Of tensors, integers and reals; and the bools, as `text` wrote them."""
    found = json.loads(options)["arguments"]
    names = [[name.encode() for name in kind] for kind in found["names"]]
    return names, [(name.encode(), truth) for name, truth in found["bools"]]
