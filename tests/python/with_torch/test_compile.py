"""torch.compile: one graph, the same results, and no compile anew for another batch of the same shape."""

import naive
import pytest
import torch
import torch._dynamo.testing
from test_attention import DEVICES, on, tensors

import ringc

MASK = naive.DILATED
REACH = torch.tensor([5, 9, 30, 40], dtype=torch.int32)


def block(q, k, v, **options):
    return ringc.attention(q * 1.5, k, v, **options).sin()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "options",
    [
        {"causal": True, "softcap": 3.0},
        {"document_lengths": [5, 20, 12]},
        {"mask": MASK, "arguments": {"dilated.step": 3, "reach": REACH}},
    ],
    ids=["softcap", "documents", "mask"],
)
def test_one_graph(options, device):
    torch._dynamo.reset()
    options = on(device, options)
    results = []
    for function in (block, torch.compile(block, fullgraph=True, backend="aot_eager")):
        q, k, v, dout = tensors(naive.problem(1), device)
        out = function(q, k, v, **options)
        out.backward(dout)
        results.append((out, q.grad, k.grad, v.grad))
    for plain, compiled in zip(*results):
        assert torch.allclose(plain, compiled, atol=1e-6)


def test_inductor():
    torch._dynamo.reset()
    q, k, v, _ = tensors(naive.problem(2), "cpu")
    with torch.no_grad():
        out = torch.compile(block, fullgraph=True)(q, k, v, causal=True)
        assert torch.allclose(out, block(q, k, v, causal=True), atol=1e-6)


def test_lengths_that_vary():
    torch._dynamo.reset()
    counted = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(block, fullgraph=True, dynamic=True, backend=counted)
    for n in (20, 24, 40):
        q, k, v, dout = tensors(naive.problem(2, n_q=n, n_k=n), "cpu")
        out = compiled(q, k, v, causal=True)
        out.backward(dout)
        assert torch.allclose(out, block(q, k, v, causal=True), atol=1e-6)
    assert counted.frame_count == 1


def test_integers_that_vary():
    """As the seed of a mask that drops keys does."""
    torch._dynamo.reset()
    counted = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")

    def dropped(*qkv, step):
        return block(*qkv, mask=MASK, arguments={"step": step, "reach": REACH})

    compiled = torch.compile(dropped, backend=counted, fullgraph=True)
    q, k, v, dout = tensors(naive.problem(5), "cpu")
    for step in (2, 3, 4, 5, 6):
        out = compiled(q, k, v, step=step)
        out.backward(dout)
        assert torch.allclose(out, dropped(q, k, v, step=step), atol=1e-6)
    assert counted.frame_count == 2  # as a constant, and as any


def test_what_is_wrong_has_its_own_exception():
    torch._dynamo.reset()
    compiled = torch.compile(lambda *qkv, **options: ringc.attention(*qkv, **options), fullgraph=True, backend="aot_eager")
    q, k, v, _ = tensors(naive.problem(6), "cpu")
    for options, message in (({"softcap": -1.0}, "softcap: got -1"), ({"softcap": float("nan")}, "softcap: got nan")):
        with pytest.raises(ringc.InputError, match=message):
            compiled(q, k, v, **options)
    with pytest.raises(ringc.InputError, match="v: got"):
        compiled(q, k, v[:, :3])


def test_the_operators_keep_torch_s_rules():
    q, k, v, _ = tensors(naive.problem(3, n_q=9, n_k=9), "cpu")
    from ringc import _options

    text = _options.text(
        causal=True, window=(-1, -1), softcap=None, alibi=False, mask=None, score=None, scale=None, kv_head_map="blocked",
        layout="zigzag", deterministic=True, options=None, arguments=_options.arguments_of(None),
    )  # fmt: skip
    inputs = (q, k, v, None, None, None, [], [], [], [], text, "")
    torch.library.opcheck(torch.ops.ringc.attention_forward.default, inputs)


def test_autocast_and_checkpointing_in_the_graph():
    torch._dynamo.reset()

    def both(q, k, v):
        with torch.autocast("cpu", torch.bfloat16):
            return torch.utils.checkpoint.checkpoint(block, q, k, v, use_reentrant=False)

    results = []
    for function in (both, torch.compile(both, fullgraph=True, backend="aot_eager")):
        q, k, v, dout = tensors(naive.problem(4), "cpu")
        out = function(q, k, v)
        out.backward(dout.to(out.dtype))
        results.append((out.float(), q.grad))
    assert all(torch.allclose(a, b, atol=2e-2) for a, b in zip(*results))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA here")
def test_graphs_of_cuda_in_the_compiled():
    torch._dynamo.reset()
    compiled = torch.compile(block, fullgraph=True, mode="reduce-overhead")
    for seed in range(4):
        q, k, v, dout = tensors(naive.problem(seed), "cuda")
        out = compiled(q, k, v, causal=True).clone()
        assert torch.allclose(out, block(q, k, v, causal=True), atol=1e-5)
