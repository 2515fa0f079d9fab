"""Which options of the modules go together; the messages are those of RingAttentionOptions.cpp."""

from __future__ import annotations

import math
from typing import Any, Optional

from ..errors import InputError

_MOST_WIDTH, _MOST_ROWS = 1 << 20, (1 << 31) - 1


def require(holds: bool, option: str, value: object, allowed: str) -> None:
    if not holds:
        raise InputError.of(option, value, allowed)


def require_integer(option: str, value: Any, low: int, high: int) -> None:
    require(isinstance(value, int) and low <= value <= high, option, value, f"{low} to {high}")


def _require_with(given: bool, other: bool, option: str, value: object, needs: str) -> None:
    require(not given or other, option, f"{value} without {needs}", f"it needs {needs}")


def validate(
    *,
    dim: int,
    dim_head: int,
    heads: int,
    num_grouped_query_heads: int,
    causal: bool,
    bucket_size: int,
    ring_attn: bool,
    ring_seq_size: int,
    max_lookback_seq_len: Optional[int],
    striped_ring_attn: bool,
    auto_shard_seq: bool,
    rotary_embed: bool,
    rotary_embed_theta: float,
    layout: Optional[str],
) -> None:
    require_integer("dim", dim, 1, _MOST_WIDTH)
    require_integer("dim_head", dim_head, 1, 256)
    require_integer("heads", heads, 1, _MOST_WIDTH)
    groups = num_grouped_query_heads
    require(groups >= 1 and heads % groups == 0, "num_grouped_query_heads", groups, f"a divisor of heads, {heads}")
    require_integer("heads * dim_head", heads * dim_head, 1, _MOST_WIDTH)
    require_integer("ring_seq_size", ring_seq_size, 1, _MOST_ROWS)
    divides = bucket_size >= 1 and ring_seq_size % bucket_size == 0
    require(divides, "bucket_size", bucket_size, f"a divisor of ring_seq_size, {ring_seq_size}")
    if max_lookback_seq_len is not None:
        require_integer("max_lookback_seq_len", max_lookback_seq_len, 0, _MOST_ROWS)
        _require_with(True, causal, "max_lookback_seq_len", max_lookback_seq_len, "causal")
    _require_with(striped_ring_attn, ring_attn, "striped_ring_attn", "true", "ring_attn")
    _require_with(striped_ring_attn, causal, "striped_ring_attn", "true", "causal")
    _require_with(auto_shard_seq, ring_attn, "auto_shard_seq", "true", "ring_attn")
    if layout is not None:
        _require_with(True, ring_attn, "layout", layout, "ring_attn")
        striped = layout == "striped" or layout.startswith("striped:")
        require(not striped_ring_attn or striped, "layout", layout, "striped, or striped:S, with striped_ring_attn")
    require(not rotary_embed or dim_head % 2 == 0, "dim_head", dim_head, "an even number with rotary_embed")
    theta_is_one = math.isfinite(rotary_embed_theta) and rotary_embed_theta >= 1
    require(theta_is_one, "rotary_embed_theta", rotary_embed_theta, "a finite number, 1 or more")


def ring_size_for(world: int, length: int, ring_seq_size: int) -> int:
    """Ranks of a ring with auto_shard_seq: the least divisor of `world` that times ring_seq_size holds the rows."""
    if world == 1:
        return 1
    for size in range(1, world + 1):
        if world % size == 0 and length <= size * ring_seq_size:
            return size
    raise InputError.of(
        "tokens of a sequence", length, f"at most {world * ring_seq_size}, ring_seq_size for each of the {world} ranks"
    )
