"""Rotary position embedding, RoFormer (arXiv 2104.09864): pair i of a head's r rotary dims is a point of the plane, turned by an
angle that grows with the row's position.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy

from ._tensor import is_torch
from .errors import InputError


def rope(
    x: Any, positions: Any, *, base: float = 10000.0, style: str = "half-split", rotary_dims: int = 0, inverse: bool = False
) -> Any:
    """Turns the rows of x ``[b, n, h, d]`` as their positions ask, ``[n]`` or ``[b, n]``: global ones (``ringc.positions``).

        angle_i = position * base^(-2 i / r)        a' = a cos - b sin, b' = b cos + a sin

    of pairs (a, b), i and r / 2 + i ("half-split") or 2 i and 2 i + 1 ("interleaved"), of the first r = `rotary_dims` of d, 0: all.
    Angles are double, products f32; the result has the type of x. `inverse` turns back. numpy, or torch, whose gradient it has.
    Raises InputError.
    """
    if len(x.shape) != 4:
        raise InputError.of("x", f"{len(x.shape)} axes", "4: [b, n, h, d]")
    head_dim = x.shape[-1]
    dims = rotary_dims or head_dim
    if dims % 2 or not 0 < dims <= head_dim:
        raise InputError.of("rotary_dims", dims, f"an even number up to d, {head_dim}")
    if style not in ("half-split", "interleaved"):
        raise InputError.of("style", repr(style), "'half-split' or 'interleaved'")
    if not base >= 1:
        raise InputError.of("base", base, "1 or more")
    cos, sin = turns(positions, base, dims, like=x)
    return turned(x, cos, -sin if inverse else sin, interleaved=style == "interleaved")


def turns(positions: Any, base: float, dims: int, *, like: Any) -> tuple[Any, Any]:
    """cos and sin, f32 ``[.., n, 1, dims / 2]``, of the library and on the device of `like`."""
    frequencies = [base ** (-2 * pair / dims) for pair in range(dims // 2)]
    if is_torch(like):
        torch = sys.modules["torch"]
        places = torch.as_tensor(positions, device=like.device).to(torch.float64)
        angles = places[..., None, None] * torch.tensor(frequencies, dtype=torch.float64, device=like.device)
        return angles.cos().to(torch.float32), angles.sin().to(torch.float32)
    angles = numpy.asarray(positions, numpy.float64)[..., None, None] * numpy.array(frequencies)
    return numpy.cos(angles).astype(numpy.float32), numpy.sin(angles).astype(numpy.float32)


def turned(x: Any, cos: Any, sin: Any, *, interleaved: bool = False) -> Any:
    """x ``[.., n, h, d]`` by `turns`; what of d is beyond them is copied."""
    of_torch, pairs = is_torch(x), cos.shape[-1]
    f32 = x.float() if of_torch else x.astype(numpy.float32)
    if interleaved:
        a, b = f32[..., 0 : 2 * pairs : 2], f32[..., 1 : 2 * pairs : 2]
    else:
        a, b = f32[..., :pairs], f32[..., pairs : 2 * pairs]
    turned_a, turned_b, rest = a * cos - b * sin, b * cos + a * sin, f32[..., 2 * pairs :]
    library = sys.modules["torch"] if of_torch else numpy
    join: Any = library.cat if of_torch else numpy.concatenate
    if interleaved:
        both = library.stack([turned_a, turned_b], -1).reshape(*x.shape[:-1], 2 * pairs)
        parts = [both, rest]
    else:
        parts = [turned_a, turned_b, rest]
    made: Any = join(parts, -1)
    return made.to(x.dtype) if of_torch else made.astype(x.dtype)
