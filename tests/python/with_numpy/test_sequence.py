"""Shards, their positions, and rotary embeddings at them."""

import numpy
import pytest

import ringc

LAYOUTS = ["contiguous", "striped", "striped:2", "zigzag"]


def test_the_table_of_the_documentation():
    dealt = {
        "contiguous": ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9]),
        "striped": ([0, 3, 6, 9], [1, 4, 7], [2, 5, 8]),
        "striped:2": ([0, 1, 6, 7], [2, 3, 8, 9], [4, 5]),
        "zigzag": ([0, 1], [2, 3, 8, 9], [4, 5, 6, 7]),
    }
    for layout, ranks in dealt.items():
        for rank, rows in enumerate(ranks):
            assert ringc.positions(10, rank, 3, layout).tolist() == rows
            assert ringc.local_length(10, rank, 3, layout) == len(rows)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_unshard_is_the_inverse(layout):
    whole = numpy.arange(2 * 11 * 3).reshape(2, 11, 3)
    shards = [ringc.shard(whole, rank, 4, layout=layout) for rank in range(4)]
    assert (ringc.unshard(shards, layout=layout) == whole).all()
    assert (ringc.shard(whole, 1, 4, layout=layout) == whole[:, ringc.positions(11, 1, 4, layout)]).all()
    other = [each.swapaxes(0, 1) for each in shards]
    assert (ringc.unshard(other, layout=layout, axis=0) == whole.swapaxes(0, 1)).all()


def test_rope_turns_by_differences():
    random = numpy.random.default_rng(1)
    q, k = random.standard_normal((2, 1, 1, 1, 8)).astype("f4")
    for style in ("half-split", "interleaved"):

        def product(i, j):
            turned = ringc.rope(q, [i], style=style), ringc.rope(k, [j], style=style)
            return float((turned[0] * turned[1]).sum())

        assert product(7, 3) == pytest.approx(product(104, 100), abs=1e-5)
        assert product(7, 3) != pytest.approx(product(7, 4), abs=1e-3)
        there = ringc.rope(q, [1000], style=style, rotary_dims=4)
        assert (there[..., 4:] == q[..., 4:]).all()
        assert numpy.allclose(ringc.rope(there, [1000], style=style, rotary_dims=4, inverse=True), q, atol=1e-6)


def test_a_shard_is_turned_by_global_positions():
    x = numpy.random.default_rng(2).standard_normal((1, 11, 2, 6)).astype("f4")
    whole = ringc.rope(x, range(11))
    for rank in range(3):
        rows = ringc.positions(11, rank, 3)
        assert (ringc.rope(ringc.shard(x, rank, 3), rows) == whole[:, rows]).all()


def test_what_cannot_be():
    with pytest.raises(ringc.InputError, match="layout"):
        ringc.positions(10, 0, 2, "spiral")
    with pytest.raises(ringc.InputError, match="rank"):
        ringc.positions(10, 3, 2)
    with pytest.raises(ringc.InputError, match=r"shards\[0\]: got 5 rows"):
        ringc.unshard([numpy.zeros((1, 5, 1)), numpy.zeros((1, 3, 1))], layout="contiguous")
    with pytest.raises(ringc.InputError, match="rotary_dims: got 3"):
        ringc.rope(numpy.zeros((1, 1, 1, 4), "f4"), [0], rotary_dims=3)
