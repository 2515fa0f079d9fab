#!/usr/bin/env python3
"""Random masks and scores that index views by anything, over every kind of extent, each verified
against ringc's interpreter:

    index_test.py RINGC [--runs 40] [--minutes M] [--seed S] [--device cpu|cuda] [--under COMMAND]

`--under "compute-sanitizer --error-exitcode 9"` has each run watched for reads beside its views.
A run's seed is printed where it fails; `--seed S --runs 1` repeats it.
"""

import argparse
import math
import os
import pathlib
import random
import shlex
import struct
import subprocess
import sys
import tempfile
import time

TYPES = {"f32": ("<f4", "f"), "i32": ("<i4", "i"), "bool": ("|b1", "?")}
CONSTANTS = [0, 1, 2, 3, 7, 15, 64, -1, -2, 1000000000, 2147483647, -2147483648]
# Of masks alone: a score keeps finite what is finite.
EXTREMES = [math.nan, math.inf, -math.inf, 0.0, -0.0, 0.5, -2.75, 2147483520.0, 2147483648.0, -2147483648.0, 3e9, -3e9, 1e30, -1e30, 200.0]
CONDITIONS = ["{} > 0.0", "i32({}) > 0", "i32({}) % 7 != 1", "i32({}) + 1 > 0", "min({}, 0.5) > 0.0", "max({}, -0.5) <= 0.0", "{0} != {0}",
              "not ({} < 1.0)", "abs({}) >= 0.5", "sqrt({}) > 1.0", "log2({}) < 0.0", "exp2({}) > 1.5", "tanh({}) > 0.9", "{} / 0.0 > 0.0",
              "{} * 1e30 > 0.0", "1.0 / {} > 0.0"]
EXTENTS = [1, 1, 2, 3, 5, 15, 16, 63, 64, 65, 127]


def npy(path, kind, shape, values):
    descr, code = TYPES[kind]
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    data = struct.pack(f"<{len(values)}{code}", *values)
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)


class Drawn:
    """One call of ringc verify, and the files that it reads."""

    def __init__(self, seed, folder):
        self.random = random.Random(seed)
        self.folder, self.names = folder, 0
        pick = self.random.choice
        self.batch, self.queries, self.keys = pick([1, 2, 3]), pick([1, 7, 64, 100, 131]), pick([1, 30, 64, 129, 200])
        if pick([True, False]):
            self.queries = self.keys
        self.kv_heads = pick([1, 2])
        self.heads = self.kv_heads * pick([1, 2, 3])
        mask = [self.view(f"m{at}", EXTREMES) for at in range(pick([1, 2]))]
        score = [self.view(f"s{at}", [at / 8 for at in range(-8, 9)]) for at in range(pick([1, 2]))]
        views = mask + score
        positions = "b: index, h: index, i: index, j: index, "
        (folder / "m.tile").write_text(
            f"mask seen({positions}{', '.join(v[1] for v in mask)}) {{ return {' and '.join(self.condition(v) for v in mask)} or i == j }}\n"
            f"score shifted(s: f32, {positions}{', '.join(v[1] for v in score)}) {{ return s + {' + '.join(self.number(v) for v in score)} }}\n")
        dtype = pick(["f32", "f32", "bf16", "f16"])
        self.words = ["verify", "--shape", f"{self.batch},{self.queries}/{self.keys},{self.heads},{self.kv_heads},{pick([16, 24, 64])}",
                      "--mask", f"{folder}/m.tile:seen", "--score", f"{folder}/m.tile:shifted", "--dtype", dtype,
                      "--ranks", str(pick([1, 1, 2, 3])), "--layout", pick(["contiguous", "striped", "striped:3", "zigzag"]),
                      "--backward", pick(["split", "fused"]), "--seed", str(seed), "--kv-head-map", pick(["blocked", "tiled"])]
        if pick([True, False]):
            self.words.append("--causal")
        for name, *_ in views:
            self.words += ["--arg", f"{name}={folder}/{name}.npy"]

    def index(self, depth):
        pick = self.random.choice
        if depth == 0 or self.random.random() < 0.3:
            value = pick(["i", "j", "b", "h", None, None])
            return value or f"({pick(CONSTANTS)})"
        a, b = self.index(depth - 1), self.index(depth - 1)
        return pick([f"({a} + {b})", f"({a} - {b})", f"({a} * {b})", f"({a} / {b})", f"({a} % {b})", f"min({a}, {b})", f"max({a}, {b})",
                     f"abs({a})", f"(-{a})", f"({a} < {b} ? {a} : {b})", f"i32(f32({a}) * 0.75)", f"i32(f32({a}) * 1e20)"])

    def axis(self, taken):
        index, pick = self.index(self.random.randrange(3)), self.random.choice
        kind = pick(["Nq", "Nk", "B", "H", "Hkv", "free", "free", "free"])
        if kind in taken or kind in ("free",):
            extent = pick(EXTENTS)
            self.names += 1
            return pick([str(extent), f"F{self.names}"]), extent, index
        if kind == "Nq" or kind == "Nk":
            taken.add(kind)
            return (kind, self.queries, "i") if kind == "Nq" else (kind, self.keys, "j")
        own = {"B": (self.batch, "b"), "H": (self.heads, "h"), "Hkv": (self.kv_heads, index)}[kind]
        return kind, 1 if kind != "Hkv" and pick([True, False, False]) else own[0], pick([own[1], index])

    def view(self, name, reals):
        kind, taken, axes = self.random.choice(list(TYPES)), set(), []
        for _ in range(self.random.choice([1, 1, 1, 2, 3, 4])):
            axis = self.axis(taken)
            if math.prod(a[1] for a in axes) * axis[1] > 50000:
                axis = ("1", 1, self.index(1))
            axes.append(axis)
        shape = [extent for _, extent, _ in axes]
        draw = {"f32": lambda: self.random.choice(reals), "i32": lambda: self.random.randint(-8, 8), "bool": lambda: self.random.random() < 0.5}[kind]
        npy(self.folder / f"{name}.npy", kind, shape, [draw() for _ in range(math.prod(shape))])
        return name, f"{name}: view<{kind}>[{', '.join(a[0] for a in axes)}]", f"{name}[{', '.join(a[2] for a in axes)}]", kind

    def condition(self, view):
        return {"f32": self.random.choice(CONDITIONS), "i32": "{} > 0", "bool": "{}"}[view[3]].format(view[2])

    def number(self, view):
        return {"f32": f"{view[2]} * 0.125", "i32": f"f32({view[2]}) * 0.125", "bool": f"({view[2]} ? 0.125 : 0.0)"}[view[3]]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ringc")
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--under", default="")
    arguments = parser.parse_args()
    if arguments.device == "cuda":
        info = subprocess.run([arguments.ringc, "info"], text=True, stdout=subprocess.PIPE).stdout
        if "cuda:0" not in info:
            print("there is no GPU: " + "".join(line for line in info.splitlines() if line.startswith("CUDA")))
            return 77
    print(f"seed {arguments.seed}", flush=True)
    began, runs, failed = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        environment = {"RINGC_CACHE_DIR": f"{scratch}/cache", **os.environ}
        while (time.monotonic() - began < 60 * arguments.minutes) if arguments.minutes else runs < arguments.runs:
            seed = arguments.seed + runs
            folder = pathlib.Path(scratch) / str(seed)
            folder.mkdir()
            words = [*shlex.split(arguments.under), arguments.ringc, *Drawn(seed, folder).words, "--device", arguments.device]
            done = subprocess.run(words, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
            runs += 1
            if done.returncode != 0:
                failed += 1
                print(f"seed {seed}: exit {done.returncode}\n{shlex.join(words)}\n{(folder / 'm.tile').read_text()}{done.stdout}", flush=True)
    print(f"{runs - failed} of {runs} masks and scores read their views as the interpreter does")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
