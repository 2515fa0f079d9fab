"""Attention as its formula says it, in double precision, and its gradients: what the package is compared with."""

import numpy


def heads_of(kv, heads, head_map="blocked"):
    """KV heads [b, n, h_kv, d] for each query head."""
    h_kv = kv.shape[2]
    which = numpy.arange(heads) // (heads // h_kv) if head_map == "blocked" else numpy.arange(heads) % h_kv
    return kv[:, :, which], which


def positions(n_q, n_k):
    """i [n_q, 1] and j [1, n_k]."""
    return numpy.arange(n_q)[:, None] + n_k - n_q, numpy.arange(n_k)[None]


def visible(n_q, n_k, causal=False, window=(-1, -1), document_lengths=None):
    i, j = positions(n_q, n_k)
    keep = numpy.ones((n_q, n_k), bool)
    if causal:
        keep &= j <= i
    if window[0] >= 0:
        keep &= j >= i - window[0]
    if window[1] >= 0:
        keep &= j <= i + window[1]
    if document_lengths is not None:
        document = numpy.repeat(numpy.arange(len(document_lengths)), document_lengths)
        keep &= document[i] == document[j]
    return keep


def attention(q, k, v, dout=None, *, keep=True, score=lambda s, b, h, i, j: (s, 1.0), scale=None, head_map="blocked"):
    """out, lse; with dout also dq, dk, dv. `keep` goes with [b, h, n_q, n_k]; `score` gives a logit and its derivative."""
    q, k, v = (numpy.asarray(each, numpy.float64) for each in (q, k, v))
    heads, scale = q.shape[2], q.shape[3] ** -0.5 if scale is None else scale
    (full_k, which), (full_v, _) = heads_of(k, heads, head_map), heads_of(v, heads, head_map)
    i, j = positions(q.shape[1], k.shape[1])
    b, h = numpy.arange(q.shape[0])[:, None, None, None], numpy.arange(heads)[:, None, None]
    logits, slope = score(scale * numpy.einsum("bihd,bjhd->bhij", q, full_k), b, h, i, j)
    logits = numpy.where(keep, logits, -numpy.inf)
    most = logits.max(-1, keepdims=True, initial=-numpy.inf)
    p = numpy.exp(logits - numpy.where(numpy.isfinite(most), most, 0))
    total = p.sum(-1, keepdims=True)
    with numpy.errstate(divide="ignore"):
        lse = (numpy.log(total) + most)[..., 0]
    p = p / numpy.where(total == 0, 1, total)
    out = numpy.einsum("bhij,bjhd->bihd", p, full_v)
    if dout is None:
        return out, lse
    dout = numpy.asarray(dout, numpy.float64)
    delta = numpy.einsum("bihd,bihd->bhi", dout, out)[..., None]
    ds = scale * slope * p * (numpy.einsum("bihd,bjhd->bhij", dout, full_v) - delta)
    dq = numpy.einsum("bhij,bjhd->bihd", ds, full_k)
    dk, dv = numpy.zeros_like(k), numpy.zeros_like(v)
    numpy.add.at(dk, (slice(None), slice(None), which), numpy.einsum("bhij,bihd->bjhd", ds, q))
    numpy.add.at(dv, (slice(None), slice(None), which), numpy.einsum("bhij,bihd->bjhd", p, dout))
    return out, lse, dq, dk, dv


def error(found, exact):
    """Relative Frobenius norm of their difference; of what is infinite in both, none."""
    found, exact = numpy.asarray(found, numpy.float64), numpy.asarray(exact, numpy.float64)
    assert found.shape == exact.shape, (found.shape, exact.shape)
    same = found == exact
    difference = numpy.linalg.norm(numpy.where(same, 0, found - exact))
    return difference / max(numpy.linalg.norm(numpy.where(numpy.isfinite(exact), exact, 0)), 1e-30)


def problem(seed, b=2, n_q=37, n_k=37, h=4, h_kv=2, d=16, d_v=None, dtype="f4"):
    """q, k, v and dout."""
    random = numpy.random.default_rng(seed)
    shapes = ((b, n_q, h, d), (b, n_k, h_kv, d), (b, n_k, h_kv, d_v or d), (b, n_q, h, d_v or d))
    return tuple(random.standard_normal(shape).astype(dtype) for shape in shapes)


#: Cases of arguments, and of the formula's: in both test folders.
BENT = """score bent(s: f32, b: index, h: index, i: index, j: index, c: f32) {
  let t = c * tanh(s / c)
  return i - j > 9 ? t - 0.5 : t
}"""
DILATED = """mask dilated(b: index, h: index, i: index, j: index, step: i32, reach: view<i32>[H]) {
  return (i - j) % step == 0 and i - j < reach[h]
}"""


def bent(c):
    def score(s, b, h, i, j):
        t = c * numpy.tanh(s / c)
        return numpy.where(i - j > 9, t - 0.5, t), 1 - (t / c) ** 2

    return score


def softcapped(c):
    return lambda s, b, h, i, j: (c * numpy.tanh(s / c), 1 - numpy.tanh(s / c) ** 2)


def alibi(heads):
    return lambda s, b, h, i, j: (s - 2.0 ** (-8 * (h + 1) / heads) * abs(i - j), 1.0)


def dilated(step, reach, n):
    i, j = positions(n, n)
    return ((i - j) % step == 0) & (i - j < numpy.asarray(reach)[:, None, None])
