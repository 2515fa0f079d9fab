"""`python -m ringc.test`: whether this installation computes what it should, in seconds, with torch and without.

usage: python -m ringc.test [--without-torch]        exit code 0: all is well
"""

from __future__ import annotations

import importlib.util
import sys
import time
from typing import Any, Callable

import numpy

import ringc
from ringc._library import library


def _exact(q: Any, k: Any, v: Any, dout: Any) -> tuple[numpy.ndarray, ...]:
    """Causal attention and its gradients in double precision, by the formula; as many heads of keys as of queries."""
    q, k, v, dout = (numpy.asarray(each, numpy.float64) for each in (q, k, v, dout))
    n, d = q.shape[1], q.shape[3]
    s = numpy.einsum("bihd,bjhd->bhij", q, k) / d**0.5
    s = numpy.where(numpy.tril(numpy.ones((n, n), bool)), s, -numpy.inf)
    p = numpy.exp(s - s.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    out = numpy.einsum("bhij,bjhd->bihd", p, v)
    ds = p * (numpy.einsum("bihd,bjhd->bhij", dout, v) - numpy.einsum("bihd,bihd->bhi", dout, out)[..., None]) / d**0.5
    gradients = numpy.einsum("bhij,bjhd->bihd", ds, k), numpy.einsum("bhij,bihd->bjhd", ds, q)
    return (out, *gradients, numpy.einsum("bhij,bihd->bjhd", p, dout))


def _close(found: Any, exact: numpy.ndarray) -> None:
    error = numpy.linalg.norm(numpy.asarray(found, numpy.float64) - exact) / numpy.linalg.norm(exact)
    if not error < 2e-5:
        raise AssertionError(f"a relative error of {error:.1e}, allowed: 2e-5")


def _problem() -> list[numpy.ndarray]:
    random = numpy.random.default_rng(1)
    return [random.standard_normal((2, 100, 2, 32)).astype(numpy.float32) for _ in range(4)]


def _numpy() -> None:
    q, k, v, dout = _problem()
    out, lse = ringc.attention(q, k, v, causal=True, return_lse=True)
    gradients = ringc.attention_backward(dout, q, k, v, out, lse, causal=True)
    for found, exact in zip((out, *gradients), _exact(q, k, v, dout)):
        _close(found, exact)


def _own_mask() -> None:
    q, k, v, _ = _problem()
    text = "mask own(b: index, h: index, i: index, j: index, left: i32) { return j <= i and i - j <= left }"
    out = ringc.attention(q, k, v, mask=text, arguments={"left": 9})
    _close(out, numpy.asarray(ringc.attention(q, k, v, causal=True, window=(9, 0)), numpy.float64))


def _wrong_input() -> None:
    q, k, v, _ = _problem()
    try:
        ringc.attention(q, k, v[:, :3])
    except ringc.InputError:
        return
    raise AssertionError("shapes that do not agree were taken")


def _torch(device: str) -> None:
    import torch

    problem = _problem()
    q, k, v, dout = (torch.from_numpy(each).to(device) for each in problem)
    for each in (q, k, v):
        each.requires_grad_()
    out = ringc.attention(q, k, v, causal=True)
    out.backward(dout)
    for found, exact in zip((out, q.grad, k.grad, v.grad), _exact(*problem)):
        _close(found.detach().cpu().numpy(), exact)


def _hugging_face() -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    import ringc.hugging_face

    torch.manual_seed(1)
    sizes: dict[str, Any] = {"vocab_size": 99, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(**sizes, num_key_value_heads=2))
    ids = torch.randint(99, (2, 50))
    losses = []
    for name in ("ringc", "eager"):
        model.set_attn_implementation(name)
        losses.append(model(input_ids=ids, labels=ids).loss.detach().numpy())
    _close(losses[0], losses[1])


def _checks(without_torch: bool) -> tuple[list[tuple[str, Callable[[], None]]], list[str]]:
    """What is checked, and why the rest is not."""
    checks: list[tuple[str, Callable[[], None]]] = [
        ("numpy, forward and backward", _numpy),
        ("a mask of one's own", _own_mask),
        ("wrong input", _wrong_input),
    ]
    if without_torch:
        return checks, ["torch: --without-torch"]
    try:
        import torch
    except ImportError:
        return checks, ["torch: it is not installed"]
    checks.append(("torch on the host, with autograd", lambda: _torch("cpu")))
    left_out = []
    if torch.cuda.is_available():
        checks.append(("torch on CUDA, with autograd", lambda: _torch("cuda")))
    else:
        left_out.append("torch on CUDA: there is no CUDA here")
    if importlib.util.find_spec("transformers") is not None:
        checks.append(("a model of Hugging Face", _hugging_face))
    else:
        left_out.append("Hugging Face's models: transformers is not installed")
    return checks, left_out


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--without-torch"]):
        print(__doc__, file=sys.stderr)
        return 2
    print(f"ringc {library().version()}, {library().path}")
    checks, left_out = _checks(bool(arguments))
    failed = 0
    for name, check in checks:
        begin = time.perf_counter()
        try:
            check()
            print(f"ok      {name}, {time.perf_counter() - begin:.1f} s")
        except Exception as error:
            failed += 1
            print(f"FAILED  {name}: {type(error).__name__}: {error}")
    for reason in left_out:
        print(f"skipped: {reason}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
