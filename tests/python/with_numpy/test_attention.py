"""Attention of numpy arrays against its formula."""

import subprocess
import sys

import naive
import numpy
import pytest

import ringc

REACH = numpy.array([5, 9, 30, 40], "i4")
RANDOM = numpy.random.default_rng(7)
KEY_MASK = RANDOM.random((2, 37)) > 0.3
BIAS = RANDOM.standard_normal((1, 4, 37, 37)).astype("f4")
DOCUMENTS = [5, 0, 20, 12]

CASES = {
    "full": ({}, {}),
    "causal": ({"causal": True}, {"keep": naive.visible(37, 37, causal=True)}),
    "window": ({"causal": True, "window": (6, 0)}, {"keep": naive.visible(37, 37, True, (6, 0))}),
    "softcap": ({"softcap": 2.0}, {"score": naive.softcapped(2.0)}),
    "alibi": ({"alibi": True}, {"score": naive.alibi(4)}),
    "slopes": ({"alibi": [2.0 ** (-8 * (h + 1) / 4) for h in range(4)]}, {"score": naive.alibi(4)}),
    "scale": ({"scale": 0.1}, {"scale": 0.1}),
    "tiled": ({"kv_head_map": "tiled"}, {"head_map": "tiled"}),
    "documents": ({"document_lengths": DOCUMENTS}, {"keep": naive.visible(37, 37, document_lengths=DOCUMENTS)}),
    "key mask": ({"key_mask": KEY_MASK}, {"keep": KEY_MASK[:, None, None]}),
    "bias": ({"bias": BIAS}, {"score": lambda s, b, h, i, j: (s + BIAS, 1.0)}),
    "mask": (
        {"mask": naive.DILATED, "arguments": {"dilated.step": 3, "reach": REACH}},
        {"keep": naive.dilated(3, REACH, 37)},
    ),
    "score": ({"score": naive.BENT, "arguments": {"c": 1.5}}, {"score": naive.bent(1.5)}),
    "prefix": ({"causal": True, "options": {"prefix": 10}}, {"keep": naive.visible(37, 37, True) | (numpy.arange(37) < 10)}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_formula_and_its_gradients(name):
    asked, formula = CASES[name]
    q, k, v, dout = naive.problem(1)
    out, lse = ringc.attention(q, k, v, return_lse=True, **asked)
    gradients = ringc.attention_backward(dout, q, k, v, out, lse, **asked)
    for found, exact in zip((out, lse, *gradients), naive.attention(q, k, v, dout, **formula), strict=True):
        assert naive.error(found, exact) < 2e-5


def test_lengths_and_dims_that_differ():
    q, k, v, _ = naive.problem(2, n_q=5, n_k=50, d=24, d_v=40)
    out = ringc.attention(q, k, v, causal=True)
    assert naive.error(out, naive.attention(q, k, v, keep=naive.visible(5, 50, True))[0]) < 2e-5


def test_rows_that_see_nothing():
    q, k, v, _ = naive.problem(3, n_q=8, n_k=3)
    out, lse = ringc.attention(q, k, v, causal=True, return_lse=True)
    assert not out[:, :5].any() and (lse[:, :, :5] == -numpy.inf).all()
    empty = ringc.attention(q[:, :0], k, v)
    assert empty.shape == (2, 0, 4, 16)


def test_half_precision():
    q, k, v, _ = naive.problem(4, dtype="f2")
    out = ringc.attention(q, k, v)
    assert out.dtype == numpy.float16
    assert naive.error(out, naive.attention(q, k, v)[0]) < 2e-3


def test_any_strides_and_no_copy_of_what_is_read():
    q, k, v, _ = naive.problem(5)
    expected = ringc.attention(q, k, v)
    turned = [numpy.ascontiguousarray(each.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3) for each in (q, k, v)]
    assert not turned[0].flags.c_contiguous
    assert (ringc.attention(*turned) == expected).all()
    backwards = [each[:, ::-1][:, ::-1] for each in (q, k, v)]
    assert (ringc.attention(*backwards) == expected).all()
    spread = numpy.broadcast_to(k[:1], k.shape)
    assert (ringc.attention(q, spread, v) == ringc.attention(q, spread.copy(), v)).all()


class OfAnotherLibrary:
    """A tensor that is known by DLPack alone."""

    def __init__(self, array):
        self.array = array

    shape = property(lambda self: self.array.shape)  # as all array libraries have it

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **_):
        return self.array.__dlpack__()


def test_dlpack():
    q, k, v, _ = naive.problem(6)
    out = ringc.attention(*(OfAnotherLibrary(each) for each in (q, k, v)))
    assert (out == ringc.attention(q, k, v)).all()


def test_a_file_of_masks_is_read_again_when_it_changes(tmp_path):
    path = tmp_path / "own.tile"
    q, k, v, _ = naive.problem(7)
    for below in (3, 12):
        path.write_text(f"mask near(b: index, h: index, i: index, j: index) {{ return j < {below} }}\n")
        exact = naive.attention(q, k, v, keep=numpy.arange(37) < below)[0]
        for given in (f"{path}:near", (path, "near"), [(str(path), "near")]):
            assert naive.error(ringc.attention(q, k, v, mask=given), exact) < 2e-5


def test_the_same_bits_every_time():
    q, k, v, dout = naive.problem(8, n_q=200, n_k=200)
    out, lse = ringc.attention(q, k, v, causal=True, return_lse=True)
    first = ringc.attention_backward(dout, q, k, v, out, lse, causal=True, deterministic=True)
    again = ringc.attention_backward(dout, q, k, v, out, lse, causal=True, deterministic=True)
    assert all((a == b).all() for a, b in zip(first, again))


def test_the_self_test():
    done = subprocess.run([sys.executable, "-m", "ringc.test", "--without-torch"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok      numpy, forward and backward" in done.stdout and "skipped: torch: --without-torch" in done.stdout
    assert "torch" not in sys.modules
