"""What is wrong is an exception that names the argument; nothing hangs, and nothing stays behind."""

import gc
import multiprocessing
import threading

import naive
import numpy
import pytest

import ringc

Q, K, V, DOUT = naive.problem(1)

WRONG = {
    "q of three axes": (lambda: ringc.attention(Q[0], K, V), "q: got 3 axes"),
    "a list": (lambda: ringc.attention(Q, [1.0], V), "k"),
    "float64": (lambda: ringc.attention(Q.astype("f8"), K, V), "q: got float64"),
    "types that differ": (lambda: ringc.attention(Q, K.astype("f2"), V), "k"),
    "keys and values": (lambda: ringc.attention(Q, K, V[:, :5]), "v"),
    "head dims": (lambda: ringc.attention(Q, K[..., :8], V), "k"),
    "heads": (lambda: ringc.attention(Q[:, :, :3], K, V), "heads"),
    "the other byte order": (lambda: ringc.attention(Q.astype(">f4"), K, V), "byte order"),
    "window": (lambda: ringc.attention(Q, K, V, window=(-2, 0)), "window left: got -2"),
    "window of one": (lambda: ringc.attention(Q, K, V, window=(3,)), r"window: got \(3,\)"),
    "softcap": (lambda: ringc.attention(Q, K, V, softcap=-1.0), "softcap: got -1"),
    "slopes": (lambda: ringc.attention(Q, K, V, alibi=[1.0]), "ALiBi slopes: got 1"),
    "head map": (lambda: ringc.attention(Q, K, V, kv_head_map="woven"), "woven"),
    "key mask": (lambda: ringc.attention(Q, K, V, key_mask=numpy.ones((2, 5), bool)), "key mask|key_mask"),
    "bias": (lambda: ringc.attention(Q, K, V, bias=numpy.ones((3, 1, 37, 37), "f4")), "bias"),
    "documents": (lambda: ringc.attention(Q, K, V, document_lengths=[3, 4]), "cu_seqlens"),
    "documents below 0": (lambda: ringc.attention(Q, K, V, document_lengths=[-3, 40]), "document_lengths: got"),
    "option": (lambda: ringc.attention(Q, K, V, options={"windows": 3}), "windows"),
    "argument": (lambda: ringc.attention(Q, K, V, arguments={"c": object()}), r"arguments\['c'\]"),
    "argument of 70 bits": (lambda: ringc.attention(Q, K, V, score=naive.BENT, arguments={"c": 2**70}), r"arguments\['c'\]: got"),
    "name of an argument": (lambda: ringc.attention(Q, K, V, arguments={3: 1}), "arguments: got a name 3"),
    "softcap of no number": (lambda: ringc.attention(Q, K, V, softcap=float("nan")), "softcap: got nan"),
    "window of a word": (lambda: ringc.attention(Q, K, V, window=("a", 0)), "window.left: got"),
    "causal of a word": (lambda: ringc.attention(Q, K, V, causal="yes"), "causal: got"),
    "options": (lambda: ringc.attention(Q, K, V, options=3), "options: got 3"),
    "documents of words": (lambda: ringc.attention(Q, K, V, document_lengths="ab"), "document_lengths: got 'ab'"),
    "no such argument": (lambda: ringc.attention(Q, K, V, arguments={"c": 1}), "c"),
    "argument left out": (lambda: ringc.attention(Q, K, V, score=naive.BENT), "bent.c"),
    "no file": (lambda: ringc.attention(Q, K, V, mask="nowhere.tile:odd"), "nowhere.tile"),
    "not a mask": (lambda: ringc.attention(Q, K, V, mask=3), "mask: got 3"),
    "a score for a mask": (lambda: ringc.attention(Q, K, V, mask=naive.BENT), "mask: got a text with 0 of them"),
    "group": (lambda: ringc.attention(Q, K, V, group="all"), "group: got str"),
    "dout": (lambda: ringc.attention_backward(DOUT[:, :3], Q, K, V, *ringc.attention(Q, K, V, return_lse=True)), "dout"),
}


@pytest.mark.parametrize("what", WRONG)
def test_names_the_argument(what):
    call, message = WRONG[what]
    with pytest.raises(ringc.InputError, match=message):
        call()


def test_a_text_that_is_wrong_has_its_place():
    with pytest.raises(ringc.CompileError, match=r"<mask odd>:2:15: ") as caught:
        ringc.attention(Q, K, V, mask="mask odd(b: index, h: index, i: index, j: index) {\n  return (i - k) % 2 == 1\n}")
    assert "^" in str(caught.value)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_ten_thousand_failing_calls_leave_nothing():
    calls = [WRONG[name][0] for name in ("types that differ", "keys and values", "window", "key mask", "option", "argument left out")]

    def fail(times):
        for n in range(times):
            with pytest.raises(ringc.InputError):
                calls[n % len(calls)]()

    fail(600)
    gc.collect()
    before = resident()
    fail(10000)
    gc.collect()
    assert resident() - before < 8 << 20


def test_two_threads_at_once():
    exact = [ringc.attention(Q, K, V, causal=causal) for causal in (False, True)]
    wrong = []

    def work(causal):
        for _ in range(50):
            if not (ringc.attention(Q, K, V, causal=causal) == exact[causal]).all():
                wrong.append(causal)

    running = [threading.Thread(target=work, args=(n % 2 == 0,)) for n in range(4)]
    for each in running:
        each.start()
    for each in running:
        each.join()
    assert not wrong


def _same_as(queue, exact):
    queue.put(bool((ringc.attention(Q, K, V) == exact).all()))


def test_a_child_of_fork_makes_its_own():
    exact, fork = ringc.attention(Q, K, V), multiprocessing.get_context("fork")
    queue = fork.SimpleQueue()
    child = fork.Process(target=_same_as, args=(queue, exact))
    child.start()
    child.join(60)
    assert child.exitcode == 0 and queue.get()


def test_calls_leave_nothing():
    def call(times):
        for _ in range(times):
            ringc.attention_backward(DOUT, Q, K, V, *ringc.attention(Q, K, V, return_lse=True))

    call(100)
    before = resident()
    call(1000)
    assert resident() - before < 8 << 20


def test_a_closed_group():
    (group,) = ringc.groups.threads(1)
    ringc.attention(Q, K, V, group=group)
    group.close()
    with pytest.raises(ringc.ClosedError, match="closed"):
        ringc.attention(Q, K, V, group=group)


def test_ranks_that_disagree():
    from test_decoding import on_ranks

    q, k, v = (each[:, :36] for each in (Q, K, V))
    results = on_ranks(2, lambda group: ringc.attention(q, k, v, group=group, softcap=1.0 + group.rank))
    for each in results:
        assert isinstance(each, ringc.DisagreementError), each
        assert "softcap" in str(each)
    results = on_ranks(2, lambda group: ringc.attention(*(each[: 1 + group.rank] for each in (q, k, v)), group=group))
    for each in results:
        assert isinstance(each, ringc.DisagreementError), each
