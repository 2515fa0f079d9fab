"""tools/dev where something is missing, and the summary of tests. usage: dev_test.py TOOLS"""

import os
import subprocess
import sys
import tempfile
import unittest

TOOLS = os.path.abspath(sys.argv.pop(1))

RESULTS = """<testsuite name="x" tests="4" time="12.5">
  <testcase name="unit.good" status="run"><system-out>3 of 3 right, seed 77&#10;</system-out></testcase>
  <testcase name="unit.partly" status="run"><system-out>a.cpp:3: MESSAGE: skipped: a full disk: may not mount&#10;</system-out></testcase>
  <testcase name="gpu.device" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/><system-out>skipped: no CUDA driver&#10;</system-out></testcase>
  <testcase name="lit.cpu" status="{status}"><system-out>UNSUPPORTED: ringc :: cpu/x.test (1 of 2)&#10;</system-out></testcase>
</testsuite>
"""


class Dev(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def stand_in(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)

    def test_apt_without_llvm(self):
        self.stand_in("dpkg-query", "exit 1")
        self.stand_in("apt-get", 'case "$1" in update) ;; *) echo "installs"; exit 1 ;; esac')
        self.stand_in("sudo", 'exec "$@"')
        self.stand_in("apt-cache", 'case "$2" in *-22*) echo "  Candidate: (none)" ;; *) echo "  Candidate: 1.0" ;; esac')
        environment = {**os.environ, "PATH": self.folder + ":/usr/bin:/bin"}
        done = subprocess.run([f"{TOOLS}/dev", "build"], env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        for word in ("apt has no llvm-22-dev", "https://apt.llvm.org", "llvm-toolchain-", "portable archive"):
            self.assertIn(word, done.stderr)
        self.assertNotIn("installs", done.stdout)

    def test_pytorch_that_cannot_be_had(self):
        for name in ("ptxas", "chromium"):
            self.stand_in(name, "exit 0")
        self.stand_in("dpkg-query", "echo installed")
        self.stand_in("python3", 'case "$2" in venv) mkdir -p "$3/bin"; cp "$0.venv" "$3/bin/python" ;; *) echo 3.11 ;; esac')
        self.stand_in("python3.venv", 'echo "no network" >&2; exit 1')
        venv = os.path.join(self.folder, "venv")
        environment = {**os.environ, "PATH": self.folder + ":/usr/bin:/bin", "RINGC_TORCH_VENV": venv}
        done = subprocess.run([f"{TOOLS}/dev", "setup"], env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("there is no PyTorch", done.stderr)
        with open(f"{venv}/why") as why:
            self.assertEqual(why.read(), "no network\n")
        self.stand_in("python3.venv", "exit 0")
        done = subprocess.run([f"{TOOLS}/dev", "setup"], env=environment, capture_output=True, text=True, timeout=60)
        self.assertIn("installing PyTorch", done.stderr)
        self.assertFalse(os.path.exists(f"{venv}/why"))
        done = subprocess.run([f"{TOOLS}/dev", "setup"], env=environment, capture_output=True, text=True, timeout=60)
        self.assertNotIn("installing", done.stderr)

    def summary(self, status):
        folder = os.path.join(self.folder, "asan")
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/tests.xml", "w") as file:
            file.write(RESULTS.format(status=status))
        return subprocess.run([sys.executable, f"{TOOLS}/test_summary.py", f"{folder}/tests.xml"], capture_output=True,
                              text=True)

    def test_summary_gives_reasons(self):
        done = self.summary("run")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("unit.good: 3 of 3 right, seed 77\n", done.stdout)
        self.assertIn("skipped:\n  asan unit.partly: a full disk: may not mount\n  asan gpu.device: no CUDA driver\n"
                      "  asan lit.cpu: ringc :: cpu/x.test (1 of 2)\n", done.stdout)
        self.assertTrue(done.stdout.endswith("100% tests passed, 0 tests failed out of 4\n"))

    def test_summary_of_a_failure(self):
        done = self.summary("fail")
        self.assertEqual(done.returncode, 1)
        self.assertIn("failed:\n  asan lit.cpu\n", done.stdout)
        self.assertTrue(done.stdout.endswith("75% tests passed, 1 tests failed out of 4\n"))

    def test_summary_of_a_run_that_did_not_happen(self):
        done = subprocess.run([sys.executable, f"{TOOLS}/test_summary.py", f"{self.folder}/tsan/tests.xml"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("its tests did not run", done.stdout)


if __name__ == "__main__":
    unittest.main()
