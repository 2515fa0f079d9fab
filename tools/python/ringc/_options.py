"""Keyword arguments of a call, as the text that finds its object again."""

from __future__ import annotations

import json
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
    asked = _restored(shape, iter(leaves))
    window, alibi, options = asked["window"], asked["alibi"], asked["options"]
    if len(window) != 2:
        raise InputError.of("window", repr(window), "(left, right), -1 for unbounded")
    slopes = () if isinstance(alibi, bool) else tuple(float(slope) for slope in alibi)
    softcap, scale = (None if asked[name] is None else float(asked[name]) for name in ("softcap", "scale"))
    more = json.dumps(options, sort_keys=True) if options else ""
    return _text(
        bool(asked["causal"]), int(window[0]), int(window[1]), softcap, alibi is True or bool(slopes), slopes,
        _functions.parse("mask", asked["mask"]), _functions.parse("score", asked["score"]), scale, asked["kv_head_map"],
        asked["layout"], bool(asked["deterministic"]), more, names, bools,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _text(
    causal, left, right, softcap, alibi, slopes, masks, scores, scale, kv_head_map, layout, deterministic, more,
    names, bools,
) -> str:  # fmt: skip
    fields = {
        "causal": causal,
        "window": {"left": left, "right": right},
        "softcap": softcap,
        "alibi": alibi,
        "alibi_slopes": slopes,
        "masks": [{"file": file, "name": name, "text": source} for file, name, source in masks],
        "scores": [{"file": file, "name": name, "text": source} for file, name, source in scores],
        "scale": scale,
        "head_map": kv_head_map,
        "layout": layout,
        "deterministic": deterministic,
    }
    if more:
        fields |= json.loads(more)
    fields["arguments"] = {"names": names, "bools": bools}
    return json.dumps(fields)


@lru_cache(maxsize=1024)
def argument_names(options: str) -> tuple[list[list[bytes]], list[tuple[bytes, bool]]]:
    """Of tensors, integers and reals; and the bools, as `text` wrote them."""
    found = json.loads(options)["arguments"]
    names = [[name.encode() for name in kind] for kind in found["names"]]
    return names, [(name.encode(), truth) for name, truth in found["bools"]]
