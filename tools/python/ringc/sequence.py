"""How a sequence is dealt to the ranks of a group, and positions (docs/semantics.md section 2)."""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from typing import Any, Optional, Sequence

import numpy

from . import _structs
from ._library import library
from ._tensor import is_torch, view
from .errors import InputError
from .groups import name_of, world_of


def local_length(length: int, rank: int, world: int, layout: str = "zigzag") -> int:
    """Rows that a rank holds of a sequence of any length; they may differ from rank to rank, and be 0."""
    rows = ctypes.c_int64()
    library().local_length(layout.encode(), rank, world, length, ctypes.byref(rows))
    return rows.value


def positions(length: int, rank: int, world: int, layout: str = "zigzag") -> numpy.ndarray:
    """int64 ``[local_length]``: which tokens of a sequence `length` long a rank holds, rising.

    `layout`: "zigzag", "striped", "striped:S", "contiguous". Raises InputError.
    """
    return _positions(length, rank, world, layout).copy()


@lru_cache(maxsize=64)
def _positions(length: int, rank: int, world: int, layout: str) -> numpy.ndarray:
    made = numpy.empty(local_length(length, rank, world, layout), numpy.int64)
    library().positions(layout.encode(), rank, world, length, _structs.tensor("positions", view("positions", made)))
    made.setflags(write=False)
    return made


def shard(
    whole: Any, rank: Optional[int] = None, world: Optional[int] = None, *, group: Any = None, layout: str = "zigzag", axis: int = 1
) -> Any:
    """The rows of `whole` along `axis` that one rank holds, in the order of their positions.

    Of `group` this process's rank, or `rank` of `world`. numpy, or torch, whose gradient it has. Raises InputError.
    """
    rank, world = _place(rank, world, group)
    return _take(whole, _positions(whole.shape[axis], rank, world, layout), axis)


def unshard(
    shards: Any, *, group: Any = None, layout: str = "zigzag", axis: int = 1, length: Optional[int] = None
) -> Any:
    """The inverse of `shard`: the whole of the shards of all ranks.

    `shards`: a list, rank by rank; or with `group`, a torch.distributed process group, this rank's own: then all ranks call
    it and each gets the whole. Its gradient on each rank is that of the rank's own whole, summed over the ranks. `length`: rows
    of the whole; needed where the ranks' shards are not equally long. Raises InputError where shapes do not fit.
    """
    if group is not None:
        world = world_of(name_of(group))[1]
        length = shards.shape[axis] * world if length is None else length
        shards = _gather(shards, group, layout, axis, length)
    world = len(shards)
    if world == 0:
        raise InputError.of("shards", "none", "one of each rank")
    total = sum(each.shape[axis] for each in shards)
    if length is not None and length != total:
        raise InputError.of("length", length, f"the sum of the shards' rows, {total}")
    dealt = [_positions(total, rank, world, layout) for rank in range(world)]
    for rank, (each, rows) in enumerate(zip(shards, dealt)):
        if each.shape[axis] != len(rows):
            raise InputError.of(f"shards[{rank}]", f"{each.shape[axis]} rows", f"{len(rows)}, of {total} in the layout {layout}")
    places = numpy.empty(total, numpy.int64)
    places[numpy.concatenate(dealt)] = numpy.arange(total)
    return _take(_concatenate(shards, axis), places, axis)


def _place(rank: Optional[int], world: Optional[int], group: Any) -> tuple[int, int]:
    if group is not None:
        return world_of(name_of(group))
    if rank is None or world is None:
        raise InputError.of("rank and world", f"{rank} and {world}", "both, or a group")
    return rank, world


def _take(tensor: Any, rows: numpy.ndarray, axis: int) -> Any:
    if is_torch(tensor):
        torch = sys.modules["torch"]
        return tensor.index_select(axis, torch.from_numpy(rows.copy()).to(tensor.device))
    return numpy.take(tensor, rows, axis)


def _concatenate(shards: Sequence[Any], axis: int) -> Any:
    if is_torch(shards[0]):
        return sys.modules["torch"].cat(list(shards), axis)
    return numpy.concatenate(shards, axis)


def _gather(own: Any, group: Any, layout: str, axis: int, length: int) -> list[Any]:
    from . import _deal

    rank, world = world_of(name_of(group))
    rows = [local_length(length, place, world, layout) for place in range(world)]
    if own.shape[axis] != rows[rank]:
        raise InputError.of("shards", f"{own.shape[axis]} rows", f"{rows[rank]}, rank {rank}'s of {length} in the layout {layout}")
    return _deal.gather(own, rows, axis, group)
