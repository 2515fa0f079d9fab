"""The rank that this process is: `ranks.py cpu|cuda RANK WORLD STORE ...`; its device, and tensors there."""

import datetime
import sys

import naive
import numpy
import torch
import torch.distributed as dist

KIND, RANK, WORLD, STORE = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
DEVICE = torch.device("cuda", RANK) if KIND == "cuda" else torch.device("cpu")

torch.set_num_threads(1)
if KIND == "cuda":
    torch.cuda.set_device(DEVICE)
dist.init_process_group(
    "nccl" if KIND == "cuda" else "gloo", init_method=f"file://{STORE}", rank=RANK, world_size=WORLD,
    timeout=datetime.timedelta(minutes=3),
)  # fmt: skip


def here(array):
    return torch.from_numpy(numpy.ascontiguousarray(array)).to(DEVICE)


def drawn(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def close(found, exact, bar=2e-5):
    found, exact = (each.detach().cpu().numpy() if isinstance(each, torch.Tensor) else each for each in (found, exact))
    error = naive.error(found, exact)
    assert error < bar, f"an error of {error}"
