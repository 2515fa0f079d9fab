"""RingTransformer of ring-attention-pytorch (docs/semantics.md section 12)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..errors import InputError
from . import _options
from ._rows import Rows, rows_of_call, world_of
from .ring_attention import RingAttention, RMSNorm, RotaryEmbedding


def FeedForward(dim: int, mult: int) -> nn.Sequential:
    inner = dim * mult
    return nn.Sequential(RMSNorm(dim), nn.Linear(dim, inner), nn.GELU(), nn.Linear(inner, dim))


class RingTransformer(nn.Module):
    """Token embedding, `depth` times ring attention and feed-forward, RMSNorm and logits; tokens ``[b, n]`` to logits or the loss.

    Options and names of weights are ring-attention-pytorch's; those of attention are RingAttention's. Its checkpoints load, and
    those of the C++ RingTransformer.

    Args:
        num_tokens: tokens are 0 .. num_tokens - 1. depth: layers. ff_mult: the feed-forward has ff_mult * dim elements inside.
        auto_shard_seq: None: with ring_attn. max_lookback_seq_len: of all layers, or of each.
        ignore_index: a label that does not count.
    """

    def __init__(
        self, *, num_tokens: int, dim: int, depth: int, causal: bool = False, dim_head: int = 64, heads: int = 8, ff_mult: int = 4,
        num_grouped_query_heads: int = 1, bucket_size: int = 512, ring_attn: bool = False, striped_ring_attn: bool = False,
        ring_seq_size: int = 512, auto_shard_seq: Optional[bool] = None,
        max_lookback_seq_len: Union[Sequence[Optional[int]], int, None] = None, rotary_embed_theta: float = 10000,
        ignore_index: int = -1, force_regular_attn: bool = False, use_cuda_kernel: Optional[bool] = None,
        kv_head_map: str = "tiled", softcap: Optional[float] = None, layout: Optional[str] = None, group: Any = None,
    ):  # fmt: skip
        super().__init__()
        look_back: Any = list(max_lookback_seq_len) if isinstance(max_lookback_seq_len, Sequence) else max_lookback_seq_len
        _options.check(
            "ring_transformer", num_tokens=num_tokens, dim=dim, depth=depth, causal=causal, dim_head=dim_head, heads=heads, ff_mult=ff_mult,
            num_grouped_query_heads=num_grouped_query_heads, bucket_size=bucket_size, ring_attn=ring_attn,
            striped_ring_attn=striped_ring_attn, ring_seq_size=ring_seq_size, auto_shard_seq=auto_shard_seq,
            max_lookback_seq_len=look_back, rotary_embed_theta=rotary_embed_theta, ignore_index=ignore_index,
            force_regular_attn=force_regular_attn,
        )  # fmt: skip
        look_back = look_back if isinstance(look_back, list) else [look_back]
        self.auto_shard_seq = ring_attn if auto_shard_seq is None else auto_shard_seq
        self.token_emb = nn.Embedding(num_tokens, dim)
        self.layers = nn.ModuleList([])
        self.rotary_emb = RotaryEmbedding(dim_head, rotary_embed_theta)
        for layer in range(depth):
            attention = RingAttention(
                dim, dim_head=dim_head, heads=heads, num_grouped_query_heads=num_grouped_query_heads, causal=causal,
                bucket_size=bucket_size, ring_attn=ring_attn, ring_seq_size=ring_seq_size,
                max_lookback_seq_len=look_back[layer % len(look_back)], striped_ring_attn=striped_ring_attn,
                force_regular_attn=force_regular_attn, use_cuda_kernel=use_cuda_kernel, kv_head_map=kv_head_map, softcap=softcap,
                layout=layout, group=group,
            )  # fmt: skip
            self.layers.append(nn.ModuleList([attention, FeedForward(dim, ff_mult)]))
        self.to_logits = nn.Sequential(RMSNorm(dim), nn.Linear(dim, num_tokens, bias=False))
        self.group, self.ring_seq_size, self.ignore_index = group, ring_seq_size, ignore_index
        self.ring_attn, self.layout = attention.ring_attn, attention.layout

    def forward(
        self,
        x: Tensor,
        mask: Optional[Tensor] = None,
        labels: Optional[Tensor] = None,
        return_loss: bool = False,
        force_ring_reduce_off: bool = False,
        ring_size: Optional[int] = None,
        *,
        document_lengths: Optional[Sequence[int]] = None,
        whole: Optional[tuple[int, int]] = None,
    ) -> Tensor:
        """x: tokens ``[b, n]``. Logits ``[b, n, num_tokens]``, dealt as the tokens are; with `return_loss` or `labels` the loss.

        labels: ``[b, n]``, tokens or ignore_index; absent: each token's is the next one, and the last token is only a label. The loss
        is cross entropy, summed over the labels of all ranks that count and divided by their number: the same on all ranks. Its
        gradient on each is the rank's share: the sum of the ranks' gradients of a weight is the gradient. The others are
        RingAttention's.
        """
        return_loss = return_loss or labels is not None
        if return_loss and labels is None:
            if self.ring_attn and not self.auto_shard_seq and not force_ring_reduce_off and world_of(self.group)[2] > 1:
                raise InputError.of("labels", "none of a shard", "labels, or whole sequences on each rank")
            x, labels = x[:, :-1], x[:, 1:]
            mask = None if mask is None else mask[:, :-1]
        rows = rows_of_call(
            x, group=self.group, ring=self.ring_attn and not force_ring_reduce_off, auto_shard=self.auto_shard_seq,
            ring_seq_size=self.ring_seq_size, ring_size=ring_size, layout=self.layout, whole=whole,
            others={"mask": mask, "labels": labels},
        )  # fmt: skip
        x, mask, labels = rows.to_sequence(x), rows.to_sequence(mask), rows.to_sequence(labels)
        cos_sin = self.rotary_emb.turns(rows.positions(document_lengths, x.device))
        tokens = self.token_emb(x)
        for layer in self.layers:
            attention: Any = layer[0]  # type: ignore[index]
            feed_forward: Any = layer[1]  # type: ignore[index]
            tokens = tokens + attention.attend(tokens, mask, cos_sin, rows, document_lengths)
            tokens = tokens + feed_forward(tokens)
        logits = self.to_logits(tokens)
        return rows.to_batch(logits) if labels is None else self._loss(logits, labels, rows)

    def _loss(self, logits: Tensor, labels: Tensor, rows: Rows) -> Tensor:
        labels = labels.reshape(-1).to(torch.int64)
        total = nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]).float(), labels, ignore_index=self.ignore_index, reduction="sum"
        )
        count = (labels != self.ignore_index).sum().to(total.dtype)
        if rows.group is None:
            return total / count.clamp(min=1)
        sums = torch.stack([total.detach(), count])
        dist.all_reduce(sums, group=rows.group)
        # The value is that of all ranks, the gradient this rank's share of its.
        share, number = total / sums[1].clamp(min=1), sums[1].clamp(min=1)
        return share + (sums[0] / number - share.detach())
