"""Input that cannot be: a clear message, exit 1, nothing written."""

import os
import resource
import unittest

from ringc import RingcTest, npy, pack, safetensors

SHAPE = (2, 10, 4, 8)
INPUTS = "--q q.npy --k k.npy --v v.npy"
OUT = "--out out.npy"


class BadInput(RingcTest):
    def setUp(self):
        super().setUp()
        self.save("q.npy", SHAPE)
        self.save("k.npy", (2, 12, 2, 8))
        self.save("v.npy", (2, 12, 2, 8))

    def test_it_fits_to_begin_with(self):
        self.ok("run", INPUTS, OUT)

    def test_shapes_that_do_not_agree(self):
        self.save("x.npy", (2, 11, 2, 8))
        self.refused("v: got f32[2, 11, 2, 8], allowed: f32[2, 12, 2, 8]",
                     "run --q q.npy --k k.npy --v x.npy", OUT)
        self.save("x.npy", (1, 12, 2, 8))
        self.refused("k: got f32[1, 12, 2, 8]", "run --q q.npy --k x.npy --v v.npy", OUT)
        self.save("x.npy", (2, 12, 2, 4))
        self.refused("k: got f32[2, 12, 2, 4]", "run --q q.npy --k x.npy --v v.npy", OUT)
        self.refused("dout: got f32[2, 12, 2, 8]", "run", INPUTS, "--dout v.npy --dq dq.npy")

    def test_heads_not_divisible(self):
        self.save("x.npy", (2, 12, 3, 8))
        self.refused("kv heads: got 3, allowed: a divisor of heads, 4",
                     "run --q q.npy --k x.npy --v x.npy", OUT)

    def test_rank_and_type_of_a_file(self):
        self.save("x.npy", (2, 12, 16))
        self.refused("k: got f32[2, 12, 16], allowed: four axes", "run --q q.npy --k x.npy --v v.npy",
                     OUT)
        self.save("x.npy", (2, 12, 2, 8), range(384), code="i4")
        self.refused("k: got i32[2, 12, 2, 8]", "run --q q.npy --k x.npy --v v.npy", OUT)
        self.refused("key mask: got f32[2, 10, 4, 8]", "run", INPUTS, OUT, "--key-mask q.npy")
        self.refused("cu_seqlens: got f32[2, 10, 4, 8]", "run", INPUTS, OUT, "--cu-seqlens q.npy")
        self.refused("bias: got f32[2, 10, 4, 8]", "run", INPUTS, OUT, "--bias q.npy")

    def test_too_wide_heads_and_none(self):
        self.save("x.npy", (1, 2, 1, 257))
        self.refused("head dim: got 257, allowed: 1 to 256", "run --q x.npy --k x.npy --v x.npy", OUT)
        self.save("x.npy", (1, 2, 0, 8), [])
        self.refused("q: got f32[1, 2, 0, 8]", "run --q x.npy --k x.npy --v x.npy", OUT)

    def test_lying_headers(self):
        data = pack("f4", [0.0] * 384)
        for content in [
            npy("<f4", (2, 12, 2, 8), data[:-1]),
            npy("<f4", (2, 12, 2, 8), data + b"x"),
            npy("<f4", (2, 12, 2, 1 << 60), data),
            npy("<f4", (2, 12, 2, -8), data),
            npy("<f4", (2, 12, 2, 8), data)[:20],
            npy("<O8", (2, 12, 2, 8), data),
            b"",
        ]:
            self.write("x.npy", content)
            self.refused("x.npy: ", "run --q q.npy --k x.npy --v v.npy", OUT)
        whole = safetensors({"k": ("F32", (2, 12, 2, 8), data)})
        for content in [whole[:-1], whole[:5], b"\xff" * 16, whole + b"x", b""]:
            self.write("x.safetensors", content)
            self.refused("x.safetensors: ", "run --q q.npy --k x.safetensors:k --v v.npy", OUT)
        self.write("x.safetensors", whole)
        self.refused("x.safetensors", "run --q q.npy --k x.safetensors:other --v v.npy", OUT)

    def test_files_that_are_not_there(self):
        self.refused("missing.npy", "run --q missing.npy --k k.npy --v v.npy", OUT)
        self.refused("tensor file", "run --q q.txt --k k.npy --v v.npy", OUT)
        self.refused("missing.tile", "run", INPUTS, OUT, "--mask missing.tile:m")
        self.refused("missing.npy", "run", INPUTS, OUT, "--key-mask missing.npy")

    def test_numbers(self):
        for option, message in [
            ("--scale nan", "scale: got nan"),
            ("--scale inf", "scale: got inf"),
            ("--window -2,0", "window left: got -2"),
            ("--window 0,-2", "window right: got -2"),
            ("--window 1", "window: got 1"),
            ("--window a,b", "window: got a,b"),
            ("--softcap 0", "softcap: got 0"),
            ("--softcap -1", "softcap: got -1"),
            ("--softcap nan", "softcap: got nan"),
            ("--prefix -1", "prefix: got -1"),
            ("--ranks 0", "ranks: got 0"),
            ("--ranks -1", "ranks: got -1"),
            ("--ranks 4 --ring-size 3", "ring size: got 3, allowed: a divisor of the world, 4"),
            ("--ring-size 2", "ring size: got 2, allowed: a divisor of the world, 1"),
            ("--layout spiral", "layout: got spiral"),
            ("--layout striped:0", "layout: got striped:0"),
            ("--schedule spiral", "schedule: got spiral, allowed: auto, ring, ring:C with 1 to 64 chunks of a hop, all-gather"),
            ("--schedule ring:0", "schedule: got ring:0, allowed: auto, ring, ring:C"),
            ("--schedule ring:65", "schedule: got ring:65, allowed: auto, ring, ring:C"),
            ("--schedule ring:2x", "schedule: got ring:2x, allowed: auto, ring, ring:C"),
            ("--schedule all-gather:2", "schedule: got all-gather:2, allowed: auto, ring, ring:C"),
            ("--threads -1", "threads: got -1"),
            ("--kv-head-map round", "kv head map: got round"),
            ("--dtype f8", "dtype: got f8"),
            ("--f32 half", "f32: got half, allowed: 3xtf32, tf32"),
            ("--f32 tf32", "f32: got tf32, allowed: 3xtf32 with --device cpu, which multiplies in f32"),
            ("--device tpu", "device: got tpu, allowed: cpu, cuda"),
            ("--devices 0", "devices: got 0, allowed: nothing without --device cuda"),
            ("--tile q=0", "tile q: got 0"),
            ("--tile z=4", "tile: got z"),
            ("--tile q", "tile: got q"),
            ("--mask q.npy", "mask: got"),
            ("--arg x", "--arg: got"),
            ("--arg x=1", "argument x: got an unknown name, allowed: none here"),
            ("--arg x=hello", "argument x: got \"hello\""),
        ]:
            with self.subTest(option):
                self.refused(message, "run", INPUTS, OUT, option)

    def test_a_tile_file_with_errors(self):
        self.write("m.tile", "mask m(b: index, h: index, i: index, j: index) {\n"
                             "  return i - x < 0\n}\nmask n( { }\n")
        done = self.refused("m.tile:", "run", INPUTS, OUT, "--mask m.tile:m")
        self.assertIn("error: ", done.stderr)
        self.assertIn("^", done.stderr)

    def test_arguments(self):
        self.write("m.tile", "mask m(b: index, h: index, i: index, j: index, "
                             "reach: view<i32>[H]) {\n  return i - j < reach[h]\n}\n")
        self.refused("argument m.reach: got nothing, allowed: i32 [H]", "run", INPUTS, OUT,
                     "--mask m.tile:m")
        self.save("three.npy", (3,), [1, 2, 3], code="i4")
        self.refused("argument m.reach: got i32[3], allowed: i32 [H] with H = 4", "run", INPUTS, OUT,
                     "--mask m.tile:m --arg reach=three.npy")
        self.refused("did you mean", "run", INPUTS, OUT, "--mask m.tile:m --arg reech=three.npy")
        self.refused("m.tile:other", "run", INPUTS, OUT, "--mask m.tile:other")

    def test_documents(self):
        for values in [[0, 5], [1, 12], [0, 13], [0, 7, 6, 12], [0]]:
            self.save("cu.npy", (len(values),), values, code="i4")
            self.refused("cu_seqlens", "run", INPUTS, OUT, "--cu-seqlens cu.npy")
        self.save("x.npy", (2, 9, 2, 8))
        self.save("cu.npy", (2,), [0, 9], code="i4")
        self.refused("no more queries than keys",
                     "run --q q.npy --k x.npy --v x.npy --cu-seqlens cu.npy", OUT)

    def test_targets(self):
        self.refused("no/such", "run", INPUTS, "--out no/such/out.npy")
        self.refused("tensor file", "run", INPUTS, "--out out.txt")
        self.refused("two tensors", "run", INPUTS, "--out x.npy --lse x.npy")
        os.mkdir(self.path("folder.npy"))
        self.refused("folder.npy", "run", INPUTS, "--out folder.npy --lse lse.npy")

    def test_a_full_disk(self):
        self.save("q.npy", (1, 1000, 1, 32))
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000))
        self.ok("run --q q.npy --k q.npy --v q.npy --out fine.npy")
        os.remove(self.path("fine.npy"))
        done = self.refused("out.npy", "run --q q.npy --k q.npy --v q.npy", OUT, preexec_fn=limit)
        self.assertNotIn("internal", done.stderr)


if __name__ == "__main__":
    unittest.main()
