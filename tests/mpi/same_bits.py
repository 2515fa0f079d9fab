"""The same command gives the same bits, by any number of threads. usage: same_bits.py RINGC [CLASS[.METHOD]...]"""

import hashlib
import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
from ringc import PROGRAM, RingcTest  # noqa: E402

RESULTS = ("out", "lse", "dq", "dk", "dv")
THREADS = (1, 2, 3, 4)


class SameBits(RingcTest):
    def inputs(self, n, heads, kv_heads, dim):
        self.save("q.npy", [1, n, heads, dim])
        self.save("k.npy", [1, n, kv_heads, dim])
        self.save("v.npy", [1, n, kv_heads, dim])
        self.save("dout.npy", [1, n, heads, dim])

    def bits(self, line, threads, prefix=()):
        """Digests of all results."""
        words = [*prefix, PROGRAM, "run"]
        words += [word for name in ("q", "k", "v", "dout") for word in (f"--{name}", f"{name}.npy")]
        words += [word for name in RESULTS for word in (f"--{name}", f"o-{name}.npy")]
        words += ["-q", *line.split()]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "LSAN_OPTIONS": "detect_leaks=0",  # MPI's own
        }
        # What a run before has left does not count.
        for name in RESULTS:
            if os.path.exists(self.path(f"o-{name}.npy")):
                os.remove(self.path(f"o-{name}.npy"))
        done = subprocess.run(words, cwd=self.folder.name, env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        digests = {}
        for name in RESULTS:
            with open(self.path(f"o-{name}.npy"), "rb") as file:
                digests[name] = hashlib.sha256(file.read()).hexdigest()
        return digests

    def same(self, line, threads, prefix=()):
        first = self.bits(line, threads[0], prefix)
        for count in threads[1:]:
            self.assertEqual(self.bits(line, count, prefix), first, f"{line}, {count} threads")


class OneProcess(SameBits):
    def test_the_default_backward(self):
        for heads, kv_heads in [(1, 1), (2, 2), (6, 3), (8, 8)]:
            self.inputs(150, heads, kv_heads, 16)
            for line in ["--causal", "--ranks 3 --causal --layout zigzag", "--dtype bf16 --ranks 2 --layout striped"]:
                self.same(line, THREADS + (1,))

    def test_each_form_and_schedule(self):
        self.inputs(130, 4, 2, 32)
        for backward in ("split", "fused"):
            for schedule in ("ring", "ring:3", "all-gather"):
                line = f"--causal --layout zigzag --ranks 4 --backward {backward} --schedule {schedule}"
                self.same(line, THREADS + (2,))


class Processes(SameBits):
    def mpirun(self, ranks):
        return ("mpirun", "--oversubscribe", "-n", str(ranks))

    def test_the_default_schedule(self):
        self.inputs(300, 1, 1, 16)
        self.same("--causal --layout zigzag --backward split", (1,) * 10, self.mpirun(3))

    def test_numbers_of_threads(self):
        self.inputs(150, 4, 2, 16)
        for line in ("--causal --layout zigzag", "--layout striped --schedule ring", "--layout zigzag --schedule ring:2", "--schedule all-gather"):
            self.same(line, (1, 2, 3, 1), self.mpirun(3))


if __name__ == "__main__":
    if "Processes" in sys.argv and not shutil.which("mpirun"):
        print("same_bits: skipped: no mpirun; install openmpi-bin")
        sys.exit(77)
    unittest.main(verbosity=2)
