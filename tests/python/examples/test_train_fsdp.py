"""examples/python/train_fsdp.py: two rings of two processes beside one process, and a checkpoint of one read by the other."""

import re
from pathlib import Path

import pytest
from torchrun import torchrun

ROOT = Path(__file__).parents[3]


def train(processes, *more):
    """(step, loss, norm of the gradient) of each."""
    common = [ROOT / "README.md", "--batch", "4", "--length", "93"]
    said = torchrun(processes, ROOT / "examples" / "python" / "train_fsdp.py", *common, *more)
    found = re.findall(r"step (\d+) loss ([\d.]+) norm ([\d.]+)", said)
    assert found, said
    return [tuple(map(float, each)) for each in found]


def test_two_rings_of_two_beside_one_process(tmp_path):
    whole = train(1, "--steps", "4")
    assert whole[3][1] < whole[0][1] - 0.3, "it does not learn"
    dealt = train(4, "--steps", "2", "--save", tmp_path / "saved", "--ring", "2")
    dealt += train(1, "--steps", "2", "--save", tmp_path / "saved")
    for found, exact in zip(dealt, whole, strict=True):
        assert found == pytest.approx(exact, rel=2e-4), (dealt, whole)
