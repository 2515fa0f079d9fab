"""The compiler, options and tuning."""

import pytest

import ringc


def test_ptx_and_stages():
    kernel = ringc.compile({"head_dim": 64, "dtype": "bf16", "mask": ["causal"]}, target="sm_90")
    assert ".visible .entry" in kernel.ptx
    assert list(kernel.stages)[:3] == ["spec", "ast", "tile"]
    assert "tile.masked_for" in kernel.stages["tile"]


def test_an_object_of_the_host(tmp_path):
    spec = tmp_path / "spec.json"
    spec.write_text('{"kernel": "attention_forward", "head_dim": 32}')
    kernel = ringc.compile(spec)
    assert kernel.object.startswith(b"\x7fELF")
    assert "vector" in kernel.stages
    with pytest.raises(ringc.InputError, match="sm_90"):
        _ = kernel.ptx


def test_what_is_wrong_has_its_place():
    text = "mask odd(b: index, h: index, i: index, j: index) {\n  return (i - k) % 2 == 1\n}\n"
    with pytest.raises(ringc.CompileError, match=r"own.tile:2:15: ") as caught:
        ringc.compile({"mask": ["own.tile:odd"]}, sources={"own.tile": text})
    assert "^" in str(caught.value)
    with pytest.raises(ringc.InputError, match="head_dim"):
        ringc.compile({"head_dim": 1000})


def test_options_are_the_library_s():
    names = {each["name"] for each in ringc.options()}
    assert {"causal", "window", "schedule", "softcap"} <= names
    assert {"head_dim", "dtype"} <= {each["name"] for each in ringc.options("spec")}


def test_tune():
    heard = []
    found = ringc.tune(
        query_length=64, heads=1, head_dim=16, seconds=1.0, table="", passes=["forward"],
        progress=lambda state: heard.append(state) or len(heard) < 3,
    )  # fmt: skip
    assert found and heard and "best_ratio" in heard[0]
