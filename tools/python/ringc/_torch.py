"""torch's way to the library: operators ringc::attention_forward and ringc::attention_backward, with autograd, for
torch.compile, CUDA graphs, checkpointing and autocast. Work goes in the order of the current stream; nothing waits for it.
"""

from __future__ import annotations

from typing import Any, Optional, Sequence, Union

import torch
from torch import Tensor

from . import _options, _run
from ._options import Arguments
from .attention import whole_of
from .errors import InputError

torch.compiler.assume_constant_result(_options.text_of)

_ops = torch.library.Library("ringc", "DEF")
_INPUTS = (
    "Tensor q, Tensor k, Tensor v, Tensor? key_mask, Tensor? bias, Tensor? cu_seqlens, Tensor[] tensors, SymInt[] integers, "
    "float[] reals, SymInt[] whole, str options, str group"
)
_RESULTS = "Tensor out, Tensor lse, Tensor row_max, Tensor row_sum"
_ops.define(f"attention_forward({_INPUTS}) -> ({_RESULTS})", tags=(torch.Tag.needs_fixed_stride_order,))
_ops.define(
    f"attention_backward(Tensor dout, {_RESULTS}, {_INPUTS}) -> (Tensor dq, Tensor dk, Tensor dv)",
    tags=(torch.Tag.needs_fixed_stride_order,),
)


def _new_results(q: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    b, n_q, h, _ = q.shape
    lse, row_max, row_sum = (q.new_empty((b, h, n_q), dtype=torch.float32) for _ in range(3))
    return q.new_empty((b, n_q, h, v.shape[3])), lse, row_max, row_sum


def _stream(tensor: Tensor) -> int:
    return torch.cuda.current_stream(tensor.device).cuda_stream if tensor.is_cuda else 0


def _allocate(device: torch.device) -> _run.Allocate:
    def allocate(size: int) -> tuple[int, Tensor]:
        memory = torch.empty(size + 255, dtype=torch.uint8, device=device)
        return (memory.data_ptr() + 255) & ~255, memory

    return allocate


def _forward(*inputs: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    call = _run.Call(*inputs)
    _run.check_shapes(call)
    results = _new_results(call.q, call.v)
    _run.forward(call, results, _stream(call.q), _allocate(call.q.device))
    return results


def _backward(dout: Tensor, out: Tensor, lse: Tensor, row_max: Tensor, row_sum: Tensor, *inputs: Any) -> tuple[Tensor, ...]:
    call = _run.Call(*inputs)
    gradients = tuple(each.new_empty(each.shape) for each in (call.q, call.k, call.v))
    if dout.stride(-1) != 1:
        dout = dout.contiguous()
    _run.backward(call, (out, lse, row_max, row_sum), dout, gradients, _stream(call.q), _allocate(call.q.device))
    return gradients


for _key in ("CPU", "CUDA"):
    _ops.impl("attention_forward", _forward, _key)
    _ops.impl("attention_backward", _backward, _key)


@torch.library.register_fake("ringc::attention_forward", lib=_ops)
def _fake_forward(q: Tensor, k: Tensor, v: Tensor, *_rest: Any) -> tuple[Tensor, ...]:
    return _new_results(q, v)


@torch.library.register_fake("ringc::attention_backward", lib=_ops)
def _fake_backward(_dout: Any, _out: Any, _lse: Any, _max: Any, _sum: Any, q: Tensor, k: Tensor, v: Tensor, *_rest: Any) -> Any:
    return tuple(each.new_empty(each.shape) for each in (q, k, v))


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    call = _run.Call(*inputs)
    optional = [call.key_mask, call.bias, call.cu_seqlens]
    ctx.save_for_backward(call.q, call.k, call.v, *output, *call.tensors, *(each for each in optional if each is not None))
    ctx.has = [each is not None for each in optional]
    ctx.rest = (call.integers, call.reals, call.whole, call.options, call.group)
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, dout: Optional[Tensor], *_rows: Any) -> tuple[Any, ...]:
    lists, names = ctx.rest[:3], ctx.rest[3:]
    saved = list(ctx.saved_tensors)
    optional = [saved.pop() if has else None for has in reversed(ctx.has)][::-1]
    q, k, v, out, lse, row_max, row_sum, *tensors = saved
    gradients: Sequence[Optional[Tensor]] = (None, None, None)
    if dout is not None:
        gradients = torch.ops.ringc.attention_backward(
            dout, out, lse, row_max, row_sum, q, k, v, *optional, tensors, *lists, *names
        )
    # In the structure that torch sees in the inputs: a list of tensors, which an empty list is too, has one for each.
    nothing: tuple[Any, ...] = ([None] * len(tensors), *(None if each else [] for each in lists))
    return (*gradients, None, None, None, *nothing, None, None)


def _refuse_twice(ctx: Any, *_gradients: Any) -> Any:
    raise NotImplementedError("ringc.attention: gradients of its gradients are not computed")


torch.library.register_autograd("ringc::attention_forward", _differentiate, setup_context=_setup, lib=_ops)
torch.library.register_autograd("ringc::attention_backward", _refuse_twice, lib=_ops)


def attention(
    q: Any,
    k: Any,
    v: Any,
    key_mask: Any,
    bias: Any,
    document_lengths: Any,
    arguments: Arguments,
    whole: tuple[Union[int, Sequence[int], None], Optional[int]],
    options: str,
    group: str,
    return_lse: bool,
) -> Any:
    """ringc.attention of torch tensors; `whole` is (length, batch), `options` as `_options.text` makes them, `group` as
    `groups.name_of`.
    """
    q, k, v = autocast(q, k, v)
    named = dict(zip(arguments.names[0], arguments.tensors))
    others = {"key_mask": key_mask, "bias": bias, **{f"arguments[{name!r}]": each for name, each in named.items()}}
    require_torch({"q": q, "k": k, "v": v, **others}, q.device)
    refuse_gradients(others)
    out, lse, _, _ = torch.ops.ringc.attention_forward(
        q, k, v, key_mask, bias, cumulative(document_lengths), arguments.tensors, arguments.integers,
        arguments.reals, list(whole_of(q, k, *whole, group)), options, group,
    )  # fmt: skip
    return (out, lse) if return_lse else out


def attention_backward(call: _run.Call, dout: Any, out: Any, lse: Any) -> tuple[Tensor, ...]:
    _run.check_shapes(call)
    gradients = tuple(each.new_empty(each.shape) for each in (call.q, call.k, call.v))
    with torch.no_grad():
        _run.backward(call, (out, lse, None, None), dout, gradients, _stream(call.q), _allocate(call.q.device))
    return gradients


def must_be_deterministic() -> bool:
    return torch.are_deterministic_algorithms_enabled()


def autocast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """In autocast's 16-bit type, where that is on: as torch does before scaled_dot_product_attention."""
    kind = tensors[0].device.type
    if kind not in ("cpu", "cuda") or not torch.is_autocast_enabled(kind):
        return tensors
    dtype = torch.get_autocast_dtype(kind)
    return tuple(each.to(dtype) if each.is_floating_point() and each.dtype is not torch.float64 else each for each in tensors)


def require_torch(tensors: dict[str, Any], device: torch.device) -> None:
    if device.type not in ("cpu", "cuda", "meta"):
        raise InputError.of("q", f"a tensor on {device}", "one on cpu or cuda")
    for name, each in tensors.items():
        if each is None:
            continue
        if not isinstance(each, Tensor):
            raise InputError.of(name, type(each).__name__, "a torch tensor, as q is")
        if each.layout is not torch.strided:
            raise InputError.of(name, f"a tensor of {each.layout}", "a strided one")
        if each.device != device:
            raise InputError.of(name, f"a tensor on {each.device}", f"one on {device}, as q is")


def refuse_gradients(tensors: dict[str, Any]) -> None:
    for name, each in tensors.items():
        if isinstance(each, Tensor) and each.requires_grad and torch.is_grad_enabled():
            raise InputError.of(name, "a tensor that requires_grad", "one without: it gets no gradient; detach() it")


def cumulative(lengths: Union[Sequence[int], Tensor, None]) -> Optional[Tensor]:
    """As attention.cumulative, traceable."""
    if lengths is None:
        return None
    lengths = torch.as_tensor(lengths, dtype=torch.int64)
    if lengths.device.type != "cpu":
        raise InputError.of("document_lengths", f"a tensor on {lengths.device}", "numbers, or a tensor of the host: plans are made of it")
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]).to(torch.int32)
