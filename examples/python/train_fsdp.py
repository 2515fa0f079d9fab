"""Trains a small transformer on the bytes of a file, on N processes: FSDP over all of them, each sequence dealt to a ring of some.

    torchrun --nproc-per-node 8 train_fsdp.py FILE --ring 4        # 2 rings of 4: a mesh of data x sequence; on GPUs, or CPUs
    python train_fsdp.py FILE                                      # alone
"""

import argparse
import os
from datetime import timedelta

import ringc
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as checkpoint
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--ring", type=int, default=1, help="processes that share a sequence; a divisor of all")
    parser.add_argument("--batch", type=int, default=8, help="sequences of a step, of all processes")
    parser.add_argument("--length", type=int, default=512, help="tokens of a sequence")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--save", help="a folder: written at the end, and gone on from where it exists")
    return parser.parse_args()


def main(asked):
    for name, alone in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"), ("MASTER_ADDR", "localhost"), ("MASTER_PORT", "0")):
        os.environ.setdefault(name, alone)
    device = "cuda" if torch.cuda.device_count() >= int(os.environ.get("LOCAL_WORLD_SIZE", 1)) else "cpu"
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=timedelta(minutes=5))
    world = dist.get_world_size()
    if world % asked.ring or asked.batch % (world // asked.ring):
        raise SystemExit(f"--ring {asked.ring} has to divide the {world} processes, and the rings --batch {asked.batch}")
    mesh = init_device_mesh(device, (world // asked.ring, asked.ring), mesh_dim_names=("data", "sequence"))
    rings, ring = mesh["data"].size(), mesh["sequence"].get_group()

    torch.manual_seed(1)  # the same weights everywhere, before they are sharded
    model = ringc.RingTransformer(
        num_tokens=256, dim=128, depth=2, heads=4, dim_head=32, causal=True, ring_attn=True, auto_shard_seq=False, layout="zigzag", group=ring
    ).to(device)
    for attention, feed_forward in model.layers:
        fully_shard(attention, mesh=mesh)
        register_fsdp_forward_method(attention, "attend")  # what the model calls of a layer
        fully_shard(feed_forward, mesh=mesh)
    fully_shard(model, mesh=mesh)
    optimiser = torch.optim.AdamW(model.parameters(), lr=asked.rate)
    begin = torch.zeros((), dtype=torch.int64)
    if asked.save and os.path.exists(asked.save):
        begin = load(asked.save, model, optimiser)

    text = torch.frombuffer(bytearray(open(asked.file, "rb").read()), dtype=torch.uint8)
    for step in range(int(begin), int(begin) + asked.steps):
        random = torch.Generator().manual_seed(step)  # all draw the same sequences, and each ring takes its own
        places = torch.randint(len(text) - asked.length, (asked.batch,), generator=random).chunk(rings)[mesh["data"].get_local_rank()]
        rows = torch.stack([text[place : place + asked.length + 1] for place in places]).to(device, torch.int64)
        tokens, labels = (ringc.shard(each, group=ring) for each in (rows[:, :-1], rows[:, 1:]))
        loss = model(tokens, labels=labels, whole=(len(rows), asked.length))
        # Each rank's gradient is its share of the ring's, a sum; FSDP takes the mean over all ranks.
        (loss * asked.ring).backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).full_tensor()
        optimiser.step()
        optimiser.zero_grad()
        dist.all_reduce(loss := loss.detach())
        if dist.get_rank() == 0:
            print(f"step {step} loss {loss.item() / world:.6f} norm {norm.item():.6f}", flush=True)
    if asked.save:
        save(asked.save, model, optimiser, begin + asked.steps)
    dist.destroy_process_group()


def save(folder, model, optimiser, step):
    weights, moments = get_state_dict(model, optimiser)
    files = checkpoint.FileSystemWriter(folder, overwrite=True)
    checkpoint.save({"weights": weights, "moments": moments, "step": step}, storage_writer=files)


def load(folder, model, optimiser):
    """Of any number of processes."""
    weights, moments = get_state_dict(model, optimiser)
    state = {"weights": weights, "moments": moments, "step": torch.zeros((), dtype=torch.int64)}
    checkpoint.load(state, checkpoint_id=folder)
    set_state_dict(model, optimiser, model_state_dict=state["weights"], optim_state_dict=state["moments"])
    return state["step"]


if __name__ == "__main__":
    main(arguments())
