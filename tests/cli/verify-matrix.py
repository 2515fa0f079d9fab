#!/usr/bin/env python3
"""Runs `ringc verify` over a matrix: each run takes the next layout, mask, head map, world, length, type
and form of the backward, in steps that bring all pairs of layout, mask and world together over the runs.

    verify-matrix.py RINGC [--runs 96] [--jobs 2]
"""

import argparse
import concurrent.futures
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

LAYOUTS = ["contiguous", "striped", "striped:3", "zigzag"]
MASKS = ["", "--causal", "--window 13,4", "--causal --window 20,-1", "--causal --prefix 9",
         "--causal --key-mask {keys}", "--causal --cu-seqlens {documents}",
         "--causal --alibi --softcap 2.5 --bias {bias}"]
HEADS = ["4,4", "4,2", "4,2 --kv-head-map tiled"]
LENGTHS = [31, 97, 63, 129, 55]
TYPES = ["f32", "bf16", "f32", "f16", "f32"]
BACKWARDS = ["split", "fused"]
WORLDS = [1, 2, 3, 4, 5, 6, 7, 8]


def npy(path, kind, shape, data):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)


def side_inputs(folder, n):
    """Key mask, documents and bias for a batch of 2, 4 heads and n keys."""
    files = {name: folder / f"{name}-{n}.npy" for name in ("keys", "documents", "bias")}
    npy(files["keys"], "|b1", (2, n), bytes(int(j > 6 and j % 5 != 2) for _ in range(2) for j in range(n)))
    cuts = [0, 1, 3, n // 2, n]
    npy(files["documents"], "<i4", (len(cuts),), struct.pack(f"<{len(cuts)}i", *cuts))
    cells = [((i * 31 + j * 17) % 23) / 8 - 1 for i in range(n) for j in range(n)]
    npy(files["bias"], "<f4", (1, 1, n, n), struct.pack(f"<{n * n}f", *cells))
    return files


def commands(runs, folder):
    files = {n: side_inputs(folder, n) for n in LENGTHS}
    for run in range(runs):
        n = LENGTHS[run % len(LENGTHS)]
        world = WORLDS[(run + run // len(WORLDS)) % len(WORLDS)]
        mask = MASKS[run % len(MASKS)].format(**files[n])
        heads, *head_map = HEADS[run % len(HEADS)].split(" ", 1)
        yield (f"verify --shape 2,{n},{heads},24 --ranks {world} --seed {run} --dtype {TYPES[run // 3 % len(TYPES)]} "
               f"--backward {BACKWARDS[run // 2 % len(BACKWARDS)]} --layout {LAYOUTS[run // len(MASKS) % len(LAYOUTS)]} {mask} {' '.join(head_map)}"
               + (f" --ring-size {world // 2}" if world % 2 == 0 and run % 5 == 0 else ""))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ringc")
    parser.add_argument("--runs", type=int, default=96)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        environment = os.environ | {"RINGC_CACHE_DIR": str(folder / "cache"), "OMP_NUM_THREADS": "1"}

        def verify(command):
            return command, subprocess.run([arguments.ringc, *command.split()], env=environment, text=True,
                                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)

        failed = 0
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            for command, result in pool.map(verify, commands(arguments.runs, folder)):
                if result.returncode != 0:
                    failed += 1
                    print(f"ringc {command}\nexit {result.returncode}\n{result.stdout}")
    print(f"{arguments.runs - failed} of {arguments.runs} runs of ringc verify passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
