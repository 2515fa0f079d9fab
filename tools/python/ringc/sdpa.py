"""In place of torch.nn.functional.scaled_dot_product_attention."""

from __future__ import annotations

from typing import Any, Optional

from .attention import attention
from .errors import InputError

_KEEP = """mask attn_mask(b: index, h: index, i: index, j: index, keep: view<bool>[B, H, Nq, Nk]) { return keep[b, h, i, j] }"""


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Optional[Any] = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: Optional[float] = None,
    enable_gqa: bool = False,
) -> Any:
    """torch's function of that name, by ringc: query ``[..., h, n_q, d]``, key ``[..., h_kv, n_k, d]``, value ``[..., h_kv, n_k, d_v]``.

    `attn_mask` is bool (True is visible) or float (added), broadcastable to ``[..., h, n_q, n_k]``; it gets no gradient. As in torch
    `is_causal` is aligned at the top left: j <= i, rows of queries and keys both from 0. Rows that see nothing are 0. Returns
    ``[..., h, n_q, d_v]``. Raises InputError; for dropout_p above 0 too: ``random`` in a mask of one's own drops keys.
    """
    import torch

    if dropout_p:
        raise InputError.of("dropout_p", dropout_p, "0: a mask of one's own with `random` drops keys, ringc.attention(mask=...)")
    for name, each in (("query", query), ("key", key), ("value", value)):
        if not isinstance(each, torch.Tensor) or each.ndim < 3:
            raise InputError.of(name, f"{type(each).__name__} of {getattr(each, 'ndim', 0)} axes", "a torch tensor [..., h, n, d]")
    if is_causal and attn_mask is not None:
        raise InputError.of("is_causal", "True with attn_mask", "one of them")
    heads, kv_heads = query.shape[-3], key.shape[-3]
    if heads != kv_heads and not enable_gqa:
        raise InputError.of("key", f"{kv_heads} heads", f"{heads}, as the query has, or enable_gqa=True")
    n_q, n_k = query.shape[-2], key.shape[-2]
    lead = torch.broadcast_shapes(query.shape[:-3], key.shape[:-3], value.shape[:-3])
    if is_causal and n_k > n_q:  # keys that no query sees
        key, value, n_k = key[..., :n_q, :], value[..., :n_q, :], n_q
    q, k, v = (each.expand(*lead, *each.shape[-3:]).reshape(-1, *each.shape[-3:]).transpose(1, 2) for each in (query, key, value))
    # Bottom right is where ringc aligns: with more queries than keys top left is so far to the right.
    window = (-1, n_q - n_k) if is_causal else (-1, -1)
    masked = {} if attn_mask is None else mask_options(attn_mask, lead, heads, n_q, n_k)
    out = attention(q, k, v, window=window, scale=scale, **masked)
    return out.transpose(1, 2).reshape(*lead, heads, n_q, value.shape[-1])


def mask_options(attn_mask: Any, lead: Any, heads: int, n_q: int, n_k: int) -> dict[str, Any]:
    """As attention's arguments; what is broadcast over batches or heads stays one."""
    import torch

    try:
        torch.broadcast_shapes(attn_mask.shape, (*lead, heads, n_q, n_k))
    except RuntimeError as error:
        raise InputError.of("attn_mask", f"shape {tuple(attn_mask.shape)}", f"one that goes with {(*lead, heads, n_q, n_k)}") from error
    axes = len(lead) + 3
    shape = (1,) * (axes - attn_mask.ndim) + tuple(attn_mask.shape)
    full = attn_mask.reshape(shape)
    if len(lead) > 1 and any(extent > 1 for extent in shape[:-3]):
        full = full.expand(*lead, *shape[-3:])
    full = full.reshape(-1, *full.shape[-3:])
    if full.dtype is torch.bool:
        if full.shape[1] == 1 and full.shape[2] == 1 and full.shape[0] != 1:
            return {"key_mask": full[:, 0, 0].expand(-1, n_k)}
        return {"mask": (_KEEP, "attn_mask"), "arguments": {"keep": full.expand(-1, -1, n_q, n_k).contiguous()}}
    if not full.is_floating_point():
        raise InputError.of("attn_mask", str(attn_mask.dtype), "bool or a floating point type")
    if attn_mask.requires_grad and torch.is_grad_enabled():
        raise InputError.of("attn_mask", "a tensor that requires_grad", "one without: it gets no gradient; detach() it")
    return {"bias": full.to(torch.float32).expand(-1, -1, n_q, n_k).contiguous()}
