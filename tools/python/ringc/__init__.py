"""ringc: exact ring attention, compiled, on one CPU, one GPU or a job of many.

    import ringc
    out = ringc.attention(q, k, v, causal=True)     # [b, n, h, d]: numpy arrays of the host, torch tensors of the host or CUDA

With torch: autograd, torch.compile, CUDA graphs, checkpointing, autocast; ``group=`` a torch.distributed process group whose ranks
hold shards of the sequence. ``ringc.nn`` has the modules of ring-attention-pytorch, ``ringc.hugging_face`` (imported by its name) the attention of transformers'
models. A page for each task: docs/python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import errors, groups
from .attention import attention, attention_backward
from .compiler import compile, options, tune
from .decoding import decode, tree_attn_decode
from .errors import (
    BusyError,
    ClosedError,
    CompileError,
    CudaError,
    DisagreementError,
    InputError,
    InternalError,
    NcclError,
    OutOfMemoryError,
    PeerError,
    RingcError,
)  # fmt: skip
from .kv_cache import KvCache
from .rotary import rope
from .sdpa import scaled_dot_product_attention
from .sequence import local_length, positions, shard, unshard

if TYPE_CHECKING:
    from .nn import RingAttention, RingTransformer

__version__ = "0.1.0"

__all__ = [
    "BusyError", "ClosedError", "CompileError", "CudaError", "DisagreementError", "InputError", "InternalError", "KvCache",
    "NcclError", "OutOfMemoryError", "PeerError", "RingAttention", "RingTransformer", "RingcError", "attention",
    "attention_backward", "compile", "decode", "errors", "groups", "local_length", "options", "positions", "rope",
    "scaled_dot_product_attention", "shard", "tree_attn_decode", "tune", "unshard",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """What needs torch is imported when it is asked for."""
    if name in ("RingAttention", "RingTransformer"):
        from . import nn

        return getattr(nn, name)
    raise AttributeError(f"module 'ringc' has no attribute {name!r}")
