"""Which rows of which sequences a rank has in a call of a module."""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple, Optional, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from .. import _deal
from .._torch import cumulative
from ..errors import InputError
from ..sequence import _positions
from ._options import ring_size_for


class Rows(NamedTuple):
    """`deal`: how tokens come and go by batch; None: they are this rank's shard, or whole, already."""

    group: Any  # None: this rank attends to its own tokens
    ring_size: int
    batch: int  # of all rings
    length: int  # of the whole sequence
    layout: str
    place: int  # of this rank in its ring
    deal: Optional[_deal.Deal]

    def ring(self) -> dict[str, Any]:
        """As ringc.attention takes it."""
        if self.group is None:
            return {}
        options = {"ring_size": self.ring_size}
        return {"group": self.group, "layout": self.layout, "length": self.length, "batch": self.batch, "options": options}

    def positions(self, document_lengths: Optional[Sequence[int]], device: torch.device) -> Tensor:
        """int64 [n] of this rank's rows, from 0 in each document."""
        if self.ring_size == 1:
            rows = torch.arange(self.length, device=device)
        else:
            rows = _rows_of_ring(self.length, self.place, self.ring_size, self.layout).to(device)
        if document_lengths is None:
            return rows
        begins = cumulative(document_lengths).to(device)  # type: ignore[union-attr]
        return rows - begins[torch.searchsorted(begins, rows, right=True) - 1]

    @torch.compiler.disable
    def _deal_out(self, own: Tensor, deal: _deal.Deal) -> Tensor:
        return deal.to_sequence(own, self.group)

    @torch.compiler.disable
    def _deal_back(self, shard: Tensor, deal: _deal.Deal) -> Tensor:
        return deal.to_batch(shard, self.group)

    def to_sequence(self, own: Any) -> Any:
        """A tensor, or None."""
        return own if own is None or self.deal is None else self._deal_out(own, self.deal)

    def to_batch(self, shard: Tensor) -> Tensor:
        return shard if self.deal is None else self._deal_back(shard, self.deal)


def _rows_of_ring(length: int, place: int, ring_size: int, layout: str) -> Tensor:
    return torch.from_numpy(_positions(length, place, ring_size, layout).copy())


torch.compiler.assume_constant_result(_rows_of_ring)


def world_of(group: Any) -> tuple[Any, int, int]:
    """(group, rank, world); `group` None is the default one, where torch.distributed was started."""
    if not (dist.is_available() and dist.is_initialized()):
        return None, 0, 1
    if group is not None and hasattr(group, "get_group"):
        group = group.get_group()
    group = dist.group.WORLD if group is None else group
    return group, dist.get_rank(group), dist.get_world_size(group)


def rows_of_call(
    x: Tensor,
    *,
    group: Any,
    ring: bool,
    auto_shard: bool,
    ring_seq_size: int,
    ring_size: Optional[int],
    layout: str,
    whole: Optional[tuple[int, int]],
    others: dict[str, Optional[Tensor]],
) -> Rows:
    """x [b, n, ...] is what this rank brings, with `others` on all ranks or none. `whole`: (batch, length) of all, where shards
    are not equally long.
    """
    batch, length = x.shape[0], x.shape[1]
    group, rank, world = world_of(group)
    if not ring or world == 1:
        return Rows(None, 1, batch, length, "contiguous", 0, None)
    if ring_size is not None and (ring_size < 1 or world % ring_size):
        raise InputError.of("ring_size", ring_size, f"a divisor of the world, {world}")
    if not auto_shard:
        size = ring_size or world
        batch, length = whole or (batch * (world // size), length * size)
        return Rows(group, size, batch, length, layout, rank % size, None)
    size = ring_size or _ring_size_for(x, world, ring_seq_size)
    return _dealt(x, size, group, rank, layout, others)


def _ring_size_for(x: Tensor, world: int, ring_seq_size: int) -> int:
    options = {"dim": 1, "ring_attn": True, "auto_shard_seq": True, "ring_seq_size": ring_seq_size, "bucket_size": 1}
    return ring_size_for(world, x.shape[1], **options)


@torch.compiler.disable
def _dealt(x: Tensor, size: int, group: Any, rank: int, layout: str, others: dict[str, Optional[Tensor]]) -> Rows:
    """Ranks tell each other what they bring, before anything is sent that depends on it."""
    length = x.shape[1]
    numbers = {"tokens of a sequence": length, "ring_size": size, "own batch": x.shape[0]}
    numbers |= {f"extent of axis {axis}": extent for axis, extent in enumerate(x.shape[2:], 2)}
    numbers |= {f"whether there is {name}": int(each is not None) for name, each in others.items()}
    numbers["element bytes"] = x.element_size()
    numbers["layout"] = zlib.crc32(layout.encode())
    every = _deal.same_on_all_ranks(numbers, group, x.device)
    deal = _deal.Deal(tuple(each["own batch"] for each in every), length, size, rank, layout)
    return Rows(group, size, deal.batch, length, layout, rank % size, deal)
