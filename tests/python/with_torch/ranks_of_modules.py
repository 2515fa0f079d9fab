"""What ranks.py checks of the modules."""

import torch
import torch.distributed as dist
from here import DEVICE, close, drawn

import ringc


def gradients_of(module, loss):
    """Of its weights, summed over ranks; and what `loss` gave."""
    module.zero_grad()
    value = loss()
    value.backward()
    for each in module.parameters():
        dist.all_reduce(each.grad)
    return value.detach(), {name: each.grad.clone() for name, each in module.named_parameters()}


def alone(make):
    """The same weights without a ring."""
    torch.manual_seed(3)
    return make().to(DEVICE)


def attention_module():
    rank, world = dist.get_rank(), dist.get_world_size()
    common = {"dim": 24, "dim_head": 8, "heads": 4, "num_grouped_query_heads": 2, "causal": True, "rotary_embed": True}
    single = alone(lambda: ringc.RingAttention(**common))
    batches = [2, 1, 2][:world]
    x = drawn(4, sum(batches), 22, 24)
    weights = drawn(5, *x.shape)
    keep = drawn(6, *x.shape[:2]) > -0.8
    own = slice(sum(batches[:rank]), sum(batches[: rank + 1]))
    for mask in (None, keep):
        expected = single(x, mask)
        single.zero_grad()
        (expected * weights).sum().backward()
        for more in ({"ring_seq_size": 12, "bucket_size": 4}, {"ring_seq_size": 512, "striped_ring_attn": True}):
            ring = alone(lambda: ringc.RingAttention(**common, ring_attn=True, auto_shard_seq=True, **more))
            out = ring(x[own], None if mask is None else mask[own])
            close(out, expected[own])
            _, gradients = gradients_of(ring, lambda: (ring(x[own], None if mask is None else mask[own]) * weights[own]).sum())
            for name, parameter in single.named_parameters():
                close(gradients[name], parameter.grad, 1e-4)
    shard = ringc.shard(x, group=dist.group.WORLD, layout="contiguous")
    ring = alone(lambda: ringc.RingAttention(**common, ring_attn=True))
    close(ring(shard, whole=(len(x), 22)), ringc.shard(single(x), group=dist.group.WORLD, layout="contiguous"))
    try:
        alone(lambda: ringc.RingAttention(**common, ring_attn=True, auto_shard_seq=True))(x[own][:, : 10 + rank])
    except ringc.DisagreementError as error:
        assert "tokens of a sequence: 10 on rank 0, 11 on rank 1" in str(error), str(error)
    else:
        raise AssertionError("no error")


def compiled_module():
    """A shard's module is one graph."""
    module = alone(lambda: ringc.RingAttention(16, dim_head=8, heads=2, causal=True, rotary_embed=True, ring_attn=True))
    x = ringc.shard(drawn(9, 2, 24, 16), group=dist.group.WORLD, layout="contiguous")
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    (compiled(x) * x).sum().backward()
    found = module.to_out.weight.grad.clone()
    module.zero_grad()
    (module(x) * x).sum().backward()
    close(found, module.to_out.weight.grad)


def data_parallel():
    """Beside the ring: torch's DistributedDataParallel averages what ranks have, so that a sum of losses is as many times that."""
    rank, world = dist.get_rank(), dist.get_world_size()
    common = {"dim": 16, "dim_head": 8, "heads": 2, "causal": True}
    single = alone(lambda: ringc.RingAttention(**common))
    x = drawn(10, world, 12, 16)
    (single(x) * x).sum().backward()
    ring = alone(lambda: ringc.RingAttention(**common, ring_attn=True, auto_shard_seq=True))
    wrapped = torch.nn.parallel.DistributedDataParallel(ring)
    own = x[rank : rank + 1]
    (wrapped(own) * own).sum().mul(world).backward()
    for name, parameter in single.named_parameters():
        close(dict(ring.named_parameters())[name].grad, parameter.grad, 1e-4)


def transformer():
    rank, world = dist.get_rank(), dist.get_world_size()
    common = {"num_tokens": 19, "dim": 16, "depth": 2, "dim_head": 8, "heads": 2, "causal": True, "max_lookback_seq_len": (None, 6)}
    single = alone(lambda: ringc.RingTransformer(**common))
    x = torch.randint(0, 19, (2 * world, 23), generator=torch.Generator().manual_seed(7)).to(DEVICE)
    loss = single(x, return_loss=True)
    loss.backward()
    own = slice(2 * rank, 2 * rank + 2)
    for more in ({}, {"striped_ring_attn": True}, {"layout": "zigzag"}):
        ring = alone(lambda: ringc.RingTransformer(**common, ring_attn=True, **more))
        value, gradients = gradients_of(ring, lambda: ring(x[own], return_loss=True))
        close(value, loss)
        for name, parameter in single.named_parameters():
            close(gradients[name], parameter.grad, 1e-4)
        close(ring(x[own]), single(x)[own], 1e-4)
        close(ring(x[own], force_ring_reduce_off=True), single(x)[own], 1e-4)


def rings_in_the_world():
    world, rank = dist.get_world_size(), dist.get_rank()
    common = {"dim": 16, "dim_head": 8, "heads": 2, "causal": True}
    single = alone(lambda: ringc.RingAttention(**common))
    ring = alone(lambda: ringc.RingAttention(**common, ring_attn=True, auto_shard_seq=True))
    x = drawn(8, world, 12, 16)
    close(ring(x[rank : rank + 1], ring_size=1), single(x)[rank : rank + 1])
    try:
        ring(x[rank : rank + 1], ring_size=world + 1)
    except ringc.InputError as error:
        assert "ring_size" in str(error)
    else:
        raise AssertionError("no error")
