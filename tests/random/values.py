"""Problems whose values lie at an edge: each function draws one, with the flags and files of `ringc run`."""

import numpy as np

F = np.float32
LEAST = (-np.inf, -1e4, -65504.0, -1e9, -1e30, -1e38, -3e38, float(np.finfo(F).min))
SCALES = (1e6, 1e8, 1e10, 1e20, 1e35)


class Draw:
    """A source of choices and numbers, of one seed."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def upto(self, most, least=1):
        return int(self.random.integers(least, most + 1))

    def among(self, *choices):
        return choices[int(self.random.integers(len(choices)))]

    def once_in(self, count):
        return self.random.integers(count) == 0

    def normal(self, *shape, deviation=1.0):
        return (self.random.standard_normal(shape) * deviation).astype(F)

    def length(self):
        return self.among(0, 1, 2, self.upto(12), self.upto(70), self.upto(130), self.upto(300))

    def head_dim(self):
        return self.among(self.upto(16), self.upto(80), 8 * self.upto(32), self.upto(256))


def ordinary(draw, make, positive=False):
    """Normal numbers of any shape."""
    queries = max(draw.length(), int(positive))
    keys = queries if draw.once_in(2) else max(draw.length(), int(positive))
    kv_heads = draw.upto(2)
    d = draw.head_dim()
    return make(draw, draw.upto(2), queries, keys, kv_heads * draw.upto(3), kv_heads, d,
                d if draw.once_in(2) else draw.head_dim())


def additive(draw, make):
    """A mask as most people write it: a number so low that exp gives 0, added."""
    problem = ordinary(draw, make, positive=True)
    batch, queries, heads, _ = problem.q.shape
    keys = problem.k.shape[1]
    bias = np.zeros((draw.among(1, batch), draw.among(1, heads), queries, keys), F)
    least = F(draw.among(*LEAST))
    row, column, width = draw.upto(queries) - 1, draw.upto(keys) - 1, draw.upto(keys)
    where = draw.among("row", "part", "column", "rows", "later", "all")
    if where == "row":
        bias[:, :, row] = least
    elif where == "part":
        bias[:, :, row, :width] = least
    elif where == "column":
        bias[..., column] = least
    elif where == "rows":
        bias[:, :, draw.random.random(queries) < 0.3] = least
    elif where == "later":
        bias[:] = np.where(problem.j > problem.i, least, F(0))
    else:
        bias[:] = least
    problem.terms.append(bias)
    problem.flags += ["--bias", problem.file("bias", bias)]
    problem.plain = True
    return f"{least:g} over {where}"


def huge_logits(draw, make):
    """Integers in one component, which a scale makes as large as it likes: the largest key wins."""
    n, d = draw.upto(200, 2), draw.head_dim()
    problem = make(draw, 1, n if draw.once_in(2) else draw.upto(90), n, draw.upto(2), 1, d, draw.head_dim(),
                   scale=draw.among(*SCALES) * draw.among(1, -1))
    problem.q[:], problem.k[:] = 0, 0
    problem.q[..., 0] = 1
    problem.k[..., 0] = (draw.random.permutation(n) + 1)[None, :, None]
    return f"scale {problem.scale:g}"


def common_offset(draw, make):
    """Logits L + {0, 1, 2}, exact in f32."""
    n = draw.among(300, draw.upto(300))
    problem = make(draw, 1, n, n, draw.upto(2), 1, draw.head_dim(), draw.head_dim(), scale=1.0)
    offset = draw.among(1e2, 1e4, 1e5, 1e6) * draw.among(1, -1)
    problem.q[:], problem.k[:] = 0, 0
    problem.q[..., 0] = 1
    problem.k[..., 0] = offset + draw.random.integers(0, 3, (n, 1))
    problem.plain = True
    return f"logits {offset:g} + 0, 1, 2"


def low_logits(draw, make):
    """Every logit far below 0, and keys and queries that do not fill their tiles."""
    problem = make(draw, 1, draw.upto(140), draw.upto(140), draw.upto(2), 1, draw.head_dim(), draw.head_dim(),
                   scale=1.0)
    problem.q[:], problem.k[..., 0] = 0, draw.among(-50, -89, -100, -1000)
    problem.q[..., 0] = 1
    problem.plain = True
    return f"logits {problem.k.flat[0] if problem.k.size else 0:g}"


def equal_logits(draw, make):
    """The mean."""
    problem = ordinary(draw, make, positive=True)
    draw.among(problem.q, problem.k)[:] = 0
    return "equal logits"


def hidden_keys(draw, make):
    """Keys that no row sees hold NaN and infinity."""
    problem = ordinary(draw, make, positive=True)
    batch, keys = problem.k.shape[:2]
    mask = np.ones((batch, keys), bool)
    run = draw.upto(keys)
    where = draw.among("left", "right", "anywhere", "all")
    if where == "left":
        mask[:, :run] = False
    elif where == "right":
        mask[:, keys - run:] = False
    elif where == "anywhere":
        mask = draw.random.random((batch, keys)) < 0.5
    else:
        mask[0] = False
    problem.visible = problem.visible & mask[:, None, None, :]
    for tensor in (problem.k, problem.v):
        tensor[~mask] = draw.among(np.nan, np.inf, -np.inf, 3e38)
    problem.flags += ["--key-mask", problem.file("keys", mask)]
    return f"hidden keys {where}"


def large_values(draw, make):
    problem = ordinary(draw, make, positive=True)
    problem.v *= F(draw.among(1e30, 1e-30, 1e20))
    return f"v of {np.abs(problem.v).max(initial=0):.0e}"


def small_softcap(draw, make):
    problem = ordinary(draw, make, positive=True)
    problem.softcap = draw.among(1e-6, 1e-3, 0.1, 50.0, 1e6)
    problem.flags += ["--softcap", problem.softcap]
    return f"softcap {problem.softcap:g}"


def user_tables(draw, make):
    """A mask and a score of one's own, which read tables outside their ends: the nearest element counts."""
    problem = ordinary(draw, make, positive=True)
    table = draw.normal(draw.upto(40))
    index = draw.among("j", "i", "i - j", "j - 7", "2 * j", "i + j", "1000000000", "0 - 5")
    text = (f"mask seen(b: index, h: index, i: index, j: index, t: view<f32>[W]) {{\n  return t[{index}] > -0.5 or i == j\n}}\n"
            f"score moved(s: f32, b: index, h: index, i: index, j: index, t: view<f32>[W]) {{\n  return s + t[{index}]\n}}\n")
    at = np.asarray(eval(index, {}, {"i": problem.i, "j": problem.j}))  # noqa: S307, our own words
    near = table[np.clip(at + 0 * (problem.i + problem.j), 0, len(table) - 1)]
    path = problem.text("mine.tile", text)
    file = problem.file("table", table)
    which = draw.among("mask", "score", "both")
    if which != "score":
        problem.visible = problem.visible & ((near > -0.5) | (problem.i == problem.j))
        problem.flags += ["--mask", path + ":seen", "--arg", "seen.t=" + file]
    if which != "mask":
        problem.terms.append(near)
        problem.flags += ["--score", path + ":moved", "--arg", "moved.t=" + file]
    return f"{which} t[{index}] of {len(table)}"


KINDS = (additive, huge_logits, common_offset, low_logits, equal_logits, hidden_keys, large_values, small_softcap,
         user_tables, ordinary)
# Those whose numbers 16 bits hold.
ANY_TYPE = (additive, low_logits, equal_logits, hidden_keys, small_softcap, user_tables, ordinary)


def mask(draw, problem):
    """One of the library's masks on top, or none."""
    queries, keys = problem.q.shape[1], problem.k.shape[1]
    kind = draw.among("", "", "causal", "causal", "prefix", "window", "documents")
    if kind == "causal" or kind == "prefix":
        seen = problem.j <= problem.i
        problem.flags += ["--causal"]
        if kind == "prefix":
            prefix = draw.upto(keys + 3)
            seen = seen | (problem.j < prefix)
            problem.flags += ["--prefix", prefix]
    elif kind == "window":
        left, right = draw.upto(60, -1), draw.upto(30, -1)
        seen = ((left < 0) | (problem.i - left <= problem.j)) & ((right < 0) | (problem.j <= problem.i + right))
        problem.flags += [f"--window={left},{right}"]
    elif kind == "documents" and queries <= keys:
        cuts = [0]
        while cuts[-1] < keys or len(cuts) < 2:
            cuts.append(min(keys, cuts[-1] + draw.upto(keys // 2 + 2) - 1))
        cuts = np.array(cuts, np.int32)
        of = lambda x: np.searchsorted(cuts, x, side="right")
        seen = of(problem.i) == of(problem.j)
        problem.flags += ["--cu-seqlens", problem.file("documents", cuts)]
    else:
        return ""
    problem.visible = problem.visible & seen
    return kind
