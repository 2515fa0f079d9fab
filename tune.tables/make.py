#!/usr/bin/env python3
"""Makes a table that is shipped, and shows what it gains over the model's choice.

usage: make.py RINGC OUT.json --device cuda|cpu [--budget 12] [--only TEXT]

`ringc tune` of each case below into OUT.json, so many seconds for each kernel; then for each kernel the model's choice and the
best, in milliseconds of its pass, how many times faster the best is, and by how much the model's choice differs from
itself from turn to turn. A case that is there already is measured again.
"""

import argparse
import json
import subprocess
import sys

# (options of ringc tune, kernels)
GPU = [
    (f"--shape 1,8192,{2048 // d},{2048 // d},{d} --dtype bf16 {options}", kernels)
    for d in (64, 80, 96, 128, 192, 256)
    for options, kernels in (
        ("--pass forward", 1),
        ("--pass forward --causal", 1),
        ("--pass backward --backward split", 2),
        ("--pass backward --backward split --causal", 2),
        ("--pass backward --backward fused --causal", 1),
    )
]
CPU = [
    (f"--shape {shape} --dtype {dtype} {options} {way}", kernels)
    for shape, options in (
        ("1,4096,16,16,64", "--causal"),
        ("1,4096,16,16,96", "--causal"),
        ("1,4096,16,16,128", "--causal"),
        ("1,4096,16,16,64", ""),
        ("1,8192,16,16,64", "--causal --window 512,0"),
        ("1,4096,16,16,64", "--causal --softcap 30"),
    )
    for dtype in ("f32", "bf16")
    for way, kernels in (("--pass forward", 1), ("--pass backward", 1))
]
given = argparse.Namespace()
NEAR = 1.03  # what the model's first choice may lose


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ringc")
    parser.add_argument("out")
    parser.add_argument("--device", required=True, choices=["cuda", "cpu"])
    parser.add_argument("--budget", type=int, default=12)
    parser.add_argument("--only", default="", help="cases with this text alone")
    parser.add_argument("--log", help="a file for all candidates, a line of JSON for each kernel")
    parser.parse_args(namespace=given)
    rows = []
    for case, kernels in GPU if given.device == "cuda" else CPU:
        if given.only not in case:
            continue
        command = [given.ringc, "tune", *case.split(), "--device", given.device, "--budget",
                   f"{given.budget * kernels}s", "--seed", "1", "--json", "--all", "-q", "--out", given.out]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{done.stderr}")
        for line in done.stdout.splitlines():
            if given.log:
                with open(given.log, "a") as log:
                    log.write(json.dumps({"case": case, "device": given.device, **json.loads(line)}) + "\n")
            rows.append((case, json.loads(line)))
            show(*rows[-1])
    near = sum(1 / row["ratio"] <= NEAR for _, row in rows)
    print(f"\nthe model's choice is within {NEAR - 1:.0%} of the best in {near} of {len(rows)}")


def show(case, row):
    best = next(c for c in row["candidates"] if c["config"] == row["best"])
    default = row["candidates"][0]
    median = sorted(best["ms"])[len(best["ms"]) // 2]
    rejected = sum(c["verdict"] != "measured" for c in row["candidates"])
    print(f"| {case} | {row['kernel']} | {median / row['ratio']:.4g} | {median:.4g} | {1 / row['ratio']:.3f} |"
          f" {row['spread']:.1%} | {sizes(default)} | {sizes(best)} | {row['seen']} of {row['space']},"
          f" {rejected} rejected |", flush=True)


def sizes(candidate):
    config = candidate["config"]
    tile = "x".join(str(config["tile"][name]) for name in ("q", "kv"))
    gpu = given.device == "cuda"
    return f"{tile} {config['warps']}/{config['n_warps']}" if gpu else f"{tile} {config['micro_rows']}x{config['micro_vectors']}x{config.get('micro_depth', 0)}"


if __name__ == "__main__":
    main()
