"""ringc tune SPEC.json|FILE.tile: kernels of any kind, what they are checked with, and what is refused."""

import json
import os
import unittest

from ringc import RingcTest

FAKE = os.environ.get("RINGC_FAKE_CUDA")

MATMUL = """kernel matmul<T: type, BM = 64, BN = 64, BK = 64>(a: view<T>[M, K], b: view<T>[K, N], c: view<f32>[M, N])
  over i in M step BM, j in N step BN
{
  var acc = zeros<f32>[BM, BN]
  for k in 0 .. K step BK { acc += dot(a[i : BM, k : BK], b[k : BK, j : BN]) }
  c[i : BM, j : BN] = acc
}
"""

# What it writes depends on a tile size: only tiles of the source's own size are right.
SIZED = """kernel sized<BM = 64, BN = 64>(x: view<f32>[M, N], y: view<f32>[M, N]) over r in M step BM {
  for c in 0 .. N step BN { y[r : BM, c : BN] = x[r : BM, c : BN] + f32(BM) }
}
"""

# Tiles of 128 rows have more elements than a tile may; of 64 they just fit.
WIDE = """kernel wide<BM = 128, WIDTH = 16384>(x: view<f32>[M, N]) over r in M step BM {
  x[r : BM, 0 : 1] = rowsum(full<f32>[BM, WIDTH](1.0))
}
"""

RECEIVED = """kernel received<D, T: type, BQ = 64, BKV = 64, mask: predicate = all>(
    q: view<T>[Nq, D], k: view<T>[Nk, D], lse: view<f32>[Nq], qpos: positions[Nq], kpos: positions[Nk],
    scale: f32, weight: view<f32>[Nk])
  over keys in Nk step BKV
{
  let kt = k[keys : BKV, :]
  var sum = zeros<f32>[1, BKV]
  for rows in 0 .. Nq step BQ if seen = mask(qpos[rows : BQ], kpos[keys : BKV]) {
    let s = dot(q[rows : BQ, :], kt^T) * scale
    sum += colsum(where(seen, exp2((s - lse[rows : BQ]) * LOG2E), 0.0))
  }
  weight[keys : BKV] += sum^T
}
"""


class TuneKernels(RingcTest):
    def setUp(self):
        super().setUp()
        self.table = self.path("tune.json")
        for name, text in [("matmul", MATMUL), ("sized", SIZED), ("wide", WIDE), ("received", RECEIVED)]:
            self.write(name + ".tile", text)

    def entries(self):
        with open(self.table) as file:
            return json.load(file)["entries"]

    def tune(self, *arguments):
        done = self.ok("tune", *arguments, "--seed 3 --json --all --out", self.table)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_a_product_is_tuned_and_compile_takes_it(self):
        line, = self.tune("matmul.tile --extent M=130,N=100,K=300 --budget 6s")
        self.assertEqual(line["kernel"], "matmul")
        self.assertEqual({c["verdict"] for c in line["candidates"]}, {"measured"})
        entry, = self.entries()
        self.assertEqual(entry["key"]["extents"], {"K": 512, "M": 256, "N": 128})
        self.assertTrue(entry["key"]["kernel"].startswith("matmul#"))
        entry["config"]["tile"] = {"m": 16, "n": 32, "k": 256}
        other = json.loads(json.dumps(entry))
        other["key"]["extents"] = {"K": 4096, "M": 4096, "N": 4096}
        other["config"]["tile"] = {"m": 128, "n": 32, "k": 16}
        with open(self.table, "w") as file:
            json.dump({"version": 1, "entries": [entry, other]}, file)
        env = {"RINGC_TUNE_TABLE": self.table}
        for extents, tile in [("M=200,N=128,K=400", {"m": 16, "n": 32, "k": 256}),
                              ("M=2000,N=3000,K=9000", {"m": 128, "n": 32, "k": 16})]:
            done = self.ok("compile matmul.tile --extent", extents, env=env)
            self.assertEqual(json.loads(json.loads(done.stdout)["provenance"])["tile"]["tile"], tile)
        self.assertIn(", entry ", self.ok("compile matmul.tile -v", env=env).stderr)
        self.assertNotIn(", entry ", self.ok("compile matmul.tile -v --set dtype=bf16", env=env).stderr)
        self.assertIn("K=512,M=256,N=128", self.ok("tune --show", self.table).stdout)
        self.refused("extent Q: got 3, allowed: those of kernel matmul: K, M, N", "compile matmul.tile --extent Q=3", env=env)
        # Sizes that are not the kernel's cost a warning.
        entry["config"]["tile"]["z"] = 16
        with open(self.table, "w") as file:
            json.dump({"version": 1, "entries": [entry]}, file)
        self.assertIn("has no dimension z", self.ok("compile matmul.tile", env=env).stderr)

    def test_what_is_wrong_is_never_chosen(self):
        line, = self.tune("sized.tile --extent M=300,N=200 --budget 8s")
        verdicts = {c["config"]["tile"]["m"]: c["verdict"] for c in line["candidates"]}
        self.assertEqual({m for m, verdict in verdicts.items() if verdict == "measured"}, {64})
        self.assertIn("wrong", verdicts.values())
        self.assertEqual(line["best"]["tile"]["m"], 64)

    def test_a_default_that_cannot_be_had(self):
        done = self.ok("tune wide.tile --extent M=300,N=2 --budget 5s --out", self.table)
        self.assertIn("the default, m=128, was refused: ", done.stdout)
        self.assertIn("16384 elements, allowed: at most 1048576", done.stdout)
        self.assertIn("in its place", done.stdout)
        self.assertLessEqual(self.entries()[0]["config"]["tile"]["m"], 64)
        done = self.refused("wide: of 5 sizes 5 were tried, and none can be had; 5 refused, the first: ",
                            "tune wide.tile --set constants.WIDTH=1048576 --extent M=300,N=2 --budget 60s --out", "none.json")
        self.assertNotIn("entries", done.stderr)

    def test_a_kernel_of_heads_with_a_mask(self):
        line, = self.tune("received.tile --set head_dim=16 --set group_size=2 --set mask=causal,window --set dtype=bf16",
                          "--arg left=100 --arg window.right=-1 --arg scale=0.25 --extent Nq=300,Nk=310,H=4 --budget 8s")
        self.assertEqual({c["verdict"] for c in line["candidates"]}, {"measured"})
        self.assertEqual(self.entries()[0]["key"]["extents"], {"B": 1, "Hkv": 2, "Nk": 512, "Nq": 512})

    def test_an_attention_by_its_spec(self):
        self.write("dq.json", json.dumps({"kernel": "attention_backward_dq", "head_dim": 16, "group_size": 2,
                                          "mask": ["causal", "window"], "score": ["softcap"]}))
        line, = self.tune("dq.json --window 50,0 --softcap 20 --extent Nk=200,H=2 --budget 5s")
        self.assertEqual(line["kernel"], "attention_backward_dq")
        key = self.entries()[0]["key"]
        self.assertEqual((key["extents"], key["length"], key["group_size"]), ({}, 256, 2))
        env = {"RINGC_TUNE_TABLE": self.table}
        done = self.ok("compile dq.json -v", env=env)
        self.assertIn(", entry ", done.stderr)
        for message, *line in [
            ("mask window: got nothing, allowed: its value, --window L,R", "--softcap 3"),
            ("--prefix: got a value, allowed: none", "--softcap 3 --window 3,3 --prefix 2"),
            ("--causal: got a value, allowed: none beside a spec, whose field mask says it", "--causal"),
            ("--pass: got a value", "--pass backward"),
            ("constants: got BQ, allowed: none", "--set constants.BQ=16"),
            ("tile: got q, allowed: nothing", "--set tile.q=16"),
            ("extent M: got 3, allowed: Nq, Nk, B, H, Hkv", "--softcap 3 --window 3,3 --extent M=3"),
            ("extent H: got 3, allowed: a multiple of the spec's group_size, 2", "--softcap 3 --window 3,3 --extent H=3"),
            ('mask: got ["window","causal"], allowed: what the operator asks for: ["causal","window"]',
             "--softcap 3 --window 3,3 --set mask=window,causal --extent Nk=64"),
            ("shape: got 1000,1000000,1000000,500000,16, tensors of ",
             "--softcap 3 --window 3,3 --extent Nk=1000000,B=1000,H=1000000"),
        ]:
            with self.subTest(message):
                self.refused(message, "tune dq.json", *line, env=env)

    def test_bad_input(self):
        env = {"RINGC_TUNE_TABLE": self.table}
        product = "tune matmul.tile --extent M=64,N=64,K=64"
        for message, line in [
            ("extent K: got nothing, allowed: a length for each of kernel matmul's: --extent K=4096,M=4096,N=4096",
             "tune matmul.tile"),
            ("extent M: got 0, allowed: 1 to 2147418111", "tune matmul.tile --extent M=0,N=1,K=1"),
            ("extent Q: got 2, allowed: those of kernel matmul: K, M, N", "tune matmul.tile --extent M=1,N=1,K=1,Q=2"),
            ("extent: got M=3,M=4, allowed: lengths by name, each once", "tune matmul.tile --extent M=3,M=4"),
            ("extent: got M=2000000,N=2000000,K=1, tensors of 14901", "tune matmul.tile --extent M=2000000,N=2000000,K=1"),
            ("--ranks: got a value, allowed: none: kernel matmul is no attention", product + " --ranks 2"),
            ("--window: got a value, allowed: none: kernel matmul is no attention", product + " --window 3,3"),
            ("--dtype: got a value, allowed: none beside a spec, whose field dtype says it", product + " --dtype bf16"),
            ("--shape: got 1,2,3,4,5, allowed: none beside a spec", product + " --shape 1,2,3,4,5"),
            ("--extent: got M=3, allowed: none without SPEC.json or FILE.tile", "tune --extent M=3"),
            ("--set: got dtype=bf16, allowed: none without SPEC.json or FILE.tile", "tune --set dtype=bf16"),
            ("target: got sm_90, allowed: cpu", product + " --set target=sm_90"),
            ("mask: got causal, allowed: none: kernel matmul has none", product + " --set mask=causal"),
            ("argument x: got an unknown name, allowed: none", product + " --arg x=3"),
            ("kernel matmul: got no tile sizes that its source leaves open",
             product + " --set constants=BM=64,BN=64,BK=64"),
            ("argument window.left: got nothing, allowed: a value: --arg window.left=1",
             "tune received.tile --set mask=window --extent Nq=64,Nk=64"),
            ("source: got matmul.txt, allowed: SPEC.json, FILE.tile", "tune matmul.txt"),
            ("none.tile: cannot be read", "tune none.tile"),
        ]:
            with self.subTest(line):
                self.refused(message, line, env=env)
        self.write("own.tile", "kernel attention_forward<BM = 16>(x: view<f32>[M, 4]) over r in M step BM { x[r : BM, :] = x[r : BM, :] }")
        self.refused("kernel: got attention_forward, allowed: a name that no attention kernel of the library has",
                     "tune own.tile --extent M=4", env=env)

    @unittest.skipUnless(FAKE, "no stand-in for a driver")
    def test_on_a_device_that_computes_nothing(self):
        env = {"RINGC_CUDA_LIBRARY": FAKE, "RINGC_TUNE_TABLE": self.table}
        self.refused("none can be had; ", "tune matmul.tile --extent M=64,N=64,K=64 --budget 3s --device cuda", env=env)


if __name__ == "__main__":
    unittest.main()
