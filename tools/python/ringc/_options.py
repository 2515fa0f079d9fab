"""Keyword arguments of a call, as the text that finds its object again."""

from __future__ import annotations

import json
import numbers
from functools import lru_cache
from typing import Any, Mapping, NamedTuple, Optional, Sequence

from . import _functions
from ._tensor import is_torch
from .errors import InputError


class Arguments(NamedTuple):
    """Parameters of masks and scores, by kind. Names of tensors and numbers, and bools whole, are in the options' text."""

    tensor_names: tuple[str, ...]
    tensors: list[Any]
    number_names: tuple[str, ...]
    numbers: list[float]
    bools: tuple[tuple[str, bool], ...]


def arguments_of(given: Optional[Mapping[str, Any]]) -> Arguments:
    tensor_names, tensors, number_names, values, bools = [], [], [], [], []
    for name, value in (given or {}).items():
        if isinstance(value, bool):
            bools.append((name, value))
        elif isinstance(value, (int, float)) or _is_symbolic(value):
            number_names.append(name)
            values.append(value)
        elif isinstance(value, numbers.Number):  # of numpy
            number_names.append(name)
            values.append(float(value))  # type: ignore[arg-type]
        elif is_torch(value) or hasattr(value, "__dlpack__"):
            tensor_names.append(name)
            tensors.append(value)
        else:
            raise InputError.of(f"arguments[{name!r}]", type(value).__name__, "a number, a bool or a tensor")
    return Arguments(tuple(tensor_names), tensors, tuple(number_names), values, tuple(bools))


def _is_symbolic(value: Any) -> bool:
    return type(value).__name__ in ("SymInt", "SymFloat")


def text(
    *,
    causal: bool,
    window: Sequence[int],
    softcap: Optional[float],
    alibi: Any,
    mask: Any,
    score: Any,
    scale: Optional[float],
    kv_head_map: str,
    layout: str,
    deterministic: bool,
    options: Optional[Mapping[str, Any]],
    arguments: Arguments,
) -> str:
    """JSON of what the caller said; sizes and type come from the tensors (`_objects`)."""
    if len(window) != 2:
        raise InputError.of("window", repr(window), "(left, right), -1 for unbounded")
    slopes = () if isinstance(alibi, bool) else tuple(float(slope) for slope in alibi)
    more = json.dumps(options, sort_keys=True) if options else ""
    return _text(
        bool(causal), int(window[0]), int(window[1]), None if softcap is None else float(softcap), alibi is True or bool(slopes),
        slopes, _functions.parse("mask", mask), _functions.parse("score", score), None if scale is None else float(scale),
        kv_head_map, layout, bool(deterministic), more, arguments.tensor_names, arguments.number_names, arguments.bools,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _text(
    causal, left, right, softcap, alibi, slopes, masks, scores, scale, kv_head_map, layout, deterministic, more,
    tensor_names, number_names, bools,
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
    fields["arguments"] = {"tensors": tensor_names, "numbers": number_names, "bools": bools}
    return json.dumps(fields)


@lru_cache(maxsize=1024)
def argument_names(options: str) -> tuple[tuple[bytes, ...], tuple[bytes, ...], tuple[tuple[bytes, bool], ...]]:
    """Of tensors, of numbers, and the bools, as `text` wrote them."""
    names = json.loads(options)["arguments"]
    return (
        tuple(name.encode() for name in names["tensors"]),
        tuple(name.encode() for name in names["numbers"]),
        tuple((name.encode(), truth) for name, truth in names["bools"]),
    )
