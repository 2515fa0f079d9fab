"""Attention in NumPy, in double precision and as plain f32 has it, and what an error is."""

import numpy as np

RESULTS = ("out", "lse", "dq", "dk", "dv")


class Problem:
    """Tensors [b, n, h, d], and what the flags of `ringc run` say of them."""

    def __init__(self, q, k, v, dout, scale):
        self.q, self.k, self.v, self.dout, self.scale = q, k, v, dout, float(scale)
        batch, queries, heads, _ = q.shape
        keys, kv_heads = k.shape[1:3]
        self.i = np.arange(queries)[:, None] + keys - queries
        self.j = np.arange(keys)[None]
        self.head = np.arange(heads)
        self.kv_head = self.head // (heads // kv_heads)
        self.visible = np.ones((batch, heads, queries, keys), bool)
        self.softcap = None
        self.terms = []  # added to the logits, in this order
        self.flags = []

    def tiled(self):
        self.kv_head = self.head % self.k.shape[2]

    def logits(self, kind):
        """[b, h, n_q, n_k] in `kind`, -inf where nothing is seen."""
        q, k = self.q.astype(kind), self.k[:, :, self.kv_head].astype(kind)
        hidden = ~self.visible.any(axis=(1, 2))  # what no row sees may hold anything
        k = np.where(hidden[:, :, None, None], kind(0), k)
        s = kind(self.scale) * np.einsum("bihd,bjhd->bhij", q, k)
        if self.softcap:
            s = kind(self.softcap) * np.tanh(s / kind(self.softcap))
        for term in self.terms:
            s = s + np.asarray(term, kind)
        return np.where(self.visible, s, kind(-np.inf))

    def slope(self, kind):
        """d logit / d (scale * q.k)."""
        if not self.softcap:
            return kind(1)
        q, k = self.q.astype(kind), self.k[:, :, self.kv_head].astype(kind)
        hidden = ~self.visible.any(axis=(1, 2))
        k = np.where(hidden[:, :, None, None], kind(0), k)
        s = kind(self.scale) * np.einsum("bihd,bjhd->bhij", q, k)
        return kind(1) - np.tanh(s / kind(self.softcap)) ** 2

    def attention(self, kind, logits=None):
        """The five results, all arithmetic in `kind`; of these logits where they are given."""
        s = self.logits(kind) if logits is None else logits.astype(kind)
        hidden = ~self.visible.any(axis=(1, 2))[:, :, None, None]
        k, v = (np.where(hidden, kind(0), x[:, :, self.kv_head].astype(kind)) for x in (self.k, self.v))
        dout = self.dout.astype(kind)
        sees = np.isfinite(s).any(axis=3, keepdims=True) if s.shape[3] else np.zeros((*s.shape[:3], 1), bool)
        top = np.where(sees, s.max(axis=3, keepdims=True, initial=-np.inf), kind(0))
        p = np.exp(s - top)
        z = p.sum(axis=3, keepdims=True)
        p = p / np.where(sees, z, kind(1))
        lse = np.where(sees, top + np.log(np.where(sees, z, kind(1))), kind(-np.inf))[..., 0]
        out = np.einsum("bhij,bjhd->bihd", p, v)
        dp = np.einsum("bihd,bjhd->bhij", dout, v)
        delta = (dout * out).sum(axis=3).transpose(0, 2, 1)[..., None]
        ds = p * (dp - delta) * self.slope(kind) * kind(self.scale)
        grouped = lambda x: np.stack([x[:, :, self.kv_head == g].sum(axis=2) for g in range(self.k.shape[2])], axis=2)
        return {"out": out, "lse": lse, "dq": np.einsum("bhij,bjhd->bihd", ds, k),
                "dk": grouped(np.einsum("bhij,bihd->bjhd", ds, self.q.astype(kind))),
                "dv": grouped(np.einsum("bhij,bihd->bjhd", p, dout))}

    def rounding_of_logits(self):
        """What f32 may do to a logit of ordinary numbers, which is a sum: half a unit of its terms, whatever it comes to."""
        seen = self.visible.any(axis=(1, 2))[:, :, None, None]
        k = np.abs(np.where(seen, self.k[:, :, self.kv_head], 0)).astype(np.float64)
        terms = abs(self.scale) * np.einsum("bihd,bjhd->bhij", np.abs(self.q).astype(np.float64), k).max(initial=0)
        return min(2.0**-25 * float(terms), 4e-6) if np.isfinite(terms) else 0.0

    def terms_that_cancel(self):
        """Magnitudes under which a result of 0 is not distinguished from rounding: dS is a difference."""
        seen = self.visible.any(axis=(1, 2))
        most = lambda x: float(np.abs(np.where(seen[:, :, None, None], x, 0)).max(initial=0))
        ds = abs(self.scale) * float(np.abs(self.dout).sum(axis=3).max(initial=0)) * most(self.v)
        return {"out": 0.0, "lse": 1.0, "dq": ds * most(self.k), "dk": ds * float(np.abs(self.q).max(initial=0)),
                "dv": 0.0}


def error(got, want, floor=0.0):
    """The largest difference over the largest magnitude; infinite where one is finite and the other not."""
    if got.shape != want.shape:
        return np.inf
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    if not np.isfinite(got[~same]).all() or not np.isfinite(want[~same]).all():
        return np.inf
    fine = np.isfinite(want)
    size = max(float(np.abs(want[fine]).max(initial=0)), floor)
    worst = float(np.abs(got[fine] - want[fine]).max(initial=0))
    return worst / size if size else (0.0 if worst == 0 else np.inf)
