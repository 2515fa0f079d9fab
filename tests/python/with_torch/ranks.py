"""What the processes of a group check, one after another; each is a test of test_groups.py.

usage: ranks.py cpu|cuda RANK WORLD STORE CHECK...   over gloo, or over NCCL with a device a rank; prints a JSON line for each check:
                                                     [name, null or what went wrong]
"""

import datetime
import json
import os
import sys
import time
import traceback

import naive
import numpy
import ranks_of_modules
import torch
import torch.distributed as dist
from here import DEVICE, close, drawn, here

import ringc


def mine(problem, layout="zigzag", group=None):
    """This rank's shards, with gradients."""
    group = group or dist.group.WORLD
    shards = [ringc.shard(here(each), group=group, layout=layout) for each in problem]
    return [each.requires_grad_() if place < 3 else each for place, each in enumerate(shards)]


def compare(problem, formula, layout="zigzag", function=ringc.attention, group=None, **options):
    group = group or dist.group.WORLD
    q, k, v, dout = mine(problem, layout, group)
    out = function(q, k, v, group=group, layout=layout, **options)
    out.backward(dout)
    exact = naive.attention(*problem, **formula)
    for found, expected in zip((out, q.grad, k.grad, v.grad), (exact[0], *exact[2:])):
        close(found, ringc.shard(expected, group=group, layout=layout))


def layouts():
    for layout in ("zigzag", "striped", "striped:4", "contiguous"):
        compare(naive.problem(1, n_q=48, n_k=48), {"keep": naive.visible(48, 48, True)}, layout, causal=True)


def lengths_that_do_not_divide():
    compare(naive.problem(2, n_q=37, n_k=37), {"keep": naive.visible(37, 37, True, (9, 0))}, causal=True, window=(9, 0), length=37)
    compare(naive.problem(2, n_q=5, n_k=37), {}, length=(5, 37))


def masks():
    n = 48
    problem, random = naive.problem(3, n_q=n, n_k=n), numpy.random.default_rng(1)
    keep = random.random((2, n)) > 0.3
    shard = ringc.shard(here(keep), group=dist.group.WORLD)
    compare(problem, {"keep": keep[:, None, None]}, key_mask=shard)
    compare(problem, {"keep": naive.visible(n, n, document_lengths=[20, 28])}, document_lengths=[20, 28])
    bias = random.standard_normal((1, 4, n, n)).astype("f4")
    rows = ringc.shard(here(bias), group=dist.group.WORLD, axis=2)
    compare(problem, {"score": lambda s, b, h, i, j: (s + bias, 1.0)}, bias=rows)
    reach = torch.tensor([5, 9, 30, 40], dtype=torch.int32, device=DEVICE)
    compare(problem, {"keep": naive.dilated(3, reach.cpu().numpy(), n)}, mask=naive.DILATED, arguments={"step": 3, "reach": reach})


def half_precision():
    problem = naive.problem(4, n_q=48, n_k=48)
    q, k, v, dout = (each.detach().bfloat16().requires_grad_() for each in mine(problem))
    out = ringc.attention(q, k, v, group=dist.group.WORLD, causal=True)
    out.backward(dout)
    exact = naive.attention(*problem, keep=naive.visible(48, 48, True))
    close(out.float(), ringc.shard(exact[0], group=dist.group.WORLD), 2e-2)
    close(k.grad.float(), ringc.shard(exact[3], group=dist.group.WORLD), 2e-2)


def compiled():
    function = torch.compile(ringc.attention, fullgraph=True, backend="aot_eager")
    compare(naive.problem(5, n_q=48, n_k=48), {"keep": naive.visible(48, 48, True)}, function=function, causal=True)


def numpy_arrays():
    problem = naive.problem(6, n_q=48, n_k=48)
    shards = [numpy.ascontiguousarray(ringc.shard(each, group=dist.group.WORLD)) for each in problem]
    out = ringc.attention(*shards[:3], group=dist.group.WORLD)
    close(out, ringc.shard(naive.attention(*problem)[0], group=dist.group.WORLD))


def a_part_of_the_world():
    ranks = [0, dist.get_world_size() - 1]
    group = dist.new_group(ranks)
    if dist.get_rank() in ranks:
        compare(naive.problem(7, n_q=48, n_k=48), {}, group=group)
    dist.barrier()


def disagreement_is_said_on_all():
    world, rank = dist.group.WORLD, dist.get_rank()
    q, k, v, _ = mine(naive.problem(8, n_q=48, n_k=48))
    ones = torch.ones(4, dtype=torch.int32, device=DEVICE)
    near = f"mask near(b: index, h: index, i: index, j: index) {{ return j < {rank} }}"
    calls = {
        "softcap": lambda: ringc.attention(q, k, v, group=world, softcap=1.0 + rank),
        "step": lambda: ringc.attention(q, k, v, group=world, mask=naive.DILATED, arguments={"step": 1 + rank, "reach": ones}),
        "text": lambda: ringc.attention(q, k, v, group=world, mask=near),
    }
    for name, call in calls.items():
        try:
            call()
        except ringc.DisagreementError as error:
            assert "rank" in str(error), str(error)
        else:
            raise AssertionError(f"{name}: no error")
    layouts()  # the group goes on


def wrong_input_on_one_rank():
    """Fails on all, long before the deadline; another group goes on."""
    hour, rank = datetime.timedelta(hours=1), dist.get_rank()
    group = dist.new_group(list(range(dist.get_world_size())), timeout=hour)
    q, k, v, _ = mine(naive.problem(9, n_q=48, n_k=48))
    ringc.attention(q, k, v, group=group)
    try:
        ringc.attention(q, k, v[:, :3] if rank == 0 else v, group=group)
    except ringc.InputError as error:
        assert rank == 0 and "v: got" in str(error), str(error)
    except ringc.PeerError as error:
        assert rank != 0 and "v: got" in str(error), str(error)
    else:
        raise AssertionError("no error")
    layouts()


def a_destroyed_group():
    group = dist.new_group(list(range(dist.get_world_size())))
    q, k, v, _ = mine(naive.problem(9, n_q=48, n_k=48))
    ringc.attention(q, k, v, group=group)
    dist.barrier()
    dist.destroy_process_group(group)
    try:
        ringc.attention(q, k, v, group=group)
    except (ringc.ClosedError, ringc.InputError) as error:
        assert "group" in str(error)
    else:
        raise AssertionError("no error")


def whole_again():
    x = drawn(1, 2, 11, 3)
    own = ringc.shard(x, group=dist.group.WORLD).requires_grad_()
    whole = ringc.unshard(own, group=dist.group.WORLD, length=11)
    assert torch.equal(whole, x)
    (whole * x).sum().backward()
    close(own.grad, dist.get_world_size() * ringc.shard(x, group=dist.group.WORLD))


def decoding():
    q, k, v, _ = naive.problem(10, b=1, n_q=1, n_k=45)
    exact = naive.attention(q, k, v)[0]
    cache = ringc.KvCache(pages=8, page_size=4, kv_heads=2, head_dim=16, device=DEVICE, group=dist.group.WORLD)
    cache.append(0, here(k[0]), here(v[0]))
    close(cache.decode(here(q)), exact)
    out = ringc.tree_attn_decode(*(here(each).transpose(1, 2) for each in (q, k, v)), group=dist.group.WORLD)
    close(out.transpose(1, 2), exact)


def a_peer_that_is_gone():
    """The last one: rank 1 does not come to the first call on a group, and leaves within another group's."""
    everyone = list(range(dist.get_world_size()))
    known, unknown = (dist.new_group(everyone, timeout=datetime.timedelta(seconds=each)) for each in (60, 3))
    q, k, v, _ = mine(naive.problem(11, n_q=48, n_k=48))
    ringc.attention(q, k, v, group=known)
    if dist.get_rank() == 1:
        time.sleep(5)
        return
    for group in (unknown, known):
        try:
            ringc.attention(q, k, v, group=group)
        except ringc.PeerError as error:
            assert "rank 0" in str(error), str(error)
        else:
            raise AssertionError("no error")


def main():
    for name in sys.argv[5:]:
        try:
            (globals().get(name) or getattr(ranks_of_modules, name))()
            said = None
        except BaseException:
            said = traceback.format_exc()
        print(json.dumps([name, said]), flush=True)
        if said:
            break
    if "a_peer_that_is_gone" in sys.argv:
        os._exit(0)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
