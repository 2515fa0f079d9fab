"""`ringc verify --program`: what the assertion programs of ring-attention-pytorch check, by their flags."""

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

    def test_flash(self):
        self.passes("--program", "flash")
        self.passes("--program", "flash", "--causal", "--softcap", "50", "--ranks", "2")

    def test_refusals(self):
        self.refused("program: got modul, allowed: attention, flash, module, zigzag", "verify", "--program", "modul")
        self.refused(
            "striped_ring_attn: got true without causal", "verify", "--program", "module", "--striped-ring-attn"
        )
        self.refused("num-buckets: got 3, allowed: a divisor", "verify", "--program", "module", "--num-buckets", "3")
        self.refused("seq-len: got 0", "verify", "--program", "module", "--seq-len", "0")
        self.refused("device: got cuda, allowed: cpu", "verify", "--program", "module", "--device", "cuda")


if __name__ == "__main__":
    unittest.main()
