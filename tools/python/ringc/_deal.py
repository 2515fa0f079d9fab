"""What goes between the ranks of a torch.distributed process group beside attention: by batch, by sequence, and whole."""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from .errors import DisagreementError
from .sequence import _positions, local_length

_MOST_NUMBERS = 15


class _Exchange(torch.autograd.Function):
    """Each rank's piece to each other; the gradient goes back by the same way. Pieces are flat, one behind another."""

    @staticmethod
    def forward(ctx: Any, sent: Tensor, send_sizes: list[int], receive_sizes: list[int], group: Any) -> Tensor:
        ctx.back = (receive_sizes, send_sizes, group)
        received = sent.new_empty(sum(receive_sizes))
        dist.all_to_all_single(received, sent.contiguous(), receive_sizes, send_sizes, group=group)
        return received

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Exchange.apply(gradient, *ctx.back), None, None, None


def exchange(pieces: Sequence[Tensor], shapes: Sequence[tuple[int, ...]], group: Any) -> list[Tensor]:
    """pieces[r] goes to rank r; from rank r comes one of shapes[r]."""
    sizes = [torch.Size(shape).numel() for shape in shapes]
    dtype = pieces[0].dtype
    flat = torch.cat([piece.reshape(-1) for piece in pieces])
    as_bytes = flat.to(torch.uint8) if dtype is torch.bool else flat
    received = _Exchange.apply(as_bytes, [piece.numel() for piece in pieces], sizes, group).to(dtype)
    return [part.reshape(shape) for part, shape in zip(received.split(sizes), shapes)]


def gather(own: Tensor, rows: Sequence[int], axis: int, group: Any) -> list[Tensor]:
    """All ranks' shards, of so many rows along `axis`. The gradient is summed over ranks."""
    shapes = [(*own.shape[:axis], count, *own.shape[axis % own.ndim + 1 :]) for count in rows]
    return exchange([own] * len(rows), shapes, group)


def same_on_all_ranks(numbers: dict[str, int], group: Any, device: torch.device) -> list[dict[str, int]]:
    """What each rank has. Those that must be the same have names without a leading "own "."""
    # Of one size on all ranks, whatever they have: a digest of the names first.
    digest = zlib.crc32(" ".join(numbers).encode())
    numbers = {"what is dealt": digest, **dict(list(numbers.items())[:_MOST_NUMBERS])}
    own = torch.zeros(_MOST_NUMBERS + 1, dtype=torch.int64)
    own[: len(numbers)] = torch.tensor(list(numbers.values()))
    own = own.to(device)
    every = own.new_empty(dist.get_world_size(group) * own.numel())
    dist.all_gather_into_tensor(every, own, group=group)
    found = [dict(zip(numbers, values)) for values in every.view(-1, own.numel()).tolist()]
    for name in numbers:
        values = [each[name] for each in found]
        if not name.startswith("own ") and len(set(values)) > 1:
            other = next(rank for rank, value in enumerate(values) if value != values[0])
            raise DisagreementError(f"{name}: {values[0]} on rank 0, {values[other]} on rank {other}")
    return found


class Deal(NamedTuple):
    """Two ways to deal the same sequences: by batch, each rank whole entries of its own; and by sequence, a ring consecutive
    entries and each of its ranks the rows of its place (BatchDeal.h). Lengths that do not divide are dealt unevenly.
    """

    batches: tuple[int, ...]  # of each rank
    length: int
    ring_size: int
    rank: int
    layout: str

    @property
    def batch(self) -> int:
        return sum(self.batches)

    def entries_of_rank(self, rank: int) -> range:
        first = sum(self.batches[:rank])
        return range(first, first + self.batches[rank])

    def entries_of_ring(self, ring: int) -> range:
        """The first rings have one more where entries do not divide."""
        least, more = divmod(self.batch, len(self.batches) // self.ring_size)
        first = ring * least + min(ring, more)
        return range(first, first + least + (ring < more))

    def shard_entries(self, rank: int) -> range:
        return self.entries_of_ring(rank // self.ring_size)

    def rows_of(self, rank: int) -> Tensor:
        return torch.from_numpy(_positions(self.length, rank % self.ring_size, self.ring_size, self.layout).copy())

    def row_count(self, rank: int) -> int:
        return local_length(self.length, rank % self.ring_size, self.ring_size, self.layout)

    def shared(self, owner: int, holder: int) -> range:
        """Entries that `owner` has by batch, and `holder` rows of by sequence."""
        own, held = self.entries_of_rank(owner), self.shard_entries(holder)
        first = max(own.start, held.start)
        return range(first, max(first, min(own.stop, held.stop)))

    def to_sequence(self, own: Tensor, group: Any) -> Tensor:
        """own ``[own batch, length, ...]`` to this rank's shard ``[entries of the ring, rows of the place, ...]``."""
        ranks, first = range(len(self.batches)), self.entries_of_rank(self.rank).start
        pieces = []
        for holder in ranks:
            entries = self.shared(self.rank, holder)
            some = own[entries.start - first : entries.stop - first] if entries else own[:0]
            pieces.append(some.index_select(1, self.rows_of(holder).to(own.device)))
        rest = tuple(own.shape[2:])
        shapes = [(len(self.shared(owner, self.rank)), self.row_count(self.rank), *rest) for owner in ranks]
        return torch.cat(exchange(pieces, shapes, group))

    def to_batch(self, shard: Tensor, group: Any) -> Tensor:
        """The inverse."""
        ranks, first = range(len(self.batches)), self.shard_entries(self.rank).start
        pieces = []
        for owner in ranks:
            entries = self.shared(owner, self.rank)
            pieces.append(shard[entries.start - first : entries.stop - first] if entries else shard[:0])
        rest = tuple(shard.shape[2:])
        shapes = [(len(self.shared(self.rank, holder)), self.row_count(holder), *rest) for holder in ranks]
        received = exchange(pieces, shapes, group)
        rings = []
        for begin in range(0, len(ranks), self.ring_size):
            places = torch.cat([self.rows_of(rank) for rank in range(begin, begin + self.ring_size)])
            whole = torch.cat(received[begin : begin + self.ring_size], 1)
            rings.append(whole.index_select(1, places.argsort().to(shard.device)))
        return torch.cat(rings)
