#!/usr/bin/env python3
"""Problems drawn at random, of ordinary numbers and of those at an edge, on any number of ranks; every result on every
rank against double precision. A case that fails prints the command that repeats it alone.

    random_matrix.py --ringc build/release/bin/ringc [--minutes 2] [--seed S] [--case N] [--device cuda] [--jobs J]

Exit 0: all right, 1: not, 77: there is no NumPy.
"""

import argparse
import collections
import concurrent.futures
import os
import secrets
import subprocess
import sys
import tempfile
import time

try:
    import numpy as np
except ImportError:
    print("skipped: no NumPy for " + sys.executable + ": install python3-numpy, or run it by /usr/bin/python3")
    sys.exit(1 if os.environ.get("CI") == "true" else 77)

import values
from oracle import RESULTS, Problem, error

LAYOUTS = ("contiguous", "striped", "striped:3", "striped:16", "zigzag")
ORDINARY = 2e-5  # of f32, of the largest magnitude
LSE = 2e-6  # of each
PRODUCTS = 2e-6  # of a GPU's f32, of three in TF32, beside plain f32's


class Case:
    """Number `number` of `seed`, in a folder of its own."""

    def __init__(self, arguments, number, folder):
        self.arguments, self.number, self.folder = arguments, number, folder
        self.draw = values.Draw([arguments.seed, number])

    def repeat(self):
        device = f" --device {self.arguments.device}" if self.arguments.device != "cpu" else ""
        return (f"{sys.executable} {os.path.relpath(__file__)} --ringc {self.arguments.ringc} --seed {self.arguments.seed} "
                f"--case {self.number}{device}")

    def ringc(self, *words):
        """Exit code, stdout, stderr."""
        self.words = [str(word) for word in words]
        try:
            done = subprocess.run([self.arguments.ringc, *self.words], cwd=self.folder, capture_output=True, text=True,
                                  timeout=120)
        except subprocess.TimeoutExpired:
            return -1, "", "it took over 120 s"
        return done.returncode, done.stdout, done.stderr

    def machine(self, heads, kv_heads):
        """Flags that change who computes, not what."""
        draw, ranks = self.draw, self.draw.among(1, self.draw.upto(4), self.draw.upto(8))
        words = ["--ranks", ranks, "--layout", draw.among(*LAYOUTS), "--schedule", draw.among("auto", "ring", "ring:2", "ring:3", "ring:7", "all-gather"),
                 "--backward", draw.among("split", "fused")]
        if ranks % 2 == 0 and draw.once_in(4):
            words += ["--ring-size", ranks // 2]
        if draw.once_in(5) and self.arguments.device == "cpu":
            words += ["--tile", f"q={draw.upto(90)},kv={draw.upto(150)}"]
        if self.arguments.device != "cpu":
            words += ["--device", self.arguments.device]
        return words

    def run(self):
        """What it is, and what is wrong with it: lines, none when it is right."""
        return self.run_verify() if self.draw.once_in(3) else self.run_values()

    def run_verify(self):
        """Ordinary numbers in any type: `ringc verify` has the bars of the contract."""
        draw = self.draw
        kv_heads = draw.upto(3)
        heads = kv_heads * draw.upto(3)
        d = draw.head_dim()
        queries, keys = max(draw.length(), 0), draw.length()
        words = ["verify", "--shape", f"{draw.upto(2)},{queries}/{queries if draw.once_in(2) else keys},{heads},{kv_heads},"
                 f"{d}/{d if draw.once_in(2) else draw.head_dim()}", "--dtype", draw.among("f32", "f32", "f16", "bf16"),
                 "--seed", draw.upto(10**6), *self.machine(heads, kv_heads)]
        if draw.once_in(2):
            words += ["--causal"] + (["--prefix", draw.upto(50)] if draw.once_in(4) else [])
        if draw.once_in(4):
            words += [f"--window={draw.upto(100, -1)},{draw.upto(50, -1)}"]
        if draw.once_in(4):
            words += ["--softcap", draw.among(0.5, 5, 50)]
        if draw.once_in(4):
            words += ["--alibi"]
        if draw.once_in(4):
            words += ["--scale", draw.among(0, 0.01, 0.5, -0.2)]
        if draw.once_in(3):
            words += ["--kv-head-map", "tiled"]
        code, said, talk = self.ringc(*words)
        wrong = [line for line in said.splitlines() if "FAIL" in line] or [f"exit {code}: {talk.strip()[:300]}"]
        return "verify", wrong if code else []

    def make(self, draw, batch, queries, keys, heads, kv_heads, d, dv, scale=None):
        problem = Problem(draw.normal(batch, queries, heads, d), draw.normal(batch, keys, kv_heads, d),
                          draw.normal(batch, keys, kv_heads, dv), draw.normal(batch, queries, heads, dv),
                          F(scale if scale is not None else draw.among(d**-0.5, d**-0.5, 0.3, 0.0)))
        problem.file, problem.text = self.save, self.write
        problem.plain = False
        self.problem = problem
        return problem

    def save(self, name, array):
        np.save(f"{self.folder}/{name}.npy", array)
        return name + ".npy"

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "w") as file:
            file.write(text)
        return name

    def run_values(self):
        draw, kind = self.draw, self.draw.among(*values.KINDS)
        what = kind(draw, self.make)
        problem = self.problem
        name = kind.__name__.replace("_", " ")
        what = f"{what if isinstance(what, str) else name}, {values.mask(draw, problem) or 'no mask'}"
        heads, kv_heads = problem.q.shape[2], problem.k.shape[2]
        if draw.once_in(3):
            problem.tiled()
            problem.flags += ["--kv-head-map", "tiled"]
        self.dtype = draw.among("f32", "f32", "f16", "bf16") if kind in values.ANY_TYPE else "f32"
        words = ["run", f"--scale={problem.scale!r}", "--dtype", self.dtype, *problem.flags, *self.machine(heads, kv_heads)]
        for tensor in ("q", "k", "v", "dout"):
            setattr(problem, tensor, rounded(getattr(problem, tensor), self.dtype))
            words += [f"--{tensor}", self.save(tensor, getattr(problem, tensor))]
        for tensor in RESULTS:
            words += [f"--{tensor}", f"got-{tensor}.npy"]
        code, _, talk = self.ringc(*words)
        if code != 0:
            return name, [f"{what}: exit {code}: {talk.strip()[:300]}"]
        got = {tensor: np.load(f"{self.folder}/got-{tensor}.npy") for tensor in RESULTS}
        return name, [f"{what}: {line}" for line in self.judge(got)]

    def judge(self, got):
        """Against double precision of the logits as f32 rounds them once; at an edge, plain f32 says what rounding does."""
        problem = self.problem
        with np.errstate(all="ignore"):
            exact = problem.logits(np.float64)
            want = problem.attention(np.float64, exact.astype(F) if problem.plain else exact)
            plain = problem.attention(F)
            floors = problem.terms_that_cancel()
            lse_bar, moved = LSE, 0
            if self.arguments.device != "cpu" and self.dtype == "f32":
                lse_bar = ORDINARY
                # That many logits end up on the other side of the middle between two numbers of f32, a unit away.
                spacing = float(np.spacing(F(np.abs(exact[np.isfinite(exact)]).max(initial=0))))
                moved = (2 * PRODUCTS * min(spacing, 1)) ** 0.5
            for tensor in RESULTS:
                if not np.isfinite(plain[tensor]).all() and np.isfinite(want[tensor]).all():
                    continue  # sums that f32 cannot hold
                unit = UNITS.get(self.dtype, 0)  # p, dS and the results are rounded to it
                if tensor == "lse":
                    found = each(got[tensor].astype(float), want[tensor])
                    bar = max(lse_bar + unit + problem.rounding_of_logits(), 4 * each(plain[tensor].astype(float), want[tensor]))
                else:
                    found = error(got[tensor].astype(float), want[tensor], floors[tensor])
                    bar = max(ORDINARY + 6 * unit, 4 * error(plain[tensor].astype(float), want[tensor], floors[tensor])) + moved
                if not found <= bar:
                    bad = int((np.isfinite(got[tensor]) != np.isfinite(want[tensor])).sum())
                    yield f"error of {tensor} {found:.1e}, allowed {bar:.1e}" + (f", {bad} not finite or wrongly so" if bad else "")


F = np.float32
UNITS = {"f16": 2.0**-11, "bf16": 2.0**-8}


def rounded(array, dtype):
    """To nearest even, as f32."""
    with np.errstate(all="ignore"):
        if dtype == "f16":
            return array.astype(np.float16).astype(F)
        if dtype == "bf16":
            bits = array.view(np.uint32)
            nearest = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(F)
            return np.where(np.isfinite(array), nearest, array)
    return array


def each(got, want):
    """The largest error of a number of lse, of its own magnitude."""
    if got.shape != want.shape or not np.array_equal(np.isfinite(got), np.isfinite(want)):
        return np.inf
    fine = np.isfinite(want)
    return float((np.abs(got - want)[fine] / np.maximum(1, np.abs(want[fine]))).max(initial=0))


def run(arguments, number):
    with tempfile.TemporaryDirectory() as folder:
        case = Case(arguments, number, folder)
        name, wrong = case.run()
        return number, name, wrong, case.repeat(), " ".join(case.words)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--ringc", required=True)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--case", type=int)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    arguments.ringc = os.path.abspath(arguments.ringc)
    if arguments.seed is None:
        arguments.seed = secrets.randbits(32)
    print(f"seed {arguments.seed}", flush=True)
    end, number = time.monotonic() + 60 * arguments.minutes, 0
    done, failed = collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory() as cache, concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        os.environ.update(RINGC_CACHE_DIR=cache, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
        waiting = set()
        while True:
            if arguments.case is not None and number == 0:
                waiting.add(pool.submit(run, arguments, arguments.case))
                number = 1
            while arguments.case is None and time.monotonic() < end and len(waiting) < 2 * arguments.jobs:
                waiting.add(pool.submit(run, arguments, number))
                number += 1
            if not waiting:
                break
            ready, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in ready:
                _, name, wrong, repeat, words = future.result()
                done[name] += 1
                if wrong:
                    failed[name] += 1
                    print("\n  ".join([f"FAILED, {name}: {repeat}", f"ringc {words}", *wrong]), flush=True)
    for name in sorted(done):
        print(f"{name:14} {done[name] - failed[name]} of {done[name]}")
    print(f"{sum(done.values()) - sum(failed.values())} of {sum(done.values())} right, seed {arguments.seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
