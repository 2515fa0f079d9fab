"""The modules of ring-attention-pytorch, for torch: its options, and its names of weights."""

from .ring_attention import RingAttention, RMSNorm, RotaryEmbedding
from .ring_transformer import RingTransformer

__all__ = ["RMSNorm", "RingAttention", "RingTransformer", "RotaryEmbedding"]
