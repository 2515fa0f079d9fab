"""`ringc run`: tensors from files to files, whatever their format, over any ring."""

import math
import struct
import unittest

from ringc import RingcTest, pack, safetensors

SHAPE = (1, 31, 2, 8)


def attention(q, k, v, shape, causal):
    """Out and lse of [b, n, h, d] lists, all with as many heads, computed the long way."""
    batch, n, heads, d = shape
    at = lambda x, b, i, h: x[((b * n + i) * heads + h) * d : ((b * n + i) * heads + h) * d + d]
    out, lse = [0.0] * len(q), [0.0] * (batch * heads * n)
    for b in range(batch):
        for h in range(heads):
            for i in range(n):
                keys = range(i + 1 if causal else n)
                row = at(q, b, i, h)
                s = [sum(x * y for x, y in zip(row, at(k, b, j, h))) / math.sqrt(d) for j in keys]
                top = max(s)
                total = sum(math.exp(x - top) for x in s)
                lse[(b * heads + h) * n + i] = top + math.log(total)
                for j, x in zip(keys, s):
                    for c, value in enumerate(at(v, b, j, h)):
                        out[((b * n + i) * heads + h) * d + c] += math.exp(x - top) / total * value
    return out, lse


class Run(RingcTest):
    def setUp(self):
        super().setUp()
        self.q, self.k, self.v, self.dout = (
            self.save(f"{name}.npy", SHAPE) for name in ("q", "k", "v", "dout")
        )

    INPUTS = "--q q.npy --k k.npy --v v.npy"

    def test_one_rank_and_four(self):
        for causal in ["", " --causal"]:
            out, lse = attention(self.q, self.k, self.v, SHAPE, bool(causal))
            for ring in ["", " --ranks 4 --layout striped", " --ranks 3 --layout zigzag"]:
                done = self.ok("run", self.INPUTS + causal + ring + " --out out.npy --lse lse.npy")
                self.assertEqual(done.stdout, "")
                shape, values = self.load("out.npy")
                self.assertEqual(shape, SHAPE)
                self.assertClose(values, out)
                shape, values = self.load("lse.npy")
                self.assertEqual(shape, (1, 2, 31))
                self.assertClose(values, lse)

    def test_gradients_do_not_depend_on_the_ring(self):
        results = []
        for ring in ["", " --ranks 4 --layout striped:3"]:
            self.ok("run", self.INPUTS + " --dout dout.npy --causal --dq dq.npy --dk dk.npy "
                    "--dv dv.npy" + ring)
            results.append([self.load(f"{name}.npy")[1] for name in ("dq", "dk", "dv")])
        for one, four in zip(*results):
            self.assertClose(four, one)

    def test_fortran_order(self):
        b, n, h, d = SHAPE
        turned = [self.q[((0 * n + i) * h + j) * d + c]
                  for c in range(d) for j in range(h) for i in range(n)]
        self.save("turned.npy", SHAPE, turned, fortran=True)
        self.ok("run", self.INPUTS, "--out a.npy")
        self.ok("run --q turned.npy --k k.npy --v v.npy --out b.npy")
        self.assertEqual(self.load("a.npy"), self.load("b.npy"))

    def test_safetensors(self):
        self.write("in.safetensors", safetensors({
            name: ("F32", SHAPE, pack("f4", values))
            for name, values in (("q", self.q), ("k", self.k), ("v", self.v))
        }))
        self.ok("run --q in.safetensors:q --k in.safetensors:k --v in.safetensors:v "
                "--out o.safetensors:out --lse o.safetensors:lse")
        self.ok("run", self.INPUTS, "--out out.npy")
        with open(self.path("o.safetensors"), "rb") as file:
            data = file.read()
        length = struct.unpack("<Q", data[:8])[0]
        self.assertIn(b'"lse"', data[8 : 8 + length])
        self.assertIn(pack("f4", self.load("out.npy")[1]), data)

    def test_types_are_asked_for(self):
        half = [struct.unpack("<e", struct.pack("<e", x))[0] for x in self.q]
        self.save("half.npy", SHAPE, half, code="f2")
        self.refused("k: got f32[1, 31, 2, 8], allowed: f16 as q",
                     "run --q half.npy --k k.npy --v v.npy --out out.npy")
        self.ok("run --q half.npy --k k.npy --v v.npy --dtype f16 --out f16.npy")
        self.ok("run --q q.npy --k k.npy --v v.npy --out f32.npy")
        self.assertClose(self.load("f16.npy")[1], self.load("f32.npy")[1], 5e-3)
        self.ok("run --q q.npy --k k.npy --v v.npy --dtype bf16 --out bf16.npy")
        shape, values = self.load("bf16.npy")  # a format without bf16 gets f32
        self.assertClose(values, self.load("f32.npy")[1], 2e-2)
        for value in values:
            self.assertEqual(struct.pack("<f", value)[:2], b"\0\0")

    def test_masks_and_arguments(self):
        mask = [j != 5 for j in range(31)]
        self.save("mask.npy", (1, 31), mask, code="b1")
        self.write("own.tile", "mask own(b: index, h: index, i: index, j: index, "
                               "hide: view<bool>[Nk], on: bool) {\n"
                               "  return not (hide[j] and on)\n}\n")
        self.save("hide.npy", (31,), [not seen for seen in mask], code="b1")
        self.ok("run", self.INPUTS, "--key-mask mask.npy --out a.npy --ranks 2")
        self.ok("run", self.INPUTS, "--mask own.tile:own --arg hide=hide.npy --arg own.on=true "
                "--out b.npy --ranks 2")
        self.assertClose(self.load("b.npy")[1], self.load("a.npy")[1])
        self.ok("run", self.INPUTS, "--mask own.tile:own --arg hide=hide.npy on=false --out c.npy")
        self.ok("run", self.INPUTS, "--out d.npy")
        self.assertClose(self.load("c.npy")[1], self.load("d.npy")[1])

    def test_bias_and_documents(self):
        self.save("bias.npy", (1, 1, 31, 31))
        self.save("zero.npy", (1, 1, 31, 31), [0.0] * 961)
        self.save("cu.npy", (3,), [0, 10, 31], code="i4")
        self.ok("run", self.INPUTS, "--bias bias.npy --cu-seqlens cu.npy --out a.npy --ranks 3")
        self.ok("run", self.INPUTS, "--bias bias.npy --cu-seqlens cu.npy --out b.npy")
        self.assertClose(self.load("a.npy")[1], self.load("b.npy")[1])
        self.ok("run", self.INPUTS, "--bias zero.npy --out c.npy")
        self.ok("run", self.INPUTS, "--out d.npy")
        self.assertClose(self.load("c.npy")[1], self.load("d.npy")[1])

    def test_the_talk_is_on_stderr(self):
        done = self.ok("run", self.INPUTS, "--out out.npy -v --ranks 2")
        self.assertEqual(done.stdout, "")
        self.assertIn("forward", done.stderr)
        self.assertEqual(self.ok("run", self.INPUTS, "--out out.npy -q").stderr, "")

    def test_empty(self):
        self.save("none.npy", (1, 0, 2, 8), [])
        self.ok("run --q none.npy --k k.npy --v v.npy --out out.npy --ranks 2")
        self.assertEqual(self.load("out.npy"), ((1, 0, 2, 8), []))
        self.ok("run --q q.npy --k none.npy --v none.npy --out out.npy --lse lse.npy --ranks 2")
        self.assertEqual(set(self.load("out.npy")[1]), {0.0})
        self.assertEqual(set(self.load("lse.npy")[1]), {-math.inf})


if __name__ == "__main__":
    unittest.main()
