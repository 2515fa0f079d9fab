"""Attention of torch tensors: values and gradients against double precision, on every device that is here."""

import subprocess
import sys
import threading

import naive
import numpy
import pytest
import torch

import ringc

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA here"))]
REACH = numpy.array([5, 9, 30, 40], "i4")
RANDOM = numpy.random.default_rng(7)
KEY_MASK = RANDOM.random((2, 37)) > 0.3
BIAS = RANDOM.standard_normal((1, 4, 37, 37)).astype("f4")
DOCUMENTS = [5, 0, 20, 12]

CASES = {
    "full": ({}, {}),
    "causal window": ({"causal": True, "window": (6, 0)}, {"keep": naive.visible(37, 37, True, (6, 0))}),
    "softcap": ({"softcap": 2.0}, {"score": naive.softcapped(2.0)}),
    "alibi": ({"alibi": True}, {"score": naive.alibi(4)}),
    "tiled": ({"kv_head_map": "tiled"}, {"head_map": "tiled"}),
    "documents": ({"document_lengths": DOCUMENTS}, {"keep": naive.visible(37, 37, document_lengths=DOCUMENTS)}),
    "documents of a tensor": (
        {"document_lengths": torch.tensor(DOCUMENTS)},
        {"keep": naive.visible(37, 37, document_lengths=DOCUMENTS)},
    ),
    "key mask": ({"key_mask": torch.from_numpy(KEY_MASK)}, {"keep": KEY_MASK[:, None, None]}),
    "bias": ({"bias": torch.from_numpy(BIAS)}, {"score": lambda s, b, h, i, j: (s + BIAS, 1.0)}),
    "mask": (
        {"mask": naive.DILATED, "arguments": {"dilated.step": 3, "reach": torch.from_numpy(REACH)}},
        {"keep": naive.dilated(3, REACH, 37)},
    ),
    "score": ({"score": naive.BENT, "arguments": {"c": 1.5}}, {"score": naive.bent(1.5)}),
}


def on(device, value):
    """Tensors there, but for those of the host."""
    if isinstance(value, dict):
        return {name: each if name == "document_lengths" else on(device, each) for name, each in value.items()}
    return value.to(device) if isinstance(value, torch.Tensor) else value


def tensors(problem, device, dtype=torch.float32):
    return [torch.from_numpy(each).to(device, dtype).requires_grad_(place < 3) for place, each in enumerate(problem)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CASES)
def test_the_formula_and_its_gradients(name, device):
    asked, formula = CASES[name]
    problem = naive.problem(1)
    q, k, v, dout = tensors(problem, device)
    out, lse = ringc.attention(q, k, v, return_lse=True, **on(device, asked))
    assert out.requires_grad and not lse.requires_grad
    out.backward(dout)
    found = (out, lse, q.grad, k.grad, v.grad)
    for each, exact in zip(found, naive.attention(*problem, **formula), strict=True):
        assert naive.error(each.detach().cpu(), exact) < 2e-5
    gradients = ringc.attention_backward(dout, q, k, v, out, lse, **on(device, asked))
    assert all(naive.error(mine.cpu(), theirs.grad.cpu()) < 2e-5 for mine, theirs in zip(gradients, (q, k, v)))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype, device):
    problem = naive.problem(2)
    q, k, v, dout = tensors(problem, device, dtype)
    out = ringc.attention(q, k, v, causal=True)
    out.backward(dout)
    exact = naive.attention(*(each.detach().float().cpu() for each in (q, k, v, dout)), keep=naive.visible(37, 37, True))
    bar = 2e-3 if dtype is torch.float16 else 1.6e-2
    for found, expected in zip((out, q.grad, k.grad, v.grad), (exact[0], *exact[2:])):
        assert found.dtype is dtype
        assert naive.error(found.detach().float().cpu(), expected) < bar


@pytest.mark.parametrize("device", DEVICES)
def test_any_strides(device):
    q, k, v, dout = tensors(naive.problem(3), device)
    packed = torch.randn(2, 37, 8, 16, device=device, requires_grad=True)
    whole = ringc.attention(*(each.contiguous() for each in packed.split([4, 2, 2], 2)))
    split = ringc.attention(*packed.split([4, 2, 2], 2))
    assert torch.equal(whole, split)
    split.backward(dout.transpose(1, 3).contiguous().transpose(1, 3))
    assert packed.grad is not None
    spread = ringc.attention(q, k[:, :, :1].expand(2, 37, 2, 16), v)
    spread.sum().backward()  # its gradient has no strides at all
    assert torch.equal(spread, ringc.attention(q, k[:, :, :1].repeat(1, 1, 2, 1), v))


def test_what_is_not_asked_for_has_no_gradient():
    q, k, v, dout = tensors(naive.problem(4), "cpu")
    q.requires_grad_(False)
    ringc.attention(q, k, v).backward(dout)
    assert q.grad is None and k.grad is not None
    with torch.no_grad():
        assert not ringc.attention(q, k, v).requires_grad


def test_gradients_of_gradients_are_refused():
    q, k, v, dout = tensors(naive.problem(4), "cpu")
    (dq,) = torch.autograd.grad(ringc.attention(q, k, v), q, dout, create_graph=True)
    with pytest.raises(NotImplementedError, match="gradients of its gradients"):
        dq.sum().backward()


@pytest.mark.parametrize("device", DEVICES)
def test_checkpointing_changes_nothing(device):
    problem = naive.problem(5)

    def gradients(use):
        q, k, v, dout = tensors(problem, device)
        use(lambda *qkv: ringc.attention(*qkv, causal=True), q, k, v).backward(dout)
        return q.grad, k.grad, v.grad

    plain = gradients(lambda function, *qkv: function(*qkv))
    for reentrant in (False, True):
        again = gradients(lambda function, *qkv: torch.utils.checkpoint.checkpoint(function, *qkv, use_reentrant=reentrant))
        assert all(torch.equal(a, b) for a, b in zip(plain, again))


@pytest.mark.parametrize("device", DEVICES)
def test_autocast_is_that_of_torch_s_attention(device):
    q, k, v, dout = tensors(naive.problem(6), device)
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast(device, dtype):
            out = ringc.attention(q, k, v)
            theirs = torch.nn.functional.scaled_dot_product_attention(*(each.transpose(1, 2) for each in (q, k, v)), enable_gqa=True)
            assert out.dtype is theirs.dtype is dtype
        out.backward(dout.to(dtype))
        assert q.grad.dtype is torch.float32
    with torch.autocast(device, enabled=False):
        assert ringc.attention(q, k, v).dtype is torch.float32


def test_threads_with_gradients():
    exact = tensors(naive.problem(7), "cpu")
    ringc.attention(*exact[:3], causal=True).backward(exact[3])
    wrong = []

    def work():
        for _ in range(20):
            q, k, v, dout = tensors(naive.problem(7), "cpu")
            ringc.attention(q, k, v, causal=True).backward(dout)
            if not all(torch.equal(mine.grad, theirs.grad) for mine, theirs in zip((q, k, v), exact)):
                wrong.append(1)

    running = [threading.Thread(target=work) for _ in range(3)]
    for each in running:
        each.start()
    for each in running:
        each.join()
    assert not wrong


def test_decoding_with_torch():
    q, k, v, _ = (torch.from_numpy(each) for each in naive.problem(8, n_q=1, n_k=60))
    cache = ringc.KvCache(pages=8, page_size=16, kv_heads=2, head_dim=16, entries=2)
    for entry in range(2):
        cache.append(entry, k[entry], v[entry])
    exact = naive.attention(q, k, v)[0]
    assert naive.error(cache.decode(q), exact) < 2e-5
    assert naive.error(ringc.decode(q, k, v), exact) < 2e-5
    tree = ringc.tree_attn_decode(*(each.transpose(1, 2) for each in (q, k, v)))
    assert naive.error(tree.transpose(1, 2), exact) < 2e-5
    with pytest.raises(ringc.InputError, match="q: got a tensor that requires_grad"):
        cache.decode(q.requires_grad_())
    with torch.no_grad():
        assert naive.error(cache.decode(q), exact) < 2e-5


def test_shards_and_turns_have_gradients():
    x = torch.randn(2, 11, 2, 6, requires_grad=True)
    shards = [ringc.shard(x, rank, 3) for rank in range(3)]
    turned = [ringc.rope(each, ringc.positions(11, rank, 3)) for rank, each in enumerate(shards)]
    whole = ringc.unshard(turned)
    assert torch.equal(whole, ringc.rope(x, torch.arange(11)))
    weights = torch.randn_like(whole)
    (whole * weights).sum().backward()
    assert torch.allclose(x.grad, ringc.rope(weights, torch.arange(11), inverse=True), atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA here")
class TestOnCuda:
    def test_the_current_stream_and_no_synchronisation(self):
        q, k, v, dout = tensors(naive.problem(9), "cuda")
        ringc.attention(q * 1, k, v).backward(dout)  # torch loads a kernel of its own when it is first asked for, and waits for that
        expected, stream = q.grad.clone(), torch.cuda.Stream()
        torch.cuda.synchronize()
        q.grad = None
        torch.cuda.set_sync_debug_mode("error")
        try:
            with torch.cuda.stream(stream):
                torch.cuda._sleep(200_000_000)
                out = ringc.attention(q * 1, k, v)
                out.backward(dout)
                assert not stream.query(), "it waited for the stream"
        finally:
            torch.cuda.set_sync_debug_mode("default")
        stream.synchronize()
        assert naive.error(q.grad.cpu(), expected.cpu()) < 1e-5

    def test_a_graph(self):
        problem = naive.problem(10)
        q, k, v, dout = tensors(problem, "cuda")
        graphed = torch.cuda.make_graphed_callables(lambda q, k, v: ringc.attention(q, k, v, causal=True), (q, k, v))
        for seed in (11, 12):
            other = naive.problem(seed)
            with torch.no_grad():
                for mine, given in zip((q, k, v, dout), other):
                    mine.copy_(torch.from_numpy(given))
            q.grad = k.grad = v.grad = None
            graphed(q, k, v).backward(dout)
            exact = naive.attention(*other, keep=naive.visible(37, 37, True))
            assert all(naive.error(mine.grad.cpu(), each) < 2e-5 for mine, each in zip((q, k, v), exact[2:]))

    def test_the_same_bits_where_torch_wants_them(self):
        problem = naive.problem(13, n_q=513, n_k=513)
        torch.use_deterministic_algorithms(True)
        try:
            found = []
            for _ in range(5):
                q, k, v, dout = tensors(problem, "cuda")
                ringc.attention(q, k, v, causal=True).backward(dout)
                found.append(q.grad)
        finally:
            torch.use_deterministic_algorithms(False)
        assert all(torch.equal(found[0], each) for each in found)

    def test_time_at_4k(self, capsys):
        """Forward and backward through autograd, beside the library's calls alone: printed, not judged."""
        from ringc import _options, _run

        q, k, v = (torch.randn(1, 4096, 16, 128, device="cuda", dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
        dout = torch.randn_like(q)
        text = _options.text(
            causal=True, window=(-1, -1), softcap=None, alibi=False, mask=None, score=None, scale=None, kv_head_map="blocked",
            layout="zigzag", deterministic=False, options=None, arguments=_options.arguments_of(None),
        )  # fmt: skip
        call = _run.Call(*(each.detach() for each in (q, k, v)), None, None, None, (), (), (), (), text, "")
        results = (torch.empty_like(q), *(torch.empty(1, 16, 4096, device="cuda") for _ in range(3)))
        gradients = tuple(torch.empty_like(each) for each in (q, k, v))

        def by_calls():
            stream = torch.cuda.current_stream().cuda_stream
            _run.forward(call, results, stream)
            _run.backward(call, results, dout, gradients, stream)

        def by_autograd():
            torch.autograd.grad(ringc.attention(q, k, v, causal=True), (q, k, v), dout)

        for name, work in (("the library's calls", by_calls), ("autograd", by_autograd)) * 2:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            work()
            begin.record()
            for _ in range(20):
                work()
            end.record()
            end.synchronize()
            with capsys.disabled():
                print(f"\nforward and backward at 4k by {name}: {begin.elapsed_time(end) / 20:.3f} ms")

    def test_overhead(self, capsys):
        """Host time of a call, beside torch's own: printed, not judged."""
        import time

        q, k, v = (torch.randn(1, 16, 2, 64, device="cuda", dtype=torch.bfloat16) for _ in range(3))
        calls = {
            "ringc.attention": lambda: ringc.attention(q, k, v),
            "torch's": lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v),
        }
        for name, call in calls.items():
            for times in (20, 200):
                torch.cuda.synchronize()
                begin = time.perf_counter()
                for _ in range(times):
                    call()
                microseconds = (time.perf_counter() - begin) / times * 1e6
            with capsys.disabled():
                print(f"\n{name}: {microseconds:.1f} us of the host a call")


def test_the_self_test():
    done = subprocess.run([sys.executable, "-m", "ringc.test"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok      torch on the host, with autograd" in done.stdout
