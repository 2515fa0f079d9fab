"""attn_implementation="ringc" beside "eager": losses, gradients, generation, and what is refused."""

import models
import pytest
import ringc
import ringc.hugging_face as hugging_face
import torch

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA here"))]


def inputs(kind):
    ids = models.ids()
    if kind == "padded":
        keep = torch.ones_like(ids)
        keep[0, :5] = keep[1, -3:] = 0
        labels = ids.masked_fill(keep == 0, -100)
        labels[0, 5] = -100  # what a token of padding says is nothing that is compared
        return {"input_ids": ids, "attention_mask": keep, "labels": labels}
    if kind == "packed":
        positions = torch.cat([torch.arange(9), torch.arange(15)])[None].expand(2, -1)
        return {"input_ids": ids, "position_ids": positions, "labels": ids, "use_cache": False}
    if kind == "a mask of pairs":
        keep = torch.rand(2, 1, 24, 24, generator=torch.Generator().manual_seed(3)) > 0.3
        return {"input_ids": ids, "attention_mask": keep | torch.eye(24, dtype=torch.bool), "labels": ids}
    return {"input_ids": ids, "labels": ids}


CASES = [
    ("llama", "plain"), ("llama", "padded"), ("llama", "packed"), ("mistral", "plain"), ("mistral", "padded"), ("mistral", "packed"),
    ("gemma2", "padded"),
    ("llama4", "padded"),  # chunks
    ("modernbert", "padded"),  # a window both ways
    ("bart", "padded"),  # keys of another sequence
]  # fmt: skip


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name,kind", CASES)
def test_a_step_of_training(name, kind, device):
    model = models.make(name).to(device)
    given = {key: each.to(device) if isinstance(each, torch.Tensor) else each for key, each in inputs(kind).items()}
    models.compare(models.step(model, "ringc", **given), models.step(model, "eager", **given))


def test_no_mask_of_pairs_is_made(monkeypatch):
    """Of [n, n] elements, where it can be said in n; in one graph, too."""
    monkeypatch.setattr("ringc._hugging_face_masks.sdpa_mask", lambda **_: pytest.fail("a mask of pairs"))
    for name, kind in (("llama", "padded"), ("mistral", "packed"), ("gemma2", "plain"), ("modernbert", "padded")):
        models.step(models.make(name), "ringc", **inputs(kind))
    torch._dynamo.reset()
    model = models.make("mistral", attn_implementation="ringc")
    torch.compile(model, fullgraph=True, backend="aot_eager")(**inputs("padded"), use_cache=False)
    with pytest.raises(pytest.fail.Exception, match="a mask of pairs"):
        models.step(models.make("llama4"), "ringc", **inputs("plain"))


def test_a_mask_of_pairs():
    model, given = models.make("llama"), inputs("a mask of pairs")
    found = models.step(model, "ringc", **given)
    given["attention_mask"] = torch.where(given["attention_mask"], 0.0, torch.finfo(torch.float32).min)
    exact = models.step(model, "eager", **given)
    models.compare(found, exact)
    models.compare(models.step(model, "ringc", **given), exact)


def test_tokens_that_see_both_ways():
    model, given = models.make("llama"), inputs("plain")
    causal = models.step(model, "eager", **given)[0]
    model.config.is_causal = False
    exact = models.step(model, "eager", **given)
    assert abs(exact[0] - causal) > 1e-3
    models.compare(models.step(model, "ringc", **given), exact)


@pytest.mark.parametrize(
    "name,how",
    [("llama", "plain"), ("llama", "static"), ("gemma2", "padded"), *(("mistral", how) for how in ("plain", "padded", "static", "beams"))],
)
def test_generation(name, how, monkeypatch):
    model, ids = models.make(name).eval(), models.ids(length=12)
    keep = torch.ones_like(ids)
    keep[0, :3] = 0
    options = {"padded": {"attention_mask": keep}, "static": {"cache_implementation": "static"}, "beams": {"num_beams": 2}}.get(how, {})
    steps = []
    monkeypatch.setattr(hugging_face, "decode", lambda *given, **more: steps.append(1) or ringc.decode(*given, **more))
    said = []
    for implementation in ("ringc", "eager"):
        model.set_attn_implementation(implementation)
        said.append(model.generate(ids, max_new_tokens=10, do_sample=False, pad_token_id=0, **options))
    assert torch.equal(*said)
    assert bool(steps) == (how != "static" or name != "llama"), "ringc.decode was not used, or where it is not right"


def test_one_graph_and_checkpointing():
    model, given = models.make("mistral"), {**inputs("padded"), "use_cache": False}
    exact = models.step(model, "eager", **given)
    torch._dynamo.reset()
    model.set_attn_implementation("ringc")
    loss = torch.compile(model, fullgraph=True, backend="aot_eager")(**given).loss
    assert abs(loss - exact[0]) < 1e-4
    model.train()
    model.activation_checkpointing_enable()
    models.compare(models.step(model, "ringc", **given), exact)


def test_what_is_refused():
    ids = models.ids()
    with pytest.raises(ringc.InputError, match="dropout: got 0.1, allowed: 0"):
        models.step(models.make("llama", attention_dropout=0.1).train(), "ringc", input_ids=ids, labels=ids)
    models.step(models.make("llama", attention_dropout=0.1).eval(), "ringc", input_ids=ids, labels=ids)
    layer, q = models.make("llama").model.layers[0].self_attn, torch.zeros(1, 4, 5, 8)
    attention = hugging_face.AttentionInterface()["ringc"]
    for name, value in (("s_aux", torch.zeros(4)), ("position_bias", torch.zeros(1, 4, 5, 5)), ("output_attentions", True)):
        with pytest.raises(ringc.InputError, match=name):
            attention(layer, q, q, q, None, **{name: value})
    with pytest.raises(ringc.InputError, match="s_aux"):
        models.step(models.make("gpt_oss"), "ringc", input_ids=ids, labels=ids)
    with pytest.raises(ringc.InputError, match="group: got int"):
        hugging_face.register("ringc_wrong", group=3)


def test_a_layer_without_a_mask():
    q, k, v = (torch.randn(2, 4, 9, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(3))
    attention = hugging_face.AttentionInterface()["ringc"]
    seen = torch.ones(9, 9, dtype=torch.bool)
    for causal, window, keep in (
        (True, None, seen.tril()), (False, None, seen), (True, 3, seen.tril().triu(-2)), (False, 3, seen.tril(2).triu(-2)),
    ):  # fmt: skip
        out, weights = attention(torch.nn.Module(), q, k, v, None, is_causal=causal, sliding_window=window, scaling=0.3)
        exact = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=keep, scale=0.3)
        assert weights is None and torch.allclose(out, exact.transpose(1, 2), atol=1e-5)
