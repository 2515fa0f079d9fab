#!/usr/bin/env python3
"""Writes checkpoint.safetensors as PyTorch would have saved a RingTransformer of ring-attention-pytorch, and
logits.safetensors: what that model makes of some tokens, causal, computed here by numpy in double precision.

usage: make.py FOLDER
"""

import json
import math
import struct
import sys
from pathlib import Path

import numpy as np

TOKENS, DIM, DEPTH, HEADS, GROUP, DIM_HEAD, MULT = 11, 12, 2, 4, 2, 6, 2
THETA = 10000.0


def write(path, tensors):
    header, data = {}, b""
    for name, array in tensors.items():
        array = np.ascontiguousarray(array)
        kind = {"float32": "F32", "float16": "F16", "int32": "I32"}[array.dtype.name]
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def checkpoint(random):
    def normal(*shape):
        return (random.standard_normal(shape) / math.sqrt(shape[-1])).astype(np.float32)

    weights = {"token_emb.weight": random.standard_normal((TOKENS, DIM)).astype(np.float32)}
    weights["rotary_emb.inv_freq"] = (THETA ** -(np.arange(0, DIM_HEAD, 2) / DIM_HEAD)).astype(np.float32)
    kv_heads = HEADS // GROUP
    for i in range(DEPTH):
        weights[f"layers.{i}.0.to_qkv.0.gamma"] = 1 + normal(DIM)
        weights[f"layers.{i}.0.to_qkv.1.weight"] = normal((HEADS + 2 * kv_heads) * DIM_HEAD, DIM)
        weights[f"layers.{i}.0.to_out.weight"] = normal(DIM, HEADS * DIM_HEAD)
        weights[f"layers.{i}.1.0.gamma"] = 1 + normal(DIM)
        weights[f"layers.{i}.1.1.weight"] = normal(MULT * DIM, DIM)
        weights[f"layers.{i}.1.1.bias"] = normal(MULT * DIM)
        weights[f"layers.{i}.1.3.weight"] = normal(DIM, MULT * DIM).astype(np.float16)
        weights[f"layers.{i}.1.3.bias"] = normal(DIM)
    weights["to_logits.0.gamma"] = 1 + normal(DIM)
    weights["to_logits.1.weight"] = normal(TOKENS, DIM)
    return weights


def norm(x, gamma):
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12) * math.sqrt(DIM) * gamma


def turned(x):
    """Half-split rotary embedding of [b, h, n, d]."""
    angle = np.arange(x.shape[2])[:, None] * THETA ** -(np.arange(0, DIM_HEAD, 2) / DIM_HEAD)
    first, second = np.split(x, 2, axis=-1)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def attention(x, w, i):
    b, n, _ = x.shape
    kv_heads = HEADS // GROUP
    qkv = norm(x, w[f"layers.{i}.0.to_qkv.0.gamma"]) @ w[f"layers.{i}.0.to_qkv.1.weight"].T
    qkv = qkv.reshape(b, n, HEADS + 2 * kv_heads, DIM_HEAD).transpose(0, 2, 1, 3)
    q, k, v = turned(qkv[:, :HEADS]), turned(qkv[:, HEADS:-kv_heads]), qkv[:, -kv_heads:]
    k, v = np.tile(k, (1, GROUP, 1, 1)), np.tile(v, (1, GROUP, 1, 1))  # kv head = q head % kv heads
    s = q @ k.transpose(0, 1, 3, 2) / math.sqrt(DIM_HEAD)
    s = np.where(np.tril(np.ones((n, n), bool)), s, -np.inf)
    p = np.exp(s - s.max(-1, keepdims=True))
    out = (p / p.sum(-1, keepdims=True)) @ v
    return out.transpose(0, 2, 1, 3).reshape(b, n, -1) @ w[f"layers.{i}.0.to_out.weight"].T


def feed_forward(x, w, i):
    h = norm(x, w[f"layers.{i}.1.0.gamma"]) @ w[f"layers.{i}.1.1.weight"].T + w[f"layers.{i}.1.1.bias"]
    h = h * 0.5 * (1 + np.vectorize(math.erf)(h / math.sqrt(2)))
    return h @ w[f"layers.{i}.1.3.weight"].T + w[f"layers.{i}.1.3.bias"]


def logits(tokens, w):
    x = w["token_emb.weight"][tokens]
    for i in range(DEPTH):
        x = x + attention(x, w, i)
        x = x + feed_forward(x, w, i)
    return norm(x, w["to_logits.0.gamma"]) @ w["to_logits.1.weight"].T


def main():
    folder = Path(sys.argv[1])
    random = np.random.default_rng(2310)
    weights = checkpoint(random)
    write(folder / "checkpoint.safetensors", weights)
    tokens = random.integers(0, TOKENS, (2, 17)).astype(np.int32)
    exact = logits(tokens, {name: array.astype(np.float64) for name, array in weights.items()})
    write(folder / "logits.safetensors", {"tokens": tokens, "logits": exact.astype(np.float32)})


main()
