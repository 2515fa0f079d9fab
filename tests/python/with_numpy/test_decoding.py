"""Decoding, its cache, and tree attention, of one rank and of threads."""

import threading

import naive
import numpy
import pytest

import ringc


def on_ranks(world, work):
    """work(group) of each, as threads; what each gives."""
    results = [None] * world

    def run(rank, group):
        try:
            results[rank] = work(group)
        except BaseException as error:
            results[rank] = error

    running = [threading.Thread(target=run, args=each) for each in enumerate(ringc.groups.threads(world, deadline=60))]
    for each in running:
        each.start()
    for each in running:
        each.join()
    return results


def last_queries(q, k, v, lengths):
    """What each entry's last queries get, with the later ones hidden."""
    n_q = q.shape[1]
    rows = [
        naive.attention(q[e : e + 1], k[e : e + 1, :n], v[e : e + 1, :n], keep=naive.visible(n_q, n, True))[0]
        for e, n in enumerate(lengths)
    ]
    return numpy.concatenate(rows)


def test_decode():
    q, k, v, _ = naive.problem(1, n_q=3, n_k=150)
    lengths = numpy.array([150, 70], "i4")
    out, lse = ringc.decode(q, k, v, lengths=lengths, return_lse=True)
    assert naive.error(out, last_queries(q, k, v, lengths)) < 2e-5
    assert lse.shape == (2, 4, 3)


def test_a_cache_grows():
    q, k, v, _ = naive.problem(2, n_q=1, n_k=40)
    cache = ringc.KvCache(pages=12, page_size=8, kv_heads=2, head_dim=16, entries=2, pages_of_entry=6)
    cache.append(0, k[0, :24], v[0, :24])
    cache.share(0, 1, 16)
    cache.append(1, k[1, 16:40], v[1, 16:40])
    cache.append(0, k[0, 24:25], v[0, 24:25])
    assert (cache.length(0), cache.length(1), cache.free_pages) == (25, 40, 12 - 4 - 3)
    k[1, :16], v[1, :16] = k[0, :16], v[0, :16]
    assert naive.error(cache.decode(q), last_queries(q, k, v, [25, 40])) < 2e-5
    with pytest.raises(ringc.InputError):
        cache.append(0, k[0, :30], v[0, :30])
    cache.free(0)
    assert cache.length(0) == 0


def test_pages_on_several_ranks():
    q, k, v, _ = naive.problem(3, b=1, n_q=1, n_k=45)
    exact = last_queries(q, k, v, [45])

    def work(group):
        cache = ringc.KvCache(pages=4, page_size=8, kv_heads=2, head_dim=16, group=group)
        cache.append(0, k[0], v[0])
        return cache.decode(q)

    for out in on_ranks(2, work):
        assert naive.error(out, exact) < 2e-5


@pytest.mark.parametrize("whole", [True, False])
def test_tree_attention(whole):
    q, k, v, _ = naive.problem(4, n_q=1, n_k=33)
    exact = naive.attention(q, k, v)[0].swapaxes(1, 2)
    q, k, v = (each.swapaxes(1, 2) for each in (q, k, v))

    def work(group):
        part = slice(None) if whole else slice(11 * group.rank, 11 * group.rank + 11)
        return ringc.tree_attn_decode(q, k[:, :, part], v[:, :, part], group=group, shard_kv_seq=whole)

    for out in on_ranks(3, work):
        assert naive.error(out, exact) < 2e-5


@pytest.mark.parametrize("layout", ["zigzag", "striped", "contiguous"])
def test_a_ring_of_threads(layout):
    q, k, v, dout = naive.problem(5, n_q=45, n_k=45)
    exact = naive.attention(q, k, v, dout, keep=naive.visible(45, 45, True, (20, 0)))

    def work(group):
        mine = [numpy.ascontiguousarray(ringc.shard(each, group=group, layout=layout)) for each in (q, k, v, dout)]
        options = {"causal": True, "window": (20, 0), "group": group, "layout": layout, "length": 45}
        out, lse = ringc.attention(*mine[:3], return_lse=True, **options)
        return (out, *ringc.attention_backward(mine[3], *mine[:3], out, lse, **options))

    shards = on_ranks(3, work)
    for place, expected in enumerate((exact[0], *exact[2:])):
        whole = ringc.unshard([each[place] for each in shards], layout=layout)
        assert naive.error(whole, expected) < 2e-5
