"""Groups of gloo processes: two and three, each doing the checks of ranks.py in turn."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("ranks.py")
CHECKS = {
    2: ["layouts", "lengths_that_do_not_divide", "masks", "half_precision", "compiled", "numpy_arrays", "disagreement_is_said_on_all",
        "wrong_input_on_one_rank", "a_destroyed_group", "whole_again", "decoding", "attention_module", "transformer", "rings_in_the_world"],
    3: ["layouts", "lengths_that_do_not_divide", "a_part_of_the_world", "disagreement_is_said_on_all", "wrong_input_on_one_rank", "whole_again", "decoding",
        "attention_module"],
}  # fmt: skip


def run(folder, world, checks):
    """What each rank says, by check; a rank that says nothing of one did not come to it."""
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(rank), str(world), str(folder / f"store-{world}-{checks[0]}"), *checks],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(world)
    ]  # fmt: skip
    said = []
    for each in processes:
        try:
            out, errors = each.communicate(timeout=100)
        except subprocess.TimeoutExpired:
            each.kill()
            out, errors = each.communicate()
            errors += "\nit hung"
        found = dict(json.loads(line) for line in out.splitlines() if line.startswith("["))
        said.append({name: found.get(name, f"not reached\n{errors[-3000:]}") for name in checks})
    return said


@pytest.fixture(scope="session")
def said(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups")
    known = {}

    def of(world):
        if world not in known:
            known[world] = run(folder, world, CHECKS[world])
        return known[world]

    return of


@pytest.mark.parametrize("world,check", [(world, check) for world, checks in CHECKS.items() for check in checks])
def test_on_each_rank(said, world, check):
    for rank, of_rank in enumerate(said(world)):
        assert of_rank[check] is None, f"rank {rank}: {of_rank[check]}"


def test_a_peer_that_is_gone(tmp_path):
    for of_rank in run(tmp_path, 2, ["a_peer_that_is_gone"]):
        assert of_rank["a_peer_that_is_gone"] is None, of_rank
