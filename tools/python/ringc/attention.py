"""Exact attention of whole sequences, or of the shards that the ranks of a group hold (docs/semantics.md)."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence, Union

import numpy

from . import _options, _run
from ._functions import Function
from ._tensor import HOST, Tensor, is_torch, numpy_dtype, view
from .errors import InputError
from .groups import name_of, world_of


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = False,
    window: Sequence[int] = (-1, -1),
    softcap: Optional[float] = None,
    alibi: Union[bool, Sequence[float]] = False,
    mask: Union[Function, list[Function], None] = None,
    score: Union[Function, list[Function], None] = None,
    arguments: Optional[Mapping[str, Any]] = None,
    scale: Optional[float] = None,
    kv_head_map: str = "blocked",
    document_lengths: Union[Sequence[int], Tensor, None] = None,
    key_mask: Optional[Tensor] = None,
    bias: Optional[Tensor] = None,
    group: Any = None,
    layout: str = "zigzag",
    length: Union[int, Sequence[int], None] = None,
    batch: Optional[int] = None,
    deterministic: bool = False,
    options: Optional[Mapping[str, Any]] = None,
    return_lse: bool = False,
) -> Any:
    """softmax(scale * q k^T, scored and masked) v, exactly, whatever the group, layout and lengths are.

        s_ij  = scale * q_i . k_j, then softcap, `score`, ALiBi, bias
        out_i = sum over visible j of exp(s_ij - lse_i) v_j

    i and j are positions in the whole sequence; the last query stands beside the last key.

    Args:
        q: ``[b, n_q, h, d]``, f32, f16 or bf16, any strides; d up to 256. numpy (or what has ``__dlpack__``) on the host,
            torch on the host or CUDA. Autocast applies as it does to torch's scaled_dot_product_attention.
        k: ``[b, n_k, h_kv, d]``; h_kv divides h.
        v: ``[b, n_k, h_kv, d_v]``.
        causal: j <= i.
        window: (left, right): i - left <= j <= i + right; -1 is unbounded.
        softcap: c of c * tanh(s / c).
        alibi: s - slope[h] * (i - j if i > j else j - i); True: slopes 2^(-8 (h + 1) / heads); or one slope a head.
        mask: which keys a query sees, besides the above, in the tile language (kernels.tiles/LANGUAGE.md): "file.tile:name",
            (path, name), the text of a function, or (text, name); a list: all must hold.
        score: what makes a new logit of each, likewise; a list: in this order. Its derivative is the compiler's.
        arguments: parameters of masks and scores, by "function.parameter" or "parameter": numbers, bools, tensors of the
            extents that the function declares. They get no gradient.
        scale: of the logits; default d^-1/2.
        kv_head_map: "blocked", query head h reads KV head h // (heads / h_kv), or "tiled", h % h_kv.
        document_lengths: tokens of each of the documents that lie behind one another in each sequence and see only
            themselves; numbers, or integers of the host. Their sum is n_k of the whole.
        key_mask: bool ``[b, n_k]``, True is visible.
        bias: f32 ``[b or 1, h or 1, n_q, n_k]``, added; of a group this rank's rows, all columns. It gets no gradient.
        group: a torch.distributed process group, or one of ``ringc.groups.threads``: q, k and v are this rank's shard
            (``ringc.shard``) and all ranks make the same call. None: they are whole.
        layout: of a group, how sequences were dealt: "zigzag", "striped", "striped:S", "contiguous".
        length: of a group, tokens of the whole sequence, or (n_q, n_k), where the ranks' shards are not equally long.
        batch: of a group with options={"ring_size": N}, which makes rings of N ranks: the sequences of all rings, which go to the
            rings in turn, consecutive ones, to the first rings one more where they do not divide.
        deterministic: the same bits of dq every time on CUDA, too, where the faster backward adds in any order; True where
            torch.use_deterministic_algorithms is on.
        options: any other field of the library's options (``ringc.options()``): {"prefix": 16, "schedule": "ring:2"}.
        return_lse: also the logarithm of each row's sum, f32 ``[b, h, n_q]``, -inf where a row sees no key; it takes no
            gradient.

    Returns:
        out ``[b, n_q, h, d_v]`` in the type of q, or (out, lse).

    Raises:
        InputError: an argument cannot be; it says which, its value, and what is allowed. Of a text also line and column.
        DisagreementError: ranks call with different things; on all of them.
        PeerError: another rank failed. ClosedError: the group was closed. CudaError, NcclError, OutOfMemoryError.

    Gradients of q, k and v come by torch's autograd; with other tensors by ``attention_backward``.
    """
    if is_torch(q):
        from . import _torch  # first, for what it tells tracers

        deterministic = deterministic or _torch.must_be_deterministic()
    given = _options.arguments_of(arguments)
    text = _options.text(
        causal=causal, window=window, softcap=softcap, alibi=alibi, mask=mask, score=score, scale=scale, kv_head_map=kv_head_map,
        layout=layout, deterministic=deterministic, options=options, arguments=given,
    )  # fmt: skip
    name = name_of(group)
    if is_torch(q):
        return _torch.attention(q, k, v, key_mask, bias, document_lengths, given, (length, batch), text, name, return_lse)
    whole = whole_of(q, k, length, batch, name)
    begins = cumulative(document_lengths)
    call = _run.Call(q, k, v, key_mask, bias, begins, given.tensors, given.integers, given.reals, whole, text, name)
    _run.check_shapes(call)
    out, lse, row_max, row_sum = _new_results(call)
    _run.forward(call, (out, lse, row_max, row_sum))
    return (out, lse) if return_lse else out


def attention_backward(
    dout: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, **options: Any
) -> tuple[Any, ...]:
    """(dq, dk, dv) as q, k and v, of a call ``attention(q, k, v, return_lse=True, **options)``, for tensors without autograd.

    `dout` is the gradient of out, ``[b, n_q, h, d_v]``; `out` and `lse` are what the call gave. Raises as it does.
    """
    unknown = set(options) - set(_OPTIONS)
    if unknown:
        raise TypeError(f"attention_backward() got an unexpected keyword argument {min(unknown)!r}")
    options = {**_OPTIONS, **options}
    given = _options.arguments_of(options.pop("arguments"))
    key_mask, bias, lengths = options.pop("key_mask"), options.pop("bias"), options.pop("document_lengths")
    name, length, batch = name_of(options.pop("group")), options.pop("length"), options.pop("batch")
    text = _options.text(arguments=given, **options)
    whole = whole_of(q, k, length, batch, name)
    begins = cumulative(lengths)
    call = _run.Call(q, k, v, key_mask, bias, begins, given.tensors, given.integers, given.reals, whole, text, name)
    if is_torch(q):
        from . import _torch

        return _torch.attention_backward(call, dout, out, lse)
    _run.check_shapes(call)
    gradients = tuple(_empty(each, each.shape) for each in (q, k, v))
    _run.backward(call, (out, lse, None, None), dout, gradients)
    return gradients


_OPTIONS: dict[str, Any] = {
    name: default
    for name, default in (attention.__kwdefaults__ or {}).items()
    if name != "return_lse"
}


def whole_of(q: Any, k: Any, length: Union[int, Sequence[int], None], batch: Optional[int], group: str) -> tuple[int, ...]:
    """batch, n_q and n_k of all ranks; (): each has as many rows as this one."""
    if not group or (length is None and batch is None):
        return ()
    if length is None:
        world = world_of(group)[1]
        length = (q.shape[1] * world, k.shape[1] * world)
    if not isinstance(length, (int, tuple, list)):
        raise InputError.of("length", repr(length), "a number of tokens, or (n_q, n_k)")
    query_length, key_length = (length, length) if isinstance(length, int) else length
    return (q.shape[0] if batch is None else batch, query_length, key_length)


def cumulative(lengths: Any) -> Optional[numpy.ndarray]:
    """Where documents begin, and where the last one ends: i32 [documents + 1]."""
    if lengths is None:
        return None
    if hasattr(lengths, "__dlpack__") and view("document_lengths", lengths).device != HOST:
        raise InputError.of("document_lengths", "a tensor on CUDA", "numbers, or a tensor of the host: plans are made from it")
    numbers = numpy.asarray(lengths)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" and numbers.size:
        raise InputError.of("document_lengths", repr(lengths), "a list of integers")
    ends = numpy.cumsum(numbers, dtype=numpy.int64)
    if numbers.size and (ends[-1] > 2**31 - 1 or numbers.min() < 0):
        raise InputError.of("document_lengths", repr(lengths), "0 and more, of a sum of at most 2147483647")
    return numpy.concatenate(([0], ends)).astype(numpy.int32)


def _new_results(call: _run.Call) -> tuple[Any, ...]:
    (b, n_q, h, _), d_v = call.q.shape, call.v.shape[3]
    rows = tuple(numpy.empty((b, h, n_q), numpy.float32) for _ in range(3))
    return (_empty(call.q, (b, n_q, h, d_v)), *rows)


def _empty(like: Any, shape: Sequence[int]) -> numpy.ndarray:
    seen = view("q", like)
    if seen.device != HOST:
        raise InputError.of("q", f"a {type(like).__name__} on CUDA", "torch tensors there, and others on the host")
    return numpy.empty(shape, like.dtype if isinstance(like, numpy.ndarray) else numpy_dtype(seen.dtype))
