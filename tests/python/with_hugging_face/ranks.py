"""What the processes of a group check of models whose sequences are dealt to them; started by test_groups.py."""

import models
import pytest
import ringc
import ringc.hugging_face as hugging_face
import torch
import torch.distributed as dist
from transformers import DynamicCache


def sum_over_ranks(found):
    loss, gradients = found
    for each in (loss, *gradients.values()):
        dist.all_reduce(each)
    return loss, gradients


def compare(name, whole, *, layout="zigzag", position_ids=None, document_lengths=None):
    """The unsharded eager model beside the sum of the ranks' shares."""
    model, group = models.make(name), dist.group.WORLD
    exact = models.step(model, "eager", **whole, position_ids=position_ids, use_cache=False)
    ring = hugging_face.register(f"ringc_{layout.replace(':', '_')}", group=group, layout=layout)
    own = hugging_face.shard(whole, group=group, layout=layout, document_lengths=document_lengths)
    assert own["input_ids"].shape[1] <= whole["input_ids"].shape[1] // dist.get_world_size() + 4
    models.compare(sum_over_ranks(models.step(model, ring, **own)), exact)


def a_step_of_training():
    ids = models.ids()
    for name in ("llama", "mistral", "gemma2"):
        compare(name, {"input_ids": ids, "labels": ids})
    compare("mistral", {"input_ids": ids, "labels": ids}, layout="striped")


def lengths_that_do_not_divide():
    ids = models.ids(length=27)
    compare("mistral", {"input_ids": ids, "labels": ids})


def padding():
    ids = models.ids()
    keep = torch.ones_like(ids)
    keep[0, -5:] = keep[1, -9:] = 0
    compare("mistral", {"input_ids": ids, "attention_mask": keep, "labels": ids.masked_fill(keep == 0, -100)})


def packed_documents():
    ids, lengths = models.ids(batch=1), [9, 15]
    positions = torch.cat([torch.arange(length) for length in lengths])[None]
    compare("mistral", {"input_ids": ids, "labels": ids}, position_ids=positions, document_lengths=lengths)


def one_graph():
    ids, group = models.ids(), dist.group.WORLD
    model = models.make("mistral")
    exact = models.step(model, "eager", input_ids=ids, labels=ids)[0]
    model.set_attn_implementation(hugging_face.register("ringc_ring", group=group))
    own = hugging_face.shard({"input_ids": ids, "labels": ids}, group=group)
    loss = torch.compile(model, fullgraph=True, backend="aot_eager")(**own, use_cache=False).loss.detach()
    dist.all_reduce(loss)
    assert abs(loss - exact) < 1e-4


def what_is_refused():
    ids, group = models.ids(), dist.group.WORLD
    model = models.make("llama").eval()
    model.set_attn_implementation(hugging_face.register("ringc_ring", group=group))
    own = hugging_face.shard({"input_ids": ids}, group=group)
    with pytest.raises(ringc.InputError, match="position_ids: got others than this rank's"):
        model(**{**own, "position_ids": own["position_ids"] + 1})
    cache = DynamicCache(config=model.config)
    model(**own, cache=cache, use_cache=True)
    with pytest.raises(ringc.InputError, match="use_cache: got a cache over a group"):
        model(input_ids=ids[:, :1], cache=cache)
    with pytest.raises(ringc.InputError, match="attention_mask: got a mask"):
        model(**own, attention_mask=torch.ones(2, 1, *own["input_ids"].shape[1:] * 2, dtype=torch.bool))
    with pytest.raises(ringc.InputError, match="position_ids"):
        hugging_face.shard({"input_ids": ids, "position_ids": ids}, group=group)
    with pytest.raises(ringc.InputError, match="labels"):
        hugging_face.shard({"input_ids": ids, "labels": ids[:, 1:]}, group=group)
    with pytest.raises(ringc.InputError, match="document_lengths: got a sum of 12, allowed: 24"):
        hugging_face.shard({"input_ids": ids}, group=group, document_lengths=[5, 7])
    compare("llama", {"input_ids": ids, "labels": ids})  # the group goes on


if __name__ == "__main__":
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    for check in (a_step_of_training, lengths_that_do_not_divide, padding, packed_documents, one_graph, what_is_refused):
        check()
        if dist.get_rank() == 0:
            print("done:", check.__name__, flush=True)
    dist.destroy_process_group()
