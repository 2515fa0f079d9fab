"""What is wrong with torch tensors is an exception that names the argument, and leaves nothing behind."""

import gc

import naive
import pytest
import torch
from test_attention import tensors

import ringc

Q, K, V, DOUT = tensors(naive.problem(1), "cpu")
PLAIN = [each.detach() for each in (Q, K, V)]

WRONG = {
    "float64": (lambda: ringc.attention(Q.double(), K, V), "q"),
    "types that differ": (lambda: ringc.attention(Q, K.half(), V), "k"),
    "numpy among torch": (lambda: ringc.attention(Q, K.detach().numpy(), V), "k: got ndarray"),
    "sparse": (lambda: ringc.attention(Q.detach().to_sparse(), K, V), "q: got a tensor of|sparse"),
    "bias that learns": (
        lambda: ringc.attention(Q, K, V, bias=torch.zeros(1, 1, 37, 37, requires_grad=True)),
        "bias: got a tensor that requires_grad",
    ),
    "argument that learns": (
        lambda: ringc.attention(Q, K, V, mask=naive.DILATED, arguments={"step": 1, "reach": torch.zeros(4, requires_grad=True)}),
        "reach.*requires_grad",
    ),
    "key mask of ints": (lambda: ringc.attention(Q, K, V, key_mask=torch.ones(2, 37, dtype=torch.int32)), "key_mask|key mask"),
    "heads": (lambda: ringc.attention(Q[:, :, :3], K, V), "heads"),
    "shape of v": (lambda: ringc.attention(Q, K, V[:, :5]), "v"),
    "axes": (lambda: ringc.attention(Q[0], K, V), "q: got 3 axes"),
    "document lengths": (lambda: ringc.attention(Q, K, V, document_lengths=[1, 2]), "cu_seqlens|document"),
    "rope": (lambda: ringc.rope(Q, range(37), rotary_dims=5), "rotary_dims"),
}


@pytest.mark.parametrize("what", WRONG)
def test_names_the_argument(what):
    call, message = WRONG[what]
    with pytest.raises(ringc.InputError, match=message):
        call()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA here")
@pytest.mark.parametrize("name", ["k", "v", "key_mask", "bias"])
def test_another_device(name):
    given = {"q": PLAIN[0].cuda(), "k": PLAIN[1].cuda(), "v": PLAIN[2].cuda()}
    given[name] = {"k": PLAIN[1], "v": PLAIN[2], "key_mask": torch.ones(2, 37, dtype=torch.bool), "bias": torch.zeros(1, 1, 37, 37)}[name]
    with pytest.raises(ringc.InputError, match=f"{name}: got a tensor on cpu"):
        ringc.attention(**given)


def test_meta_tensors_give_shapes():
    q, k, v = (each.to("meta") for each in PLAIN)
    assert ringc.attention(q, k, v).shape == Q.shape


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_ten_thousand_failing_calls_leave_nothing():
    calls = [WRONG[name][0] for name in ("types that differ", "bias that learns", "heads", "shape of v", "axes")]

    def fail(times):
        for n in range(times):
            with pytest.raises(ringc.InputError):
                calls[n % len(calls)]()

    fail(1000)
    gc.collect()
    before = resident()
    fail(10000)
    gc.collect()
    assert resident() - before < 8 << 20
