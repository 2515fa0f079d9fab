#!/usr/bin/env python3
"""Attention as PyTorch has it, measured as `ringc bench` measures: medians of CUDA events, random bf16.

usage: gpu_peers.py single [--repeats R] b,n,h,hkv,d ...
       gpu_peers.py ring --ranks P [--repeats R] TOKENS ...
       gpu_peers.py original --ranks P [--repeats R] [--limit SECONDS] TOKENS ...

`single`: FA2 and cuDNN through scaled_dot_product_attention, full and causal, forward and backward. `ring`: b 1,
heads 32/8, d 128, causal, P processes of one host: torch's context_parallel (which takes as many key heads as
query heads), and ring-flash-attention where it can be imported, on PyTorch's own FA2 where flash_attn cannot be.
`original`: the same of ring-attention-pytorch (Triton), contiguous and striped, each in processes of its own that are
ended after so many seconds. Its numbers are checked first: without a right forward nothing is measured; what is wrong
of its gradients is named in the line, as "wrong".
A line of JSON for each measurement on stdout; on stderr what was left out, and why.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import socket
import statistics
import sys
import time
import types

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

BACKENDS = {"FA2": SDPBackend.FLASH_ATTENTION, "cuDNN": SDPBackend.CUDNN_ATTENTION}
HEADS, KV_HEADS, HEAD_DIM = 32, 8, 128  # of the ring


def left_out(what, error):
    """Of a process's exception the last line says what it was."""
    lines = str(error).strip().split("\n")
    reason = lines[-1 if lines[0].startswith("-- Process") else 0][:160]
    print(f"skipped: {what}: {type(error).__name__}: {reason}", file=sys.stderr, flush=True)


def print_line(who, what, mask, shape, devices, milliseconds, operations, wrong=()):
    line = {
        "who": who, "pass": what, "shape": shape, "dtype": "bf16", "mask": mask, "devices": devices,
        "median_ms": milliseconds, "tflops": operations / milliseconds * 1e-9,
    }
    print(json.dumps({**line, "wrong": wrong} if wrong else line), flush=True)


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


class Ring:
    """The processes of a ring, of which this is one."""

    def __init__(self, rank, options):
        torch.cuda.set_device(rank)
        dist.init_process_group("nccl", init_method=f"tcp://127.0.0.1:{options.port}", rank=rank,
                                world_size=options.ranks)
        self.rank, self.ranks, self.repeats = rank, options.ranks, options.repeats

    def largest(self, number):
        number = torch.tensor(number, device="cuda")
        dist.all_reduce(number, dist.ReduceOp.MAX)
        return float(number)

    def left_out(self, what, error):
        if self.rank == 0:
            left_out(what, error)

    def measure(self, who, tokens, forward, inputs, dout, wrong=()):
        """Forward, and backward as forward and backward together less it."""
        operations = 4 * HEADS * tokens * tokens * HEAD_DIM * 0.5
        shape = f"1,{tokens},{HEADS},{KV_HEADS},{HEAD_DIM}"

        def say(what, milliseconds, operations, wrong=()):
            if self.rank == 0:
                print_line(who, what, "causal", shape, self.ranks, milliseconds, operations, wrong)
        with torch.no_grad():
            alone = median_ms(forward, self.repeats, dist.barrier, self.largest)
        say("forward", alone, operations)
        if dout is None:
            return
        both = median_ms(lambda: torch.autograd.grad(forward(), inputs, dout), self.repeats,
                         dist.barrier, self.largest)
        say("backward", both - alone, 2.5 * operations, wrong)

    def measure_function(self, who, tokens, function, backward=True, wrong=()):
        """Of q, k, v [b, n, h, d], shards of this rank."""
        local = tokens // self.ranks
        q, k, v = (normal(1, local, h, HEAD_DIM) for h in (HEADS, KV_HEADS, KV_HEADS))
        self.measure(who, tokens, lambda: function(q, k, v), (q, k, v),
                     normal(1, local, HEADS, HEAD_DIM, grad=False) if backward else None, wrong)

    def attempt(self, what, body):
        try:
            body()
        except Exception as error:  # whatever a peer throws, the others are still measured
            self.left_out(what, error)
        torch.cuda.empty_cache()


def ring_rank(rank, options):
    from torch.distributed.device_mesh import init_device_mesh

    ring = Ring(rank, options)
    mesh = init_device_mesh("cuda", (options.ranks,), mesh_dim_names=("cp",))
    try:
        functions = ring_flash_attention()
    except ImportError as error:
        functions = {}
        ring.left_out("ring-flash-attention", error)

    for tokens in map(int, options.sizes):
        for name, function in functions.items():
            ring.attempt(f"{name}, {tokens} tokens", lambda: ring.measure_function(
                name, tokens, lambda q, k, v: function(q, k, v, causal=True)))
        for name, backend in BACKENDS.items():
            def context_parallel():
                from torch.distributed.tensor.experimental import context_parallel as shard
                whole = [normal(1, HEADS, tokens, HEAD_DIM, grad=False) for _ in range(4)]
                with shard(mesh, buffers=whole, buffer_seq_dims=[2] * 4):
                    q, k, v = (t.detach().requires_grad_() for t in whole[:3])

                    def forward():
                        with sdpa_kernel(backend):
                            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
                    ring.measure(f"context_parallel {name}", tokens, forward, (q, k, v), whole[3])
            ring.attempt(f"context_parallel {name}, {tokens} tokens", context_parallel)
    dist.destroy_process_group()


def ring_attention_pytorch():
    """Its function of q, k, v [b, n, h, d]. It imports more than its attention needs."""
    version = importlib.metadata.version
    importlib.metadata.version = lambda name: version("triton" if name == "triton-nightly" else name)

    class Anything:
        __class_getitem__ = classmethod(lambda cls, _: cls)
    for name, members in {"beartype": {"beartype": lambda function: function},
                          "jaxtyping": dict.fromkeys(("Float", "Int", "Bool"), Anything)}.items():
        if not importlib.util.find_spec(name):
            sys.modules[name] = types.ModuleType(name)
            vars(sys.modules[name]).update(members)
    try:
        from ring_attention_pytorch.ring_flash_attention_cuda import ring_flash_attn_cuda
        import ring_attention_pytorch.triton_flash_attn  # noqa: F401
    except SystemExit:
        raise ImportError("it finds no triton") from None
    return ring_flash_attn_cuda


def errors_of(ring, function, striped):
    """Of out, dq, dk and dv of a small ring, relative to the norm; of out alone where there is no backward."""
    torch.manual_seed(1)
    local = 256
    whole = [torch.randn(1, ring.ranks * local, h, HEAD_DIM, device="cuda") for h in (HEADS, KV_HEADS, KV_HEADS, HEADS)]
    whole = [t.bfloat16() for t in whole]
    own = slice(ring.rank, None, ring.ranks) if striped else slice(ring.rank * local, (ring.rank + 1) * local)
    q, k, v, dout = (t[:, own].contiguous() for t in whole)
    inputs = [t.requires_grad_() for t in (q, k, v)]
    made = [function(*inputs)]
    try:
        made += torch.autograd.grad(made[0], inputs, dout)
    except Exception as error:
        ring.left_out("ring-attention-pytorch's backward", error)
    exact = [t.float().requires_grad_() for t in whole[:3]]
    # Query head h has key head h % KV_HEADS there.
    heads = [exact[0]] + [t.repeat(1, 1, HEADS // KV_HEADS, 1) for t in exact[1:]]
    right = F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in heads), is_causal=True).transpose(1, 2)
    right = right, *torch.autograd.grad(right, exact, whole[3].float())
    errors = {}
    for name, mine, all_of_it in zip(("out", "dq", "dk", "dv"), made, right):
        part = all_of_it[:, own].detach()
        errors[name] = round(ring.largest(float((mine.detach().float() - part).norm() / part.norm())), 3)
    return errors


def original_rank(rank, options, layout):
    ring = Ring(rank, options)
    name, striped = f"ring-attention-pytorch {layout}", layout == "striped"
    try:
        theirs = ring_attention_pytorch()
    except ImportError as error:
        ring.left_out(name, error)
        return

    def function(q, k, v):
        return theirs(q, k, v, None, True, 512, True, striped, None, ring.ranks)
    errors = errors_of(ring, function, striped)
    wrong = {what: error for what, error in errors.items() if not error < 0.02}
    if "out" in wrong:
        ring.left_out(name, ValueError(f"its numbers are wrong, relative errors {errors}"))
        return
    for tokens in map(int, options.sizes):
        ring.attempt(f"{name}, {tokens} tokens", lambda: ring.measure_function(
            name, tokens, function, backward="dq" in errors, wrong=wrong))
    dist.destroy_process_group()


def original(options):
    """What goes wrong there, and what hangs, ends with its own processes."""
    if not importlib.util.find_spec("ring_attention_pytorch"):
        return left_out("ring-attention-pytorch", ImportError("it is not installed"))
    for layout in "contiguous", "striped":
        options.port = free_port()
        context = torch.multiprocessing.spawn(original_rank, (options, layout), options.ranks, join=False)
        end = time.monotonic() + options.limit
        try:
            while not context.join(max(0, end - time.monotonic())):
                if time.monotonic() >= end:
                    raise TimeoutError(f"not done within {options.limit:g} s")
        except Exception as error:
            left_out(f"ring-attention-pytorch {layout}", error)
        finally:
            for process in context.processes:
                process.kill()
                process.join()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("what", choices=["single", "ring", "original"])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--limit", type=float, default=200)
    parser.add_argument("sizes", nargs="+")
    options = parser.parse_args()
    if options.what == "single":
        single(options)
    elif options.what == "original":
        original(options)
    else:
        options.port = free_port()
        torch.multiprocessing.spawn(ring_rank, args=(options,), nprocs=options.ranks)


if __name__ == "__main__":
    main()
