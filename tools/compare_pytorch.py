#!/usr/bin/env python3
"""ringc beside PyTorch's scaled_dot_product_attention on this host's CPU: one run, the same threads, taking turns.

    pip install torch numpy
    tools/compare_pytorch.py [--ringc build/release/bin/ringc] [--threads N] [--rounds 3]

Each round measures every case with one library and then with the other, so that what else the machine does meets both. The
table shows medians over the rounds, in milliseconds, and how many times as fast ringc is. A backward pass is 2.5 forwards.
"""
import argparse
import json
import os
import statistics
import subprocess
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--ringc", default="build/release/bin/ringc")
parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--length", type=int, default=4096)
arguments = parser.parse_args()

import torch  # noqa: E402  (after the arguments: --help needs no torch)
import torch.nn.functional as functional  # noqa: E402

torch.set_num_threads(arguments.threads)
heads, n = 8, arguments.length
cases = [(dtype, d, causal) for dtype in ("f32", "bf16") for d in (64, 128) for causal in (False, True)]


def torch_times(dtype, d, causal, repeats=3):
    """Median forward and backward milliseconds; the layout [b, h, n, d] is PyTorch's own."""
    kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    q, k, v = (torch.randn(1, heads, n, d, dtype=kind, requires_grad=True) for _ in range(3))
    dout = torch.randn_like(q)
    forward, backward = [], []
    for repeat in range(repeats + 1):
        start = time.perf_counter()
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        middle = time.perf_counter()
        out.backward(dout)
        end = time.perf_counter()
        if repeat:  # the first one warms up
            forward.append((middle - start) * 1e3)
            backward.append((end - middle) * 1e3)
    return statistics.median(forward), statistics.median(backward)


def ringc_times(dtype, d, causal):
    command = [arguments.ringc, "bench", "--json", "--shape", f"1,{n},{heads},{heads},{d}", "--dtype", dtype,
               "--threads", str(arguments.threads), "--causal" if causal else "--full"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    by_pass = {line["pass"]: line["median_ms"] for line in map(json.loads, lines)}
    return by_pass["forward"], by_pass["backward"]


measured = {}
for _ in range(arguments.rounds):
    for case in cases:
        for library, times in (("torch", torch_times), ("ringc", ringc_times)):
            for name, value in zip(("forward", "backward"), times(*case)):
                measured.setdefault((case, name, library), []).append(value)

print(f"PyTorch {torch.__version__}, {arguments.threads} threads, b 1, h {heads}, n {n}, medians of {arguments.rounds} rounds")
print(f"{'pass':9} {'dtype':5} {'d':>3} {'mask':6} {'PyTorch ms':>11} {'ringc ms':>9} {'times':>6}")
for dtype, d, causal in cases:
    for name in ("forward", "backward"):
        torch_ms, ringc_ms = (statistics.median(measured[(dtype, d, causal), name, library]) for library in ("torch", "ringc"))
        print(f"{name:9} {dtype:5} {d:3} {'causal' if causal else 'full':6} {torch_ms:11.1f} {ringc_ms:9.1f} {torch_ms / ringc_ms:6.2f}")
