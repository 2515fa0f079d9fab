"""RingAttention of ring-attention-pytorch (docs/semantics.md section 11)."""

from __future__ import annotations

from typing import Any, Optional, Sequence

import torch
from torch import Tensor, nn

from ..attention import attention
from ..errors import InputError
from ..rotary import turned, turns
from . import _options
from ._rows import Rows, rows_of_call


class RMSNorm(nn.Module):
    """x / max(|x|, 1e-12) * sqrt(dim) * gamma, of the last axis."""

    def __init__(self, dim: int):
        super().__init__()
        self.scale = dim**0.5
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(x, dim=-1) * self.scale * self.gamma


class RotaryEmbedding(nn.Module):
    """Turns heads by their positions: pairs i and dim_head / 2 + i, by position * theta^(-2 i / dim_head)."""

    inv_freq: Tensor

    def __init__(self, dim_head: int, theta: float = 10000.0):
        super().__init__()
        self.dim_head, self.theta = dim_head, float(theta)
        self.register_buffer("inv_freq", self._exact())

    def _exact(self) -> Tensor:
        exponents = torch.arange(0, self.dim_head, 2, dtype=torch.float64) / self.dim_head
        return (self.theta**-exponents).to(torch.float32)

    def turns(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """cos and sin of positions [n] or [b, n], f32 [.., n, 1, dim_head / 2]; angles are double, not of the f32 inv_freq."""
        return turns(positions, self.theta, self.dim_head, like=positions)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """x [b, n, h, dim_head]."""
        return turned(x, *self.turns(positions.to(x.device)))

    def _load_from_state_dict(self, state_dict, prefix, metadata, strict, missing, unexpected, errors):
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing, unexpected, errors)
        given, name = state_dict.get(f"{prefix}inv_freq"), f"{prefix}inv_freq"
        if given is None or given.shape != self.inv_freq.shape:
            return
        for pair, (theirs, ours) in enumerate(zip(given.tolist(), self._exact().tolist())):
            if not abs(theirs - ours) <= 0.01 * ours:  # it may have been 16 bit
                errors.append(f"{name}[{pair}]: got {theirs:g}, allowed: {ours:g}, as rotary_embed_theta has it")
                return


class RingAttention(nn.Module):
    """RMSNorm, projections, rotary embedding at global positions, exact ring attention, projection; tokens ``[b, n, dim]`` to the same.

    Options are ring-attention-pytorch's, and so are the names of weights: ``to_qkv.0.gamma``, ``to_qkv.1.weight``,
    ``to_out.weight``, ``rotary_embed.inv_freq``. The result is that of the whole sequence on one rank.

    Args:
        dim: of a token. dim_head: up to 256. heads: of queries. num_grouped_query_heads: query heads for each KV head.
        causal: j <= i. max_lookback_seq_len: i - j is at most this, exactly; needs causal.
        bucket_size: a divisor of ring_seq_size; changes nothing here.
        ring_attn: the sequence is dealt to the ranks of `group`. striped_ring_attn: row by row; needs causal and ring_attn.
        auto_shard_seq: ranks bring, and get, whole sequences of their own; they are dealt by sequence in between. A ring has as few
            ranks, a divisor of the world, as hold the rows with ring_seq_size each. Else x is this rank's shard (``ringc.shard``).
        prenorm, force_regular_attn (never a ring), rotary_embed, rotary_embed_theta.
        eps, use_cuda_kernel: of the original; they change nothing here.
        kv_head_map: query head h reads KV head h % h_kv ("tiled", the original's) or h // group ("blocked").
        softcap: of logits. layout: "contiguous" (the default without stripes), "striped", "striped:S", "zigzag".
        group: a torch.distributed process group; None: the default one, where torch.distributed was started.
    """

    def __init__(
        self, dim: int, *, dim_head: int = 64, heads: int = 8, num_grouped_query_heads: int = 1, causal: bool = False,
        eps: float = 1e-10, bucket_size: int = 512, ring_attn: bool = False, ring_seq_size: int = 512,
        max_lookback_seq_len: Optional[int] = None, striped_ring_attn: bool = False, auto_shard_seq: bool = False,
        prenorm: bool = True, force_regular_attn: bool = False, rotary_embed: bool = False, rotary_embed_theta: float = 10000,
        use_cuda_kernel: Optional[bool] = None, kv_head_map: str = "tiled", softcap: Optional[float] = None,
        layout: Optional[str] = None, group: Any = None,
    ):  # fmt: skip
        super().__init__()
        _options.check(
            "ring_attention", dim=dim, dim_head=dim_head, heads=heads, num_grouped_query_heads=num_grouped_query_heads, causal=causal,
            bucket_size=bucket_size, ring_attn=ring_attn, ring_seq_size=ring_seq_size, max_lookback_seq_len=max_lookback_seq_len,
            striped_ring_attn=striped_ring_attn, auto_shard_seq=auto_shard_seq, prenorm=prenorm, force_regular_attn=force_regular_attn,
            rotary_embed=rotary_embed, rotary_embed_theta=rotary_embed_theta, head_map=kv_head_map, softcap=softcap, layout=layout,
        )  # fmt: skip
        self.heads, self.kv_heads, self.dim_head = heads, heads // num_grouped_query_heads, dim_head
        self.causal, self.max_lookback_seq_len = causal, max_lookback_seq_len
        self.ring_attn = ring_attn and not force_regular_attn
        self.auto_shard_seq, self.ring_seq_size = auto_shard_seq, ring_seq_size
        self.layout = layout or ("striped" if striped_ring_attn else "contiguous")
        self.kv_head_map, self.softcap, self.group = kv_head_map, softcap, group
        self.rotary_embed = RotaryEmbedding(dim_head, rotary_embed_theta) if rotary_embed else None
        norm = RMSNorm(dim) if prenorm else nn.Identity()
        self.to_qkv = nn.Sequential(norm, nn.Linear(dim, (heads + 2 * self.kv_heads) * dim_head, bias=False))
        self.to_out = nn.Linear(heads * dim_head, dim, bias=False)

    def forward(
        self,
        x: Tensor,
        mask: Optional[Tensor] = None,
        rotary_emb: Optional[Tensor] = None,
        force_ring_reduce_off: bool = False,
        ring_size: Optional[int] = None,
        *,
        document_lengths: Optional[Sequence[int]] = None,
        whole: Optional[tuple[int, int]] = None,
    ) -> Tensor:
        """x ``[b, n, dim]``, the entries of this rank (auto_shard_seq), its shard, or, without a ring, the whole.

        mask: bool ``[b, n]``, True is visible; also when causal. rotary_emb: integers ``[n]`` or ``[b, n]``, positions to turn by in
        place of the rows' own; needs rotary_embed. force_ring_reduce_off: x are whole sequences of this rank, and nothing is dealt.
        ring_size: of this call, a divisor of the world. document_lengths: packed documents, as ``ringc.attention`` has them.
        whole: (batch, length) of all ranks, where shards are not equally long. Gradients of weights are this rank's share: their
        sum over the ranks is the gradient.
        """
        if rotary_emb is not None and self.rotary_embed is None:
            raise InputError.of("rotary_emb", "positions without rotary_embed", "it needs rotary_embed")
        rows = rows_of_call(
            x, group=self.group, ring=self.ring_attn and not force_ring_reduce_off, auto_shard=self.auto_shard_seq,
            ring_seq_size=self.ring_seq_size, ring_size=ring_size, layout=self.layout, whole=whole,
            others={"mask": mask, "rotary_emb": rotary_emb},
        )  # fmt: skip
        x, mask, rotary_emb = rows.to_sequence(x), rows.to_sequence(mask), _dealt_positions(rotary_emb, x, rows)
        cos_sin = None
        if self.rotary_embed is not None:
            positions = rows.positions(document_lengths, x.device) if rotary_emb is None else rotary_emb.to(x.device)
            cos_sin = self.rotary_embed.turns(positions)
        return rows.to_batch(self.attend(x, mask, cos_sin, rows, document_lengths))

    def attend(
        self,
        x: Tensor,
        mask: Optional[Tensor],
        cos_sin: Optional[tuple[Tensor, Tensor]],
        rows: Rows,
        document_lengths: Optional[Sequence[int]] = None,
    ) -> Tensor:
        """Of the rows of a shard; `cos_sin` are RotaryEmbedding.turns'."""
        b, n, _ = x.shape
        q, k, v = self.to_qkv(x).view(b, n, -1, self.dim_head).split([self.heads, self.kv_heads, self.kv_heads], dim=2)
        if cos_sin is not None:
            q, k = turned(q, *cos_sin), turned(k, *cos_sin)
        left = -1 if self.max_lookback_seq_len is None else self.max_lookback_seq_len
        out = attention(
            q, k, v, causal=self.causal, window=(left, -1), softcap=self.softcap, kv_head_map=self.kv_head_map, key_mask=mask,
            document_lengths=document_lengths, **rows.ring(),
        )  # fmt: skip
        return self.to_out(out.reshape(b, n, -1))


def _dealt_positions(positions: Optional[Tensor], x: Optional[Tensor], rows: Rows) -> Optional[Tensor]:
    if positions is None:
        return None
    if positions.is_floating_point():
        raise InputError.of("rotary_emb", str(positions.dtype), "integers: positions [n] or [b, n]")
    if rows.deal is None or x is None:
        return positions
    own = len(rows.deal.entries_of_rank(rows.deal.rank))
    return rows.to_sequence(positions.expand(own, positions.shape[-1]) if positions.ndim == 1 else positions)
