"""Tensors as people have them: numpy's default types, archives, masks of integers, ALiBi's slopes."""

import math
import os
import struct
import unittest
import zipfile

from ringc import RingcTest, npy, pack, safetensors

SHAPE = (1, 21, 12, 8)
COUNT = math.prod(SHAPE)
INPUTS = "--q q.npy --k q.npy --v q.npy"


def half(values, keep):
    """Rounded to `keep` bits of a float32, ties to even."""
    rounded = []
    for value in values:
        bits = struct.unpack("<I", struct.pack("<f", value))[0]
        drop = 32 - keep
        bits += (1 << (drop - 1)) - 1 + ((bits >> drop) & 1)
        rounded.append(struct.unpack("<f", struct.pack("<I", bits >> drop << drop))[0])
    return rounded


class Formats(RingcTest):
    def setUp(self):
        super().setUp()
        self.q = self.save("q.npy", SHAPE)
        self.q = self.load("q.npy")[1]

    def out(self, *arguments):
        done = self.ok("run", *arguments, "--out out.npy -q")
        return self.load("out.npy")

    def test_float64_where_a_type_is_asked_for(self):
        self.write("d.npy", npy("<f8", SHAPE, struct.pack(f"<{COUNT}d", *self.q)))
        self.write("d.safetensors", safetensors({"q": ("F64", SHAPE, struct.pack(f"<{COUNT}d", *self.q))}))
        for q in ["d.npy", "d.safetensors:q"]:
            done = self.refused(f"{q}: type: got float64, allowed: float32, float16, bfloat16",
                                f"run --q {q} --k {q} --v {q} --out out.npy")
            self.assertIn("float64 where --dtype asks for one of the floats", done.stderr)
            self.assertEqual(self.out(f"--q {q} --k {q} --v {q} --dtype f32"), self.out(INPUTS))
            self.assertEqual(self.out(f"--q {q} --k {q} --v {q} --dtype bf16"), self.out(INPUTS, "--dtype bf16"))
            self.assertEqual(self.out(f"--q {q} --k q.npy --v q.npy --dtype f32"), self.out(INPUTS))

    def test_float64_beside_the_tensors(self):
        bias = [0.25 * (index % 5) for index in range(21 * 21)]
        self.save("bias.npy", (1, 1, 21, 21), bias)
        self.write("wide.npy", npy("<f8", (1, 1, 21, 21), struct.pack("<441d", *bias)))
        self.refused("wide.npy: type: got float64", "run", INPUTS, "--bias wide.npy --out out.npy")
        self.assertEqual(self.out(INPUTS, "--bias wide.npy --dtype f32"), self.out(INPUTS, "--bias bias.npy"))

    def test_bfloat16_of_ml_dtypes(self):
        rounded = half(self.q, 16)
        data = b"".join(struct.pack("<f", value)[2:] for value in rounded)
        expected = self.out(INPUTS, "--dtype bf16")
        for descr in ["<V2", "|V2"]:
            self.write("b.npy", npy(descr, SHAPE, data))
            files = "--q b.npy --k b.npy --v b.npy"
            done = self.ok("run", files, "--out out.npy")
            self.assertIn("ringc: b.npy: its type V2 has no name; read as bfloat16", done.stderr)
            self.assertEqual(self.load("out.npy"), expected)
            done = self.ok("run", files, "--dtype bf16 --out out.npy")
            self.assertNotIn("V2", done.stderr)
            self.assertEqual(self.load("out.npy"), expected)

    def test_other_orders(self):
        self.write("big.npy", npy(">f4", SHAPE, struct.pack(f">{COUNT}f", *self.q)))
        self.assertEqual(self.out("--q big.npy --k big.npy --v big.npy"), self.out(INPUTS))
        b, n, h, d = SHAPE
        turned = [self.q[(i * h + j) * d + c] for c in range(d) for j in range(h) for i in range(n)]
        self.write("turned.npy", npy(">f8", SHAPE, struct.pack(f">{COUNT}d", *turned), fortran=True))
        self.assertEqual(self.out("--q turned.npy --k turned.npy --v turned.npy --dtype f32"), self.out(INPUTS))

    def test_archives(self):
        with open(self.path("q.npy"), "rb") as file:
            q = file.read()
        wide = npy("<f8", SHAPE, struct.pack(f"<{COUNT}d", *self.q))
        for method in [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]:
            with zipfile.ZipFile(self.path("x.npz"), "w", method) as archive:
                for name, data in [("q", q), ("wide", wide)]:
                    with archive.open(name + ".npy", "w", force_zip64=True) as member:
                        member.write(data)
            self.assertEqual(self.out("--q x.npz:q --k x.npz:q --v q.npy"), self.out(INPUTS))
            self.assertEqual(self.out("--q x.npz:wide --k x.npz:q --v q.npy --dtype f32"), self.out(INPUTS))
            self.refused("x.npz:wide: type: got float64", "run --q x.npz:wide --k q.npy --v q.npy --out out.npy")
            self.refused("x.npz: got array name 'k', allowed: 'q', 'wide'",
                         "run --q x.npz:k --k q.npy --v q.npy --out out.npy")
        self.refused("tensor file: got 'o.npz:out', allowed: FILE.npy, FILE.safetensors:NAME",
                     "run", INPUTS, "--out o.npz:out")
        self.refused("tensor file: got 'x.npz', allowed: FILE.npy, FILE.npz:NAME, FILE.safetensors:NAME",
                     "run --q x.npz --k q.npy --v q.npy --out out.npy")
        # What unpacks to far more than the array's header says is refused before it is unpacked.
        with zipfile.ZipFile(self.path("bomb.npz"), "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("q.npy", npy("<f4", SHAPE, bytes(200 << 20)))
        self.refused("bomb.npz:q: the header claims", "run --q bomb.npz:q --k q.npy --v q.npy --out out.npy")

    def test_documents_in_any_integers(self):
        self.save("cu.npy", (3,), [0, 10, 21], code="i4")
        expected = self.out(INPUTS, "--cu-seqlens cu.npy")
        for descr, code in [("<i8", "<3q"), (">i8", ">3q"), ("<u4", "<3I"), ("<u8", "<3Q"), ("<i2", "<3h"),
                            ("|u1", "<3B")]:
            self.write("c.npy", npy(descr, (3,), struct.pack(code, 0, 10, 21)))
            self.assertEqual(self.out(INPUTS, "--cu-seqlens c.npy"), expected)
        for value in [1 << 31, 1 << 32, -(1 << 40)]:
            self.write("c.npy", npy("<i8", (3,), struct.pack("<3q", 0, value, 21)))
            self.refused(f"c.npy: element 1: got {value}, allowed: integers from -2^31 to 2^31 - 1",
                         "run", INPUTS, "--cu-seqlens c.npy --out out.npy")
        self.save("f.npy", (3,), [0, 10, 21])
        self.refused("cu_seqlens: got f32[3]", "run", INPUTS, "--cu-seqlens f.npy --out out.npy")

    def test_key_masks_of_integers(self):
        seen = [int(j % 3 != 0) for j in range(21)]
        self.save("b.npy", (1, 21), seen, code="b1")
        expected = self.out(INPUTS, "--key-mask b.npy")
        for descr, code in [("|u1", "B"), ("|i1", "b"), ("<i4", "i"), ("<i8", "q"), ("<u2", "H")]:
            self.write("m.npy", npy(descr, (1, 21), struct.pack(f"<21{code}", *seen)))
            self.assertEqual(self.out(INPUTS, "--key-mask m.npy"), expected)
        for value in [2, 255]:
            self.write("m.npy", npy("|u1", (1, 21), bytes([1] * 20 + [value])))
            self.refused(f"m.npy: element 20: got {value}, allowed: 0, 1",
                         "run", INPUTS, "--key-mask m.npy --out out.npy")

    def test_arguments_of_integers(self):
        self.write("m.tile", "mask m(b: index, h: index, i: index, j: index, reach: view<i32>[H]) "
                             "{ return i - j < reach[h] }\n")
        self.save("r.npy", (12,), range(1, 13), code="i4")
        self.write("wide.npy", npy("<i8", (12,), struct.pack("<12q", *range(1, 13))))
        self.assertEqual(self.out(INPUTS, "--mask m.tile:m --arg reach=wide.npy"),
                         self.out(INPUTS, "--mask m.tile:m --arg reach=r.npy"))
        self.write("far.npy", npy("<i8", (12,), struct.pack("<12q", *range(1 << 31, (1 << 31) + 12))))
        self.refused("far.npy: element 0: got 2147483648", "run", INPUTS,
                     "--mask m.tile:m --arg reach=far.npy --out out.npy")

    def paper(self, heads):
        """The paper's own code."""
        power = lambda n: [(2 ** (-(2 ** -(math.log2(n) - 3)))) ** (i + 1) for i in range(n)]
        if math.log2(heads).is_integer():
            return power(heads)
        below = 2 ** math.floor(math.log2(heads))
        return power(below) + power(2 * below)[0::2][: heads - below]

    def test_alibi(self):
        self.save("paper.npy", (12,), self.paper(12))
        self.save("plain.npy", (12,), [2 ** (-8 * (h + 1) / 12) for h in range(12)])
        self.write("wide.npy", npy("<f8", (12,), struct.pack("<12d", *self.paper(12))))
        plain, paper = self.out(INPUTS, "--alibi")[1], self.out(INPUTS, "--alibi-slopes paper")[1]
        self.assertClose(self.out(INPUTS, "--alibi-slopes plain.npy")[1], plain)
        self.assertClose(self.out(INPUTS, "--alibi-slopes paper.npy")[1], paper)
        self.assertClose(self.out(INPUTS, "--alibi-slopes wide.npy --dtype f32")[1], paper)
        self.assertGreater(max(abs(x - y) for x, y in zip(plain, paper)), 1e-3)
        self.assertEqual(self.out(INPUTS, "--alibi --alibi-slopes paper --ranks 3 --layout zigzag")[0], SHAPE)
        self.save("short.npy", (4,), [1.0] * 4)
        self.refused("ALiBi slopes: got f32[4], allowed: floats [12], one for each head", "run", INPUTS,
                     "--alibi-slopes short.npy --out out.npy")
        self.save("nan.npy", (12,), [math.nan] * 12)
        self.refused("ALiBi slope of head 0: got nan, allowed: a finite number", "run", INPUTS,
                     "--alibi-slopes nan.npy --out out.npy")
        self.refused("tensor file: got 'papers'", "run", INPUTS, "--alibi-slopes papers --out out.npy")
        self.ok("verify --shape 1,67,12,3,16 --causal --alibi-slopes paper --ranks 3 --layout striped")
        self.ok("verify --shape 1,67,12,12,16 --alibi-slopes paper.npy")

    def test_two_masks_of_one_name(self):
        text = "mask m(b: index, h: index, i: index, j: index, n: i32) {{ return {} }}\n"
        self.write("a.tile", text.format("i - j < n"))
        self.write("b.tile", text.format("j % n != 1"))
        self.write("one.tile", "mask one(b: index, h: index, i: index, j: index) "
                               "{ return i - j < 5 and j % 3 != 1 }\n")
        both = "--mask a.tile:m --mask b.tile:m"
        expected = self.out(INPUTS, "--mask one.tile:one")
        self.assertClose(self.out(INPUTS, both, "--arg a.tile:m.n=5 --arg b.tile:m.n=3")[1], expected[1])
        self.refused("argument n: got a name of several, allowed: a.tile:m.n, b.tile:m.n", "run", INPUTS, both,
                     "--arg n=5 --out out.npy")
        self.refused("argument b.tile:m.n: got nothing", "run", INPUTS, both, "--arg a.tile:m.n=5 --out out.npy")
        self.ok("verify --shape 1,67,4,2,16", both, "--arg a.tile:m.n=50 --arg b.tile:m.n=3 --ranks 2")
        # A mask with the name of a library's that is used too.
        self.write("c.tile", "mask window(b: index, h: index, i: index, j: index, left: i32) "
                             "{ return j % left != 1 }\n")
        self.assertClose(self.out(INPUTS, "--window 4,-1 --mask c.tile:window --arg left=3")[1], expected[1])

    def test_two_scores_of_one_name(self):
        text = "score f(s: f32, b: index, h: index, i: index, j: index, c: f32) {{ return {} }}\n"
        self.write("a.tile", text.format("s * c"))
        self.write("b.tile", text.format("s + c * f32(j)"))
        self.write("one.tile", "score one(s: f32, b: index, h: index, i: index, j: index) "
                               "{ return s * 0.5 + 0.25 * f32(j) }\n")
        two = "--score a.tile:f b.tile:f --arg a.tile:f.c=0.5 b.tile:f.c=0.25"
        self.assertClose(self.out(INPUTS, two)[1], self.out(INPUTS, "--score one.tile:one")[1])
        self.ok("verify --shape 1,67,4,2,16", two, "--ranks 2")


class Headers(RingcTest):
    """Headers that want much memory or time; address space is bounded."""

    def limited(self, message, content, name):
        import resource

        if os.environ.get("RINGC_SANITIZE"):
            self.skipTest("a sanitizer's shadow of memory takes all address space")
        self.save("q.npy", (1, 2, 1, 8))
        self.write(name, content)
        bound = lambda: resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
        file = name + (":a" if name.endswith("s") else "")
        self.refused(message, f"run --q {file} --k q.npy --v q.npy --out out.npy", preexec_fn=bound)

    def test_a_header_that_nests(self):
        for start, message in [(b'{"a":', "has no dtype"), (b'{"a":{"b":', "nests deeper than 8 levels"),
                               (b'{"__metadata__":', "is no object of strings")]:
            text = start + b"[" * (90 << 20)
            self.limited(message, struct.pack("<Q", len(text)) + text, "x.safetensors")

    def test_a_header_of_very_many_tensors(self):
        x = pack("f4", range(16))
        entries = {f"t{number}": ("F32", (0,), b"") for number in range(50000)}
        self.write("x.safetensors", safetensors({**entries, "x": ("F32", (1, 2, 1, 8), x)}))
        line = "run --q x.safetensors:x --k x.safetensors:x --v x.safetensors:x --out"
        before = os.times()
        self.ok(line, "out.npy")
        after = os.times()
        # It is about a second; it was minutes. A busy host does not count.
        self.assertLess(after.children_user - before.children_user, 20)
        self.ok(line, "x.safetensors:out")


if __name__ == "__main__":
    unittest.main()
