"""Hugging Face's models with ringc's attention: ``attn_implementation="ringc"``, alone or over a group.

    import ringc.hugging_face                                           # makes the name known
    model = LlamaForCausalLM.from_pretrained(path, attn_implementation="ringc")

    ring = ringc.hugging_face.register("ringc_ring", group=group)       # sequences dealt to the ranks of a group
    model.set_attn_implementation(ring)
    share = model(**ringc.hugging_face.shard(batch, group=group), use_cache=False).loss
"""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface

from . import _hugging_face_masks as masks
from ._torch import cumulative
from .attention import attention
from .decoding import decode
from .errors import InputError
from .groups import name_of, world_of
from .sdpa import mask_options
from .sequence import positions
from .sequence import shard as shard_rows

#: What some models give beside q, k and v, and changes the result in a way that ringc has not.
_REFUSED = ("s_aux", "sinks", "position_bias", "indices", "block_indices")


class _Attention:
    """What transformers calls in each layer, and, as `see`, once a forward for the mask."""

    def __init__(self, group: Any, layout: str, always: Mapping[str, Any]):
        self.ring: dict[str, Any] = {} if group is None else {"group": group, "layout": layout}
        self.always = always
        self.checked: set[tuple[Any, ...]] = set()

    def see(self, **asked: Any) -> Any:
        return masks.seen(over_group=bool(self.ring), **asked)

    def __call__(
        self,
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Any,
        dropout: float = 0.0,
        scaling: Optional[float] = None,
        sliding_window: Optional[int] = None,
        softcap: Optional[float] = None,
        is_causal: Optional[bool] = None,
        **others: Any,
    ) -> tuple[Tensor, None]:
        """query ``[b, h, n_q, d]``, key and value ``[b, h_kv, n_k, d]``; the result is ``[b, n_q, h, d]``."""
        _refuse(dropout, others)
        if attention_mask is None:
            causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
            attention_mask = masks.of_layer(causal, sliding_window)
        q, k, v = (each.transpose(1, 2) for each in (query, key, value))
        asked: dict[str, Any] = {"scale": scaling, "softcap": softcap}
        if self.ring:
            return self._over_group(q, k, v, attention_mask, asked, others), None
        if isinstance(attention_mask, Tensor):
            asked |= mask_options(attention_mask, q.shape[:1], q.shape[2], q.shape[1], k.shape[1])
        elif _decodes(q, k, v):
            return decode(q, k, v, **asked, **attention_mask.options(decode=True)), None
        else:
            asked |= attention_mask.options(decode=False)
        return attention(q, k, v, **asked, **self.always), None

    def _over_group(
        self, q: Tensor, k: Tensor, v: Tensor, seen: Any, asked: Mapping[str, Any], others: Mapping[str, Any]
    ) -> Tensor:
        if isinstance(seen, Tensor):
            raise InputError.of("attention_mask", "a mask [b, h, n_q, n_k] over a group", "one of keys, [b, n_k]: this rank's shard")
        if q.shape[1] != k.shape[1]:
            raise InputError.of("use_cache", f"{k.shape[1]} keys for {q.shape[1]} queries over a group", "as many: no cache")
        lengths, length = others.get("document_lengths"), others.get("length")
        self._check_positions(others.get("position_ids"), q, length, lengths)
        asked = {**asked, **seen.options(decode=False), **self.ring, **self.always}
        return attention(q, k, v, **asked, length=length, document_lengths=lengths)

    def _check_positions(self, given: Optional[Tensor], q: Tensor, length: Optional[int], document_lengths: Any) -> None:
        """Others than the layout's would give a wrong result in silence. On a GPU once for each length: it waits for them."""
        if given is None or torch.compiler.is_compiling():
            return
        rank, world = world_of(name_of(self.ring["group"]))
        length = q.shape[1] * world if length is None else length
        case = (length, q.device, None if document_lengths is None else tuple(int(each) for each in document_lengths))
        if q.is_cuda and case in self.checked:
            return
        own = _positions(length, rank, world, self.ring["layout"], document_lengths)
        if given.shape[-1] != len(own) or not bool((given.cpu() == own).all()):
            raise InputError.of(
                "position_ids", "others than this rank's", f"those of the layout {self.ring['layout']}: ringc.hugging_face.shard gives them"
            )
        self.checked.add(case)


def _refuse(dropout: float, others: Mapping[str, Any]) -> None:
    if dropout:
        raise InputError.of("dropout", dropout, "0: set attention_dropout=0 in the model's config")
    if others.get("output_attentions"):
        raise InputError.of("output_attentions", True, "False: ringc never has the weights; attn_implementation='eager' has them")
    for name in _REFUSED:
        if others.get(name) is not None:
            raise InputError.of(name, f"a {type(others[name]).__name__}", "None: use attn_implementation='eager' for this model")


def _decodes(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether it is a step of generation, for which ringc.decode divides the keys among the processors."""
    if torch.compiler.is_compiling() or q.shape[1] > 16 or q.shape[1] == k.shape[1]:
        return False
    return not (torch.is_grad_enabled() and any(each.requires_grad for each in (q, k, v)))


def _positions(length: int, rank: int, world: int, layout: str, document_lengths: Optional[Sequence[int]]) -> Tensor:
    rows = torch.from_numpy(positions(length, rank, world, layout))
    begins = cumulative(document_lengths)
    return rows if begins is None else rows - begins[torch.searchsorted(begins, rows, right=True) - 1]


def register(
    name: str = "ringc", *, group: Any = None, layout: str = "zigzag", deterministic: bool = False,
    options: Optional[Mapping[str, Any]] = None,
) -> str:  # fmt: skip
    """Makes an ``attn_implementation`` known to transformers, and returns its name.

    Args:
        name: of the implementation; one that is known is replaced.
        group: a torch.distributed process group, or an axis of a DeviceMesh, to whose ranks sequences are dealt: then a model
            is called with what `shard` gives, on all ranks, and without a cache.
        layout, deterministic, options: as ``ringc.attention`` has them.
    Causal masks, sliding windows, masks of keys, packed sequences, softcap, scale and caches are the model's. Queries that see no key
    get 0. What ringc does not have (dropout, sinks, biases of positions, weights as a result) is an InputError when the model is called.
    """
    name_of(group)
    made = _Attention(group, layout, {"deterministic": deterministic, "options": options})
    AttentionInterface.register(name, made)
    AttentionMaskInterface.register(name, made.see)
    return name


def shard(
    inputs: Mapping[str, Any], *, group: Any, layout: str = "zigzag", document_lengths: Optional[Sequence[int]] = None
) -> dict[str, Any]:
    """What this rank gives a model that `register` gave a group: its rows of whole sequences, the same ones on all ranks.

        outputs = model(**shard({"input_ids": ids, "labels": ids}, group=group), use_cache=False)

    Args:
        inputs: input_ids or inputs_embeds ``[b, n, ..]``; if you like attention_mask ``[b, n]`` (1 is visible), labels ``[b, n]`` (-100
            does not count), and other tensors ``[b, n, ..]``.
        document_lengths: of packed documents that see only themselves; positions begin anew in each.

    Returns:
        the rows, with position_ids, length, and, of labels, shift_labels and num_items_in_batch: then outputs.loss is this rank's
        share. The sum over the ranks is the loss, and that of the gradients the gradient. Raises InputError.
    """
    first = inputs.get("input_ids", inputs.get("inputs_embeds"))
    if not isinstance(first, Tensor) or first.ndim < 2:
        raise InputError.of("inputs", "neither input_ids nor inputs_embeds [b, n, ..]", "one of them")
    length = first.shape[1]
    if "position_ids" in inputs:
        raise InputError.of("inputs['position_ids']", "some", "none: they are the layout's, and begin anew with each of document_lengths")
    rank, world = world_of(name_of(group))
    made: dict[str, Any] = {"length": length}
    made["position_ids"] = _positions(length, rank, world, layout, document_lengths).to(first.device)[None]
    if document_lengths is not None:
        made["document_lengths"] = [int(each) for each in document_lengths]
        if sum(made["document_lengths"]) != length:
            raise InputError.of("document_lengths", f"a sum of {sum(made['document_lengths'])}", f"{length}, the rows of the sequence")
    for name, each in inputs.items():
        if not isinstance(each, Tensor) or each.ndim < 2 or each.shape[1] != length:
            raise InputError.of(f"inputs[{name!r}]", _shape(each), f"a tensor [b, {length}, ..]")
        if name == "labels":
            each = torch.nn.functional.pad(each[:, 1:], (0, 1), value=-100)
            made["num_items_in_batch"] = (each != -100).sum().clamp(min=1)
        made[name] = shard_rows(each, rank, world, layout=layout)
    if "labels" in made:
        made["shift_labels"] = made["labels"]
    return made


def _shape(each: Any) -> str:
    return f"a tensor {list(each.shape)}" if isinstance(each, Tensor) else type(each).__name__


register()
