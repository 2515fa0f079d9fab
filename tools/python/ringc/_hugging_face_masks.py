"""What transformers asks of a mask, as ringc.attention takes it: once a forward, before its layers.

transformers describes a mask by functions of its masking_utils that are put together. Those that are known become options
(causal, a window, packed sequences, a mask of keys), of length n; any other becomes the tensor ``[b, 1, n_q, n_k]`` of which
they are the elements, as transformers' sdpa has it.
"""

from __future__ import annotations

import inspect
from typing import Any, Callable, NamedTuple, Optional, Union

import torch
import transformers
from torch import Tensor
from transformers.masking_utils import prepare_padding_mask, sdpa_mask

from .errors import InputError

if "q_offset" not in inspect.signature(sdpa_mask).parameters:
    raise ImportError(f"ringc.hugging_face needs transformers 5.24 or later, and finds {transformers.__version__}")

_MASKING_UTILS = sdpa_mask.__module__
_KEYS = "mask keys(b: index, h: index, i: index, j: index, keep: view<bool>[B, Nk]) { return keep[b, j] }"
_PACKED = """mask packed(b: index, h: index, i: index, j: index, of_query: view<i32>[B, Nq], of_key: view<i32>[B, Nk]) {
  return of_query[b, i] == of_key[b, j]
}"""


class Seen(NamedTuple):
    """Keys that a query sees; the last query stands beside the last key."""

    causal: bool
    left: int = -1  # i - left <= j, -1: all
    right: int = -1
    key_mask: Optional[Tensor] = None  # bool [b, n_k]
    packed: Optional[Tensor] = None  # i32 [b, n]: which sequence each token is of

    @property
    def ndim(self) -> int:
        """transformers asks it of a mask that generate() made ahead of a forward, and then brings the mask to `seen` again."""
        return 0

    def options(self, *, decode: bool) -> dict[str, Any]:
        """Of ringc.attention, or of ringc.decode."""
        made: dict[str, Any] = {"causal": self.causal, "window": (self.left, self.right)}
        if self.key_mask is not None and decode:
            made |= {"mask": (_KEYS, "keys"), "arguments": {"keys.keep": self.key_mask}}
        elif self.key_mask is not None:
            made["key_mask"] = self.key_mask
        if self.packed is not None:
            made |= {"mask": (_PACKED, "packed"), "arguments": {"packed.of_query": self.packed, "packed.of_key": self.packed}}
        return made


def of_layer(causal: bool, sliding_window: Optional[int]) -> Seen:
    """Where a model makes no mask: transformers counts the token itself into a window."""
    if sliding_window is None:
        return Seen(causal)
    return Seen(causal, sliding_window - 1, -1 if causal else sliding_window - 1)


def seen(
    *,
    over_group: bool,
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: Union[int, Tensor] = 0,
    kv_offset: int = 0,
    mask_function: Callable[..., Any],
    attention_mask: Union[Tensor, Seen, None] = None,
    use_vmap: bool = False,
    device: Any = "cpu",
    **_others: Any,
) -> Union[Seen, Tensor]:
    """transformers' function of a mask; `attention_mask` is bool ``[b, seen and new tokens]``, True is visible."""
    if isinstance(attention_mask, Seen):
        return attention_mask
    known = _known(mask_function)
    # Where the cache has a fixed size the queries do not stand at its end, and where they stand is not known here.
    aligned = isinstance(q_offset, int) and q_offset + q_length == kv_offset + kv_length
    if over_group:
        if q_length != kv_length or not aligned or q_offset:
            raise InputError.of("use_cache", "a cache over a group", "none: ringc.KvCache is for decoding there")
        if known is None:
            raise InputError.of("the model's mask", "one that ringc does not know", "causal, a window, and a mask of keys over a group")
        # A shard's positions jump, which transformers takes for packing; _check_positions sees to them.
        known = known._replace(packed=None)
    if known is None or not aligned:
        made: Any = sdpa_mask(
            batch_size=batch_size, q_length=q_length, kv_length=kv_length, q_offset=q_offset, kv_offset=kv_offset,  # type: ignore[arg-type]
            mask_function=mask_function, attention_mask=attention_mask, use_vmap=use_vmap, device=device,
            allow_is_causal_skip=False, allow_is_bidirectional_skip=False,
        )  # fmt: skip
        return made  # None is what it gives where it may skip one
    if attention_mask is not None:
        padded: Any = prepare_padding_mask(attention_mask, kv_length, kv_offset)
        known = known._replace(key_mask=padded[:, kv_offset : kv_offset + kv_length])
    return known


def _known(function: Any) -> Optional[Seen]:
    """By its name in masking_utils; what it was made of is in its closure. None: it is another's."""
    if getattr(function, "__module__", None) != _MASKING_UTILS:
        return None
    name, inside = function.__qualname__.partition(".<locals>")[0], _closure(function)
    if name == "causal_mask_function":
        return Seen(causal=True)
    if name == "bidirectional_mask_function":
        return Seen(causal=False)
    if name == "sliding_window_overlay":
        return Seen(False, left=inside["sliding_window"] - 1)
    if name == "sliding_window_bidirectional_overlay":
        return Seen(False, inside["sliding_window"], inside["sliding_window"])
    if name == "packed_sequence_mask_function":
        return Seen(False, packed=inside["packed_sequence_mask"].to(torch.int32))
    if name == "remap_positions_for_packed_sequence":  # within a sequence distances stay
        return _known(inside["mask_function"])
    if name == "and_masks":
        return _both([_known(each) for each in inside["mask_functions"]])
    return None


def _closure(function: Any) -> dict[str, Any]:
    names = function.__code__.co_freevars
    return {name: cell.cell_contents for name, cell in zip(names, function.__closure__ or ())}


def _both(parts: list[Optional[Seen]]) -> Optional[Seen]:
    """What all of them see; None where one is not known, or two have a window."""
    made = Seen(causal=False)
    for each in parts:
        if each is None or (each.left >= 0 and made.left >= 0) or (each.packed is not None and made.packed is not None):
            return None
        made = Seen(
            made.causal or each.causal,
            max(made.left, each.left),
            max(made.right, each.right),
            packed=made.packed if each.packed is None else each.packed,
        )
    return made
