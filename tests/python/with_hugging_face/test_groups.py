"""Models over a group: two gloo processes that do the checks of ranks.py in turn."""

from pathlib import Path

from torchrun import torchrun


def test_two_processes():
    assert "done: what_is_refused" in torchrun(2, Path(__file__).with_name("ranks.py"))
