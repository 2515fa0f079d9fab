"""RingAttention and RingTransformer of one process: their formulas, checkpoints and options."""

import json
import struct
from pathlib import Path

import numpy
import pytest
import torch
from torch import nn

import ringc

DATA = Path(__file__).parents[2] / "transformer" / "data"


def safetensors(path):
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    kinds = {"F32": numpy.float32, "F16": numpy.float16, "I32": numpy.int32}
    found = {}
    for name, what in json.loads(data[8 : 8 + size]).items():
        begin, end = what["data_offsets"]
        array = numpy.frombuffer(data[8 + size + begin : 8 + size + end], kinds[what["dtype"]])
        found[name] = torch.from_numpy(array.reshape(what["shape"]).copy())
    return found


def of_checkpoint(**more):
    """tests/transformer/data/make.py's."""
    return ringc.RingTransformer(
        num_tokens=11, dim=12, depth=2, heads=4, num_grouped_query_heads=2, dim_head=6, ff_mult=2, causal=True, **more
    )


def test_a_checkpoint_that_numpy_wrote():
    weights, expected = safetensors(DATA / "checkpoint.safetensors"), safetensors(DATA / "logits.safetensors")
    model = of_checkpoint()
    model.load_state_dict(weights)
    assert torch.allclose(model(expected["tokens"]), expected["logits"], atol=1e-5)
    assert set(model.state_dict()) == set(weights)
    for name, shape in ((name, tuple(each.shape)) for name, each in weights.items()):
        assert tuple(model.state_dict()[name].shape) == shape


def test_a_checkpoint_that_turns_otherwise():
    weights = safetensors(DATA / "checkpoint.safetensors")
    with pytest.raises(RuntimeError, match=r"rotary_emb.inv_freq\[1\]: got 0.046"):
        of_checkpoint(rotary_embed_theta=500000).load_state_dict(weights)


class Plain(nn.Module):
    """The same module as torch alone has it."""

    def __init__(self, of):
        super().__init__()
        self.of = of

    def forward(self, x, mask, positions=None, left=None):
        of, (b, n, _) = self.of, x.shape
        qkv = of.to_qkv[1](x / x.norm(dim=-1, keepdim=True).clamp(min=1e-12) * x.shape[-1] ** 0.5 * of.to_qkv[0].gamma)
        q, k, v = qkv.view(b, n, -1, of.dim_head).transpose(1, 2).split([of.heads, of.kv_heads, of.kv_heads], 1)
        if of.rotary_embed is not None:
            angles = (torch.arange(n) if positions is None else positions)[:, None] * of.rotary_embed.inv_freq

            def turned(t):
                first, second = t.chunk(2, -1)
                return torch.cat([first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()], -1)

            q, k = turned(q), turned(k)
        k, v = (each.repeat(1, of.heads // of.kv_heads, 1, 1) for each in (k, v))
        i, j = torch.arange(n)[:, None], torch.arange(n)
        keep = (j <= i) | (not of.causal)
        if left is not None:
            keep = keep & (j >= i - left)
        keep = keep & mask[:, None, None]
        s = (q @ k.transpose(-1, -2) / of.dim_head**0.5).masked_fill(~keep, -1e30)
        return of.to_out((s.softmax(-1) @ v).transpose(1, 2).reshape(b, n, -1))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"causal": True, "rotary_embed": True, "num_grouped_query_heads": 2},
        {"causal": True, "max_lookback_seq_len": 5},
    ],
)
def test_attention_is_torch_s(options):
    torch.manual_seed(1)
    module = ringc.RingAttention(20, dim_head=8, heads=4, **options).double().float()
    x, mask = torch.randn(2, 13, 20, requires_grad=True), torch.rand(2, 13) > 0.2
    mask[:, 0] = True
    out, plain = module(x, mask), Plain(module)(x, mask, left=options.get("max_lookback_seq_len"))
    rows = mask[:, :, None] if "max_lookback_seq_len" in options else torch.ones(2, 13, 1)  # one of them may see nothing
    assert torch.allclose(out * rows, plain * rows, atol=1e-5)
    weights = torch.randn_like(out) * rows
    mine = torch.autograd.grad((out * weights).sum(), [x, *module.parameters()])
    theirs = torch.autograd.grad((plain * weights).sum(), [x, *module.parameters()])
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(mine, theirs))


def test_positions_and_documents():
    torch.manual_seed(2)
    module = ringc.RingAttention(20, dim_head=8, heads=4, causal=True, rotary_embed=True)
    x = torch.randn(1, 12, 20)
    packed = module(x, document_lengths=[5, 7])
    assert torch.allclose(packed[:, :5], module(x[:, :5]), atol=1e-5)
    assert torch.allclose(packed[:, 5:], module(x[:, 5:]), atol=1e-5)
    places = torch.arange(12) * 3
    assert torch.allclose(module(x, rotary_emb=places), Plain(module)(x, torch.ones(1, 12, dtype=torch.bool), places), atol=1e-5)


def test_names_of_weights():
    module = ringc.RingAttention(20, dim_head=8, heads=4, rotary_embed=True)
    assert list(module.state_dict()) == ["rotary_embed.inv_freq", "to_qkv.0.gamma", "to_qkv.1.weight", "to_out.weight"]
    assert list(ringc.RingAttention(20, prenorm=False).state_dict()) == ["to_qkv.1.weight", "to_out.weight"]


def test_a_transformer_learns_compiled():
    torch.manual_seed(3)
    model = ringc.RingTransformer(num_tokens=8, dim=32, depth=1, dim_head=16, heads=2, causal=True)
    step = torch.compile(model, fullgraph=True, backend="aot_eager")
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    tokens = torch.arange(40).remainder(8).repeat(2, 1)
    losses = []
    for _ in range(15):
        loss = step(tokens, return_loss=True)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_labels_that_do_not_count():
    model = of_checkpoint()
    tokens = torch.randint(0, 11, (2, 9))
    labels = tokens.clone()
    labels[:, ::2] = -1
    logits = model(tokens)
    expected = nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-1)
    assert torch.allclose(model(tokens, labels=labels), expected)
    none = model(tokens, labels=torch.full_like(tokens, -1))
    none.backward()
    assert none == 0 and not model.token_emb.weight.grad.any()


@pytest.mark.parametrize(
    "options,message",
    [
        ({"dim": 0}, "dim: got 0, allowed: 1 to 1048576"),
        ({"dim_head": 300}, "dim_head: got 300, allowed: 1 to 256"),
        ({"num_grouped_query_heads": 3}, "num_grouped_query_heads: got 3, allowed: a divisor of heads, 8"),
        ({"bucket_size": 500}, "bucket_size: got 500, allowed: a divisor of ring_seq_size, 512"),
        ({"max_lookback_seq_len": 4}, "max_lookback_seq_len: got 4 without causal, allowed: it needs causal"),
        ({"striped_ring_attn": True}, "striped_ring_attn: got true without ring_attn, allowed: it needs ring_attn"),
        ({"auto_shard_seq": True}, "auto_shard_seq: got true without ring_attn, allowed: it needs ring_attn"),
        ({"layout": "zigzag"}, "layout: got zigzag without ring_attn, allowed: it needs ring_attn"),
        ({"dim_head": 5, "rotary_embed": True}, "dim_head: got 5, allowed: an even number with rotary_embed"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ringc.InputError) as caught:
        ringc.RingAttention(**{"dim": 20, **options})
    assert str(caught.value) == message


def test_a_transformer_s_options():
    common = {"num_tokens": 8, "dim": 12, "causal": True}
    for options, message in (
        ({"depth": 0}, "depth: got 0"),
        ({"depth": 2, "max_lookback_seq_len": (1, 2, 3)}, "max_lookback_seq_len: got 3 numbers"),
        ({"depth": 1, "auto_shard_seq": True}, "auto_shard_seq: got true without ring_attn"),
        ({"depth": 1, "dim_head": 5}, "dim_head: got 5"),
    ):
        with pytest.raises(ringc.InputError, match=message):
            ringc.RingTransformer(**common, **options)
