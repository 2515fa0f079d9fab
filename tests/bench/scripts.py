"""bench/gpu.sh and its table, on a machine without a GPU.

usage: scripts.py BENCH BIN    the folder of the scripts, the folder of ringc and test-gpu
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

BENCH, BIN = map(os.path.abspath, sys.argv[1:3])
del sys.argv[1:3]


class Scripts(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def script(self, *words):
        env = {**os.environ, "RINGC_CUDA_LIBRARY": "/nowhere/libcuda.so.1"}
        return subprocess.run([os.path.join(BENCH, "gpu.sh"), *words], cwd=self.folder.name, env=env,
                              capture_output=True, text=True, timeout=60)

    def test_without_a_gpu_it_says_so(self):
        done = self.script("--bin", BIN, "--out", "results", "--quick")
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn("skipped: everything, for there is no GPU here: no CUDA driver: "
                      "/nowhere/libcuda.so.1", done.stderr)
        with open(self.path("results/skipped.txt")) as file:
            self.assertIn("there is no GPU here", file.read())
        with open(self.path("results/info.txt")) as file:
            self.assertIn("kernel cache", file.read())

    def test_usage(self):
        self.assertEqual(self.script("--help").returncode, 0)
        for words in [["--nonsense"], ["--out"], ["--bin", "/nowhere"]]:
            self.assertEqual(self.script(*words).returncode, 2, words)

    def test_a_table_of_all_that_was_measured(self):
        common = {"shape": "1,64,2,2,32", "dtype": "bf16", "mask": "causal", "pass": "forward"}
        with open(self.path("own.jsonl"), "w") as file:
            file.write(json.dumps({**common, "devices": 2, "tflops": 500.0}) + "\n")
            file.write(json.dumps({**common, "devices": 1, "tflops": 300.0}) + "\n")
            file.write(json.dumps({**common, "devices": 1, "tflops": 310.0, "who": "ringc split"}) + "\n")
        with open(self.path("peers.jsonl"), "w") as file:
            file.write(json.dumps({**common, "devices": 1, "tflops": 240.0, "who": "A"}) + "\n")
            file.write(json.dumps({**common, "devices": 1, "tflops": 200.0, "who": "B"}) + "\n")
            file.write(json.dumps({**common, "devices": 1, "tflops": 400.0, "who": "C",
                                   "wrong": {"dk": 0.9, "dv": 0.8}}) + "\n")
        table = subprocess.run([sys.executable, os.path.join(BENCH, "gpu_table.py"), "own.jsonl",
                                "peers.jsonl"], cwd=self.folder.name, capture_output=True, text=True,
                               check=True).stdout.splitlines()
        self.assertEqual(table[1].split()[:8],
                         ["GPUs", "shape", "mask", "pass", "ringc", "ringc", "split", "A"])
        self.assertEqual(table[2].split(), ["1", "1,64,2,2,32", "causal", "forward", "300", "310", "240", "200",
                                            "400*", "1.25"])
        self.assertEqual(table[3].split(),
                         ["2", "1,64,2,2,32", "causal", "forward", "250", "-", "-", "-", "-", "-"])
        self.assertEqual(table[4:], ["* C: wrong are dk by 0.9, dv by 0.8"])


if __name__ == "__main__":
    unittest.main()
