"""bench/gpu.sh and its table, on a machine without a GPU, and with stand-ins for its programs.

usage: scripts.py BENCH BIN    the folder of the scripts, the folder of ringc and test-gpu
"""

import json
import os
import shutil
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

    def script(self, *words, env={}):
        env = {**os.environ, "RINGC_CUDA_LIBRARY": "/nowhere/libcuda.so.1", **env}
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

    def program(self, folder, name, text):
        os.makedirs(self.path(folder), exist_ok=True)
        with open(self.path(os.path.join(folder, name)), "w") as file:
            file.write("#!/bin/bash\n" + text)
        os.chmod(file.name, 0o755)

    def machine(self, gpus, nccl, python=None):
        """gpu.sh with stand-ins for what it starts, python3 among them, if any; and what it said."""
        self.program("bin", "test-gpu", "echo 'NCCL: none'; [[ $1 == '' || $1 == -* ]] || exit 77")
        devices = "".join(f"cuda:{i}        Imaginary GPU, compute capability 9.0\n" for i in range(gpus))
        line = json.dumps({"shape": "1,64,2,2,32", "dtype": "bf16", "mask": "causal", "pass": "forward",
                           "devices": 1, "tflops": 300.0})
        self.program("bin", "ringc", f"""
case $1 in
info) printf '%s' 'CUDA          13.0, libcuda.so.1\n{devices}NCCL          {nccl}\n' ;;
bench) echo "$WORLD_SIZE $*" >>{self.path("calls")}; echo '{line}' ;;
verify) echo "$WORLD_SIZE $*" >>{self.path("calls")} ;;
esac
""")
        for name in ("bash", "cat", "chmod", "dirname", "env", "grep", "mkdir", "rm", "sed", "tail", "tee", "timeout"):
            self.program("path", name, f'exec {shutil.which(name)} "$@"\n')
        if python is not None:
            self.program("path", "python3", python)
        done = self.script("--bin", self.path("bin"), "--out", "results", env={"PATH": self.path("path")})
        with open(self.path("calls")) as file:
            processes = [line.split()[0] for line in file if not line.startswith(" ")]
        return done, processes

    def test_one_gpu_without_python(self):
        done, processes = self.machine(1, "2.28.9, libnccl.so.2")
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in ("rings of processes over NCCL that fail: there is no python3",
                     "rings over several GPUs and NCCL: there is one GPU",
                     "PyTorch's attentions, and one table of all: there is no python3"):
            self.assertIn(f"skipped: {line}\n", done.stderr)
        self.assertEqual(processes, [])
        self.assertIn('"tflops": 300.0', done.stdout)

    def test_two_gpus_without_nccl_and_pytorch(self):
        python = f"""
[[ $1 == -c ]] && exit 1 # no torch
[[ $1 == */nccl_test.py ]] && echo "no NCCL" && exit 77
exec {sys.executable} "$@"
"""
        done, processes = self.machine(2, "no NCCL: libnccl.so.2: cannot open; install it", python)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("skipped: rings over several GPUs and NCCL: no NCCL: libnccl.so.2: cannot open; install it\n",
                      done.stderr)
        self.assertIn("skipped: rings of processes over NCCL that fail: no NCCL\n", done.stderr)
        self.assertRegex(done.stderr, "skipped: PyTorch's attentions: .*/python3 has no torch that sees a GPU\n")
        self.assertEqual(processes, [])
        self.assertIn("TFLOP/s of one GPU\n", done.stdout)

    def test_two_gpus(self):
        python = f"""
[[ $1 == -c ]] && exit 0
[[ $1 == */nccl_test.py ]] && exit 0
[[ $1 == */gpu_table.py ]] && exec {sys.executable} "$@"
[[ $2 == original ]] && exit 7
echo "skipped: something: $2" >&2
"""
        done, processes = self.machine(2, "2.28.9, libnccl.so.2", python)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(processes, ["2"] * 10)  # two checks and three lengths, of two processes each
        self.assertIn("skipped: ring-attention-pytorch: gpu_peers.py original, exit code 7\n", done.stderr)
        for peers in "single", "ring":
            self.assertIn(f"skipped: something: {peers}\n", done.stdout)
        self.assertIn("TFLOP/s of one GPU\n", done.stdout)

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
