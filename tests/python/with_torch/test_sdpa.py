"""The drop-in for torch's scaled_dot_product_attention, beside it."""

import pytest
import torch

import ringc

THEIRS = torch.nn.functional.scaled_dot_product_attention


def drawn(*shapes):
    return [torch.randn(shape, generator=torch.Generator().manual_seed(place)) for place, shape in enumerate(shapes)]


@pytest.mark.parametrize(
    "shapes",
    [((2, 4, 20, 16),) * 3, ((2, 4, 9, 16), (2, 4, 20, 16), (2, 4, 20, 8)), ((3, 2, 4, 9, 8),) * 3, ((4, 12, 8),) * 3],
    ids=["equal", "cross", "five axes", "three axes"],
)
@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}], ids=["full", "causal", "scale"])
def test_the_same(shapes, options):
    mine, theirs = drawn(*shapes), drawn(*shapes)
    results = []
    for function, tensors in ((ringc.scaled_dot_product_attention, mine), (THEIRS, theirs)):
        for each in tensors:
            each.requires_grad_()
        out = function(*tensors, **options)
        out.backward(torch.ones_like(out))
        results.append((out, *(each.grad for each in tensors)))
    for a, b in zip(*results, strict=True):
        assert a.shape == b.shape
        assert torch.allclose(a, b, atol=2e-5)


@pytest.mark.parametrize("rows", [(30, 12), (12, 30)])
def test_causal_is_aligned_at_the_top_left(rows):
    q, k, v = drawn((1, 2, rows[0], 8), (1, 2, rows[1], 8), (1, 2, rows[1], 8))
    assert torch.allclose(ringc.scaled_dot_product_attention(q, k, v, is_causal=True), THEIRS(q, k, v, is_causal=True), atol=2e-5)


@pytest.mark.parametrize("shape", [(9, 20), (2, 1, 1, 20), (2, 1, 9, 20), (1, 4, 9, 20), (2, 4, 9, 20), (4, 1, 20), (1, 20)])
def test_masks(shape):
    q, k, v = drawn((2, 4, 9, 16), (2, 4, 20, 16), (2, 4, 20, 16))
    keep = torch.rand(shape, generator=torch.Generator().manual_seed(5)) > 0.4
    keep[..., 0] = True
    for mask in (keep, torch.randn(shape, generator=torch.Generator().manual_seed(6))):
        found = ringc.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        assert torch.allclose(found, THEIRS(q, k, v, attn_mask=mask), atol=2e-5)


def test_grouped_heads():
    q, k, v = drawn((2, 6, 9, 16), (2, 2, 9, 16), (2, 2, 9, 16))
    found = ringc.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    assert torch.allclose(found, THEIRS(q, k, v, enable_gqa=True), atol=2e-5)
    with pytest.raises(ringc.InputError, match="key: got 2 heads"):
        ringc.scaled_dot_product_attention(q, k, v)


def test_what_is_refused():
    q, k, v = drawn(*((1, 2, 8, 8),) * 3)
    for options, message in (
        ({"dropout_p": 0.1}, "dropout_p: got 0.1"),
        ({"attn_mask": torch.ones(8, 9)}, "attn_mask: got shape"),
        ({"attn_mask": torch.ones(8, 8, dtype=torch.int32)}, "attn_mask: got torch.int32"),
        ({"attn_mask": torch.ones(8, 8, requires_grad=True)}, "requires_grad"),
        ({"attn_mask": torch.ones(8, 8), "is_causal": True}, "is_causal"),
    ):
        with pytest.raises(ringc.InputError, match=message):
            ringc.scaled_dot_product_attention(q, k, v, **options)


def test_one_graph():
    torch._dynamo.reset()
    compiled = torch.compile(ringc.scaled_dot_product_attention, fullgraph=True, backend="aot_eager")
    q, k, v = drawn(*((1, 2, 8, 8),) * 3)
    keep = torch.rand(8, 8) > 0.3
    assert torch.allclose(compiled(q, k, v, attn_mask=keep), ringc.scaled_dot_product_attention(q, k, v, attn_mask=keep))
