"""Groups of processes, each doing the checks of ranks.py in turn: two and three over gloo, two over NCCL where there are devices."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("ranks.py")
CHECKS = {
    ("cpu", 2): [
        "layouts", "lengths_that_do_not_divide", "masks", "half_precision", "compiled", "numpy_arrays", "disagreement_is_said_on_all",
        "wrong_input_on_one_rank", "a_destroyed_group", "whole_again", "decoding", "attention_module", "compiled_module",
        "data_parallel", "transformer", "rings_in_the_world", "a_peer_that_is_gone",
    ],
    ("cpu", 3): [
        "layouts", "lengths_that_do_not_divide", "a_part_of_the_world", "disagreement_is_said_on_all", "wrong_input_on_one_rank",
        "whole_again", "decoding", "attention_module",
    ],
    ("cuda", 2): [
        "layouts", "lengths_that_do_not_divide", "masks", "half_precision", "compiled", "disagreement_is_said_on_all", "whole_again",
        "decoding", "attention_module", "compiled_module", "data_parallel", "transformer", "rings_in_the_world", "a_destroyed_group",
    ],
}  # fmt: skip


def run(folder, device, world, checks):
    """What each rank says, by check; a rank that says nothing of one did not come to it."""
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), device, str(rank), str(world), str(folder / "store"), *checks],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(world)
    ]  # fmt: skip
    said = []
    for each in processes:
        try:
            out, errors = each.communicate(timeout=400)
        except subprocess.TimeoutExpired:
            each.kill()
            out, errors = each.communicate()
            errors += "\nit hung"
        found = dict(json.loads(line) for line in out.splitlines() if line.startswith("["))
        said.append({name: found.get(name, f"not reached\n{errors[-3000:]}") for name in checks})
        if each.returncode:
            said[-1][checks[-1]] = f"exit code {each.returncode}\n{errors[-3000:]}"
    return said


@pytest.fixture(scope="session")
def said(tmp_path_factory):
    known = {}

    def of(device, world):
        if (device, world) not in known:
            known[device, world] = run(tmp_path_factory.mktemp("groups"), device, world, CHECKS[device, world])
        return known[device, world]

    return of


@pytest.mark.parametrize("device,world,check", [(*ranks, check) for ranks, checks in CHECKS.items() for check in checks])
def test_on_each_rank(said, device, world, check):
    if device == "cuda" and torch.cuda.device_count() < world:
        pytest.skip(f"there are {torch.cuda.device_count()} devices of CUDA here, for a ring of {world}")
    for rank, of_rank in enumerate(said(device, world)):
        assert of_rank[check] is None, f"rank {rank}: {of_rank[check]}"
