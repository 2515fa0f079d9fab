"""`ringc verify --program`: what the assertion programs of ring-attention-pytorch check, by their flags."""

import os
import unittest

from ringc import RingcTest


class Programs(RingcTest):
    def passes(self, *arguments):
        done = self.ringc("verify", *arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("FAIL", done.stdout)
        return done.stdout.splitlines()[1:]

    def test_module(self):
        lines = self.passes("--program", "module")
        self.assertEqual(len(lines), 8 * 5)  # every rank, every gradient
        for flags in (
            ["--causal", "--batch-size-var-len"],
            ["--causal", "--striped-ring-attn", "--random-key-mask"],
            ["--num-sharded-batches", "2", "--ranks", "4", "--layout", "zigzag"],
            ["--heads", "4", "--num-grouped-query-heads", "4", "--dim-head", "8", "--model-dim", "12"],
            ["--causal", "--dtype", "bf16", "--softcap", "2", "--window", "7,-1"],
        ):
            self.passes("--program", "module", *flags)

    def test_zigzag(self):
        self.passes("--program", "zigzag")
        self.passes("--program", "zigzag", "--ranks", "3", "--seq-len", "64", "--num-buckets", "1")

    def test_assert(self):
        lines = self.passes("--program", "assert", "--causal")
        self.assertEqual(len(lines), 8 * (2 + 1 + 2 * 8 + 2))  # every rank, logits and loss, every weight
        for flags in (
            ["--causal", "--striped-ring-attn", "--batch-size-var-len", "--ranks", "3", "--num-buckets", "1"],
            ["--num-sharded-batches", "2", "--ranks", "4", "--layout", "zigzag", "--random-key-mask"],
            ["--causal", "--dtype", "bf16", "--window", "7,-1", "--ranks", "2"],
        ):
            self.passes("--program", "assert", *flags)

    def test_flash(self):
        self.passes("--program", "flash")
        self.passes("--program", "flash", "--causal", "--softcap", "50", "--ranks", "2")

    def test_tree(self):
        lines = self.passes("--program", "tree")
        self.assertEqual(len(lines), 2 * 2 * 8 * 2)  # heads, keys, every rank, out and lse
        self.passes("--program", "tree", "--ranks", "5", "--seq-len", "3", "--batch", "2", "--dim", "37",
                    "--heads", "6", "--num-grouped-query-heads", "3", "--dtype", "bf16")
        self.passes("--program", "tree", "--ranks", "1", "--seq-len", "0")

    def test_decode(self):
        lines = self.passes("--program", "decode", "--count", "8")
        self.assertEqual(len(lines), 8 * 2)
        self.assertGreater(len({line.split("rank")[0] for line in lines}), 1)
        fixed = self.passes("--program", "decode", "--count", "3", "--seed", "7", "--ranks", "3", "--dtype", "f16", "--causal",
                            "--window", "9,0", "--page", "16", "--split", "64", "--shape", "2,3/90,4,2,32/24",
                            "--kv-head-map", "blocked", "--softcap", "3", "--scale", "0.2", "--alibi=false")
        for line in fixed:
            self.assertRegex(line, r"^\d: f16 2 x 3/90, heads 4/2 of 32/24, pages of 16.*, split 64, causal.*, window, softcap, scale  ")
            self.assertIn(" of 3 ", line)
        # A problem is its seed's, whatever came before it.
        self.assertEqual(self.passes("--program", "decode", "--count", "1", "--seed", "3")[0].split(),
                         lines[4].split())

    def test_functions_of_ones_own(self):
        self.write(
            "own.tile",
            "mask some(b: index, h: index, i: index, j: index, of: view<i32>[B]) { return (j + h + of[b]) % 3 != 0 }\n"
            "score bent(s: f32, b: index, h: index, i: index, j: index, by: f32) { return s + by * f32(i - j) / f32(1 + b) }\n",
        )
        self.save("of.npy", [3], [0, 1, 2], "i4")
        self.passes("--program", "decode", "--count", "4", "--shape", "3,2/100,4,2,16", "--mask", "own.tile:some",
                    "--score", "own.tile:bent", "--arg", "of=of.npy", "--arg", "by=0.01")

    def test_refusals(self):
        self.refused("program: got modul, allowed: attention, flash, module, zigzag, assert, decode, tree", "verify", "--program", "modul")
        self.refused("program: got tree with --mask, allowed: attention, flash, decode", "verify --program tree --mask a.tile:b")
        self.refused("program: got decode with --bias, allowed: attention, flash", "verify --program decode --bias bias.npy")
        self.refused("program: got attention with --page, allowed: decode", "verify --page 3")
        self.refused("page: got 5000, allowed: 0 to 4096", "verify --program decode --page 5000")
        self.refused("split: got 65, allowed: 0, or a multiple of 64 keys", "verify --program decode --split 65")
        self.refused("num-grouped-query-heads: got 3, allowed: a divisor of heads, 8", "verify --program tree --num-grouped-query-heads 3")
        self.refused(
            "striped_ring_attn: got true without causal", "verify", "--program", "module", "--striped-ring-attn"
        )
        self.refused("num-buckets: got 3, allowed: a divisor", "verify", "--program", "module", "--num-buckets", "3")
        self.refused("seq-len: got 0", "verify", "--program", "module", "--seq-len", "0")

    def test_ranks_of_one_process_without_a_device(self):
        for program in ["module", "assert", "zigzag", "tree"]:
            with self.subTest(program):
                self.refused("no CUDA driver: /no/libcuda.so.1: ",
                             f"verify --program {program} --device cuda --ranks 2",
                             env={"RINGC_CUDA_LIBRARY": "/no/libcuda.so.1"})

    @unittest.skipUnless(os.environ.get("RINGC_FAKE_CUDA"), "no stand-in for a driver")
    def test_ranks_of_one_process_on_devices(self):
        # It has no kernels: the ranks, threads of one device, end with what the first one missed.
        env = {"RINGC_CUDA_LIBRARY": os.environ["RINGC_FAKE_CUDA"]}
        for program in ["module", "assert", "zigzag", "tree"]:
            with self.subTest(program):
                self.refused("on device 0 (Imaginary GPU): ",
                             f"verify --program {program} --device cuda --ranks 2", env=env)


if __name__ == "__main__":
    unittest.main()
