#!/usr/bin/env python3
"""Attention as PyTorch has it, measured as `ringc bench` measures: medians of CUDA events, random bf16.

usage: gpu_peers.py single [--repeats R] b,n,h,hkv,d ...
       gpu_peers.py ring --ranks P [--repeats R] TOKENS ...

`single`: FA2 and cuDNN through scaled_dot_product_attention, full and causal, forward and backward. `ring`: b 1,
heads 32/8, d 128, causal, P processes of one host: torch's context_parallel (which takes as many key heads as
query heads), and ring-flash-attention where it can be imported, on PyTorch's own FA2 where flash_attn cannot be.
A line of JSON for each measurement on stdout; on stderr what was left out, and why.
"""

import argparse
import json
import os
import statistics
import sys
import types

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

BACKENDS = {"FA2": SDPBackend.FLASH_ATTENTION, "cuDNN": SDPBackend.CUDNN_ATTENTION}
HEADS, KV_HEADS, HEAD_DIM = 32, 8, 128  # of the ring


def left_out(what, error):
    reason = str(error).strip().split("\n")[0][:160]
    print(f"skipped: {what}: {type(error).__name__}: {reason}", file=sys.stderr, flush=True)


def print_line(who, what, mask, shape, devices, milliseconds, operations):
    print(json.dumps({
        "who": who, "pass": what, "shape": shape, "dtype": "bf16", "mask": mask, "devices": devices,
        "median_ms": milliseconds, "tflops": operations / milliseconds * 1e-9,
    }), flush=True)


def median_ms(work, repeats, ready=lambda: None, slowest=lambda ms: ms):
    """After three runs that are not counted. `ready` is called before each, `slowest` is of all processes."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    times = []
    for repeat in range(3 + repeats):
        ready()
        torch.cuda.synchronize()
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        if repeat >= 3:
            times.append(slowest(start.elapsed_time(end)))
    return statistics.median(times)


def normal(*shape, grad=True):
    return torch.randn(*shape, device="cuda", dtype=torch.bfloat16, requires_grad=grad)


def single(options):
    for text in options.sizes:
        b, n, h, hkv, d = map(int, text.split(","))
        q, k, v = normal(b, h, n, d), normal(b, hkv, n, d), normal(b, hkv, n, d)
        dout = normal(b, h, n, d, grad=False)
        for causal in (False, True):
            mask = "causal" if causal else "full"
            operations = 4 * b * h * n * n * d * (0.5 if causal else 1)
            for name, backend in BACKENDS.items():
                def attention():
                    with sdpa_kernel(backend):
                        return F.scaled_dot_product_attention(q, k, v, is_causal=causal,
                                                              enable_gqa=h != hkv)
                try:
                    with torch.no_grad():
                        print_line(name, "forward", mask, text, 1,
                                   median_ms(attention, options.repeats), operations)
                    out = attention()
                    backward = lambda: torch.autograd.grad(out, (q, k, v), dout, retain_graph=True)
                    print_line(name, "backward", mask, text, 1,
                               median_ms(backward, options.repeats), 2.5 * operations)
                    del out
                except RuntimeError as error:
                    left_out(f"{name} {text} {mask}", error)
                torch.cuda.empty_cache()


def flash_attn_of_torch():
    """What ring-flash-attention imports of flash_attn, by the kernels that PyTorch carries."""
    aten = torch.ops.aten

    def forward(q, k, v, dropout_p, softmax_scale, causal, **_):
        out, lse, state, _, _ = aten._flash_attention_forward(
            q, k, v, None, None, q.shape[1], k.shape[1], dropout_p, causal, False, scale=softmax_scale)
        return out, lse, None, state

    def backward(dout, q, k, v, out, softmax_lse, dq, dk, dv, dropout_p, softmax_scale, causal, **_):
        seed = torch.zeros(2, dtype=torch.uint64, device=q.device)
        unused = torch.zeros((), dtype=torch.uint64, device=q.device)
        made = aten._flash_attention_backward(
            dout, q, k, v, out, softmax_lse, None, None, q.shape[1], k.shape[1], dropout_p, causal,
            seed, unused, scale=softmax_scale)
        for into, gradient in zip((dq, dk, dv), made):
            into.copy_(gradient)

    # The package reads parameter names off these signatures.
    def _flash_attn_forward(q, k, v, dropout_p, softmax_scale, causal, window_size_left=-1,
                            window_size_right=-1, softcap=0.0, alibi_slopes=None,
                            return_softmax=False):
        return forward(q, k, v, dropout_p, softmax_scale, causal)

    def _flash_attn_backward(dout, q, k, v, out, softmax_lse, dq, dk, dv, dropout_p, softmax_scale,
                             causal, window_size_left=-1, window_size_right=-1, softcap=0.0,
                             alibi_slopes=None, deterministic=False, rng_state=None):
        return backward(dout, q, k, v, out, softmax_lse, dq, dk, dv, dropout_p, softmax_scale, causal)

    interface = types.ModuleType("flash_attn.flash_attn_interface")
    interface._flash_attn_forward = _flash_attn_forward
    interface._flash_attn_backward = _flash_attn_backward
    interface._flash_attn_varlen_forward = interface._flash_attn_varlen_backward = None
    package = types.ModuleType("flash_attn")
    package.flash_attn_interface = interface
    sys.modules |= {"flash_attn": package, "flash_attn.flash_attn_interface": interface}


def ring_flash_attention():
    """Names and functions of q, k, v [b, n, h, d]."""
    try:
        import flash_attn  # noqa: F401
    except ImportError:
        flash_attn_of_torch()
    # The package's part for Hugging Face's models wants a certain version of theirs; its attention needs none.
    adapters = types.ModuleType("ring_flash_attn.adapters")
    adapters.substitute_hf_flash_attn = adapters.update_ring_flash_attn_params = None
    sys.modules.setdefault("ring_flash_attn.adapters", adapters)
    from ring_flash_attn.stripe_flash_attn import stripe_flash_attn_func
    from ring_flash_attn.zigzag_ring_flash_attn import zigzag_ring_flash_attn_func
    return {"ring-flash-attn zigzag": zigzag_ring_flash_attn_func,
            "ring-flash-attn stripe": stripe_flash_attn_func}


def ring_rank(rank, options):
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh

    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29555")
    torch.cuda.set_device(rank)
    dist.init_process_group("nccl", rank=rank, world_size=options.ranks)
    first = rank == 0

    def slowest(milliseconds):
        time = torch.tensor(milliseconds, device="cuda")
        dist.all_reduce(time, dist.ReduceOp.MAX)
        return float(time)

    def measure(who, tokens, forward, inputs, dout):
        """Forward, and backward as forward and backward together less it."""
        operations = 4 * HEADS * tokens * tokens * HEAD_DIM * 0.5
        shape = f"1,{tokens},{HEADS},{KV_HEADS},{HEAD_DIM}"
        with torch.no_grad():
            alone = median_ms(forward, options.repeats, dist.barrier, slowest)
        both = median_ms(lambda: torch.autograd.grad(forward(), inputs, dout), options.repeats,
                         dist.barrier, slowest)
        if first:
            print_line(who, "forward", "causal", shape, options.ranks, alone, operations)
            print_line(who, "backward", "causal", shape, options.ranks, both - alone, 2.5 * operations)

    def attempt(what, body):
        try:
            body()
        except Exception as error:  # whatever a peer throws, the others are still measured
            if first:
                left_out(what, error)
        torch.cuda.empty_cache()

    mesh = init_device_mesh("cuda", (options.ranks,), mesh_dim_names=("cp",))
    try:
        functions = ring_flash_attention()
    except ImportError as error:
        functions = {}
        if first:
            left_out("ring-flash-attention", error)

    for tokens in map(int, options.sizes):
        local = tokens // options.ranks
        for name, function in functions.items():
            def ring():
                q, k, v = (normal(1, local, h, HEAD_DIM) for h in (HEADS, KV_HEADS, KV_HEADS))
                measure(name, tokens, lambda: function(q, k, v, causal=True), (q, k, v),
                        normal(1, local, HEADS, HEAD_DIM, grad=False))
            attempt(f"{name}, {tokens} tokens", ring)
        for name, backend in BACKENDS.items():
            def context_parallel():
                from torch.distributed.tensor.experimental import context_parallel as shard
                whole = [normal(1, HEADS, tokens, HEAD_DIM, grad=False) for _ in range(4)]
                with shard(mesh, buffers=whole, buffer_seq_dims=[2] * 4):
                    q, k, v = (t.detach().requires_grad_() for t in whole[:3])

                    def forward():
                        with sdpa_kernel(backend):
                            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
                    measure(f"context_parallel {name}", tokens, forward, (q, k, v), whole[3])
            attempt(f"context_parallel {name}, {tokens} tokens", context_parallel)
    dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("what", choices=["single", "ring"])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("sizes", nargs="+")
    options = parser.parse_args()
    if options.what == "single":
        single(options)
    else:
        torch.multiprocessing.spawn(ring_rank, args=(options,), nprocs=options.ranks)


if __name__ == "__main__":
    main()
