#!/usr/bin/env python3
"""Assembles the shipped kernels for every GPU target with ptxas and looks at what it says: needs no GPU.

usage: ptxas_gate.py RINGC [--chips sm_80,sm_90] [--kernels attention_forward] [--keep DIR]
       ptxas_gate.py --ptx FILE.ptx ...

prints a table: a row for each kernel, head dim, type and mask, a cell for each chip with registers of a
thread, threads of a block, shared memory of a block and, where there are any, spilled bytes. Exit 1 where
a kernel does not compile or assemble, spills, uses local memory, asks for more shared memory than the
chip has, or where ptxas says that it gave something up (C75xx); 77, a skipped test, where there is no
ptxas, which is a failure under CI=true.
"""

import argparse
import concurrent.futures
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

SKIPPED = 77

# Shared memory that a block may ask for, in KiB: CUDA programming guide, technical specifications.
SHARED_KIB = {"sm_80": 163, "sm_86": 99, "sm_89": 99, "sm_90": 227, "sm_100": 227, "sm_120": 99}

HEAD_DIMS = [64, 128]
TYPES = ["bf16", "f32"]
# Type, mask, score, layout. f16 differs from bf16 in the names of its instructions: a sample.
MASKS = [
    *(
        (dtype, mask, [], layout)
        for dtype in TYPES
        for mask, layout in [([], "contiguous"), (["causal"], "contiguous"), (["causal"], "zigzag")]
    ),
    ("f16", ["causal"], [], "contiguous"),
    ("bf16", ["window"], ["softcap", "alibi"], "contiguous"),
    ("bf16", ["window"], ["softcap", "alibi"], "zigzag"),
    ("f32", ["window"], ["softcap", "alibi"], "zigzag"),
    ("bf16", ["causal", "window"], [], "contiguous"),
    ("bf16", ["causal", "window"], [], "zigzag"),
    ("bf16", ["causal", "window"], [], "striped"),
]
# Beside them, in bf16.
WIDE_DIMS = [192, 256]
MASKED = [
    "attention_forward",
    "attention_backward_dkdv",
    "attention_backward_dq",
    "attention_backward",
]
PER_HEAD = ["attention_delta", "attention_backward_round", "attention_merge"]
OTHER = [
    "matmul",
    "matmul_bt",
    "matmul_at",
    "row_softmax",
    "column_sums_of_parts",
    "column_sums",
    "rms_norm",
    "rms_norm_backward",
    "rms_norm_backward_gamma",
    "gelu",
    "gelu_backward",
    "bias_gelu",
    "bias_gelu_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "adamw",
    "adamw_master",
    "embedding",
    "sums_of_rows",
    "add",
    "add_bias",
    "multiply_by",
    "rotary_half_split",
    "rotary_half_split_at",
    "rotary_interleaved",
]
# Windows whose place an integer view names, in a file of the tests.
NAMED_ROWS = Path(__file__).resolve().parents[1] / "lit" / "gpu" / "Inputs" / "named-rows.tile"
NAMED = ["lookup", "gradient", "total", "decode"]
DECODES = ["decode", "decode_pages", "decode_rows"]
KERNELS = MASKED + PER_HEAD + OTHER + NAMED + DECODES + ["decode_merge"]


def specs():
    """Specialisations that differ in more than names, as specs' JSON."""
    for kernel in MASKED:
        for d, (dtype, mask, score, layout) in itertools.product(HEAD_DIMS, MASKS):
            yield {
                "kernel": kernel,
                "head_dim": d,
                "dtype": dtype,
                "mask": mask,
                "score": score,
                "query_layout": layout,
                "key_layout": layout,
            }
    for kernel, d in itertools.product(MASKED, WIDE_DIMS):
        yield {
            "kernel": kernel,
            "head_dim": d,
            "dtype": "bf16",
            "mask": ["causal"],
            "query_layout": "zigzag",
            "key_layout": "zigzag",
        }
    for kernel in PER_HEAD:
        for d, dtype in itertools.product(HEAD_DIMS, TYPES):
            yield {"kernel": kernel, "head_dim": d, "dtype": dtype}
    for kernel, d, dtype in itertools.product(DECODES, HEAD_DIMS + WIDE_DIMS, TYPES):
        yield {
            "kernel": kernel,
            "head_dim": d,
            "dtype": dtype,
            "mask": ["within_length", "causal"],
            "query_layout": "contiguous",
            "tile": {"kv": {64: 64, 128: 32, 192: 16, 256: 16}[d]},
        }
    for d, dtype in itertools.product(HEAD_DIMS + WIDE_DIMS, TYPES):
        yield {"kernel": "decode_merge", "head_dim": d, "dtype": dtype}
    for kernel in OTHER:
        for dtype in TYPES:
            yield {"kernel": kernel, "dtype": dtype}
    for kernel in NAMED:
        for dtype in TYPES if kernel == "decode" else ["f32"]:
            yield {"kernel": kernel, "source": str(NAMED_ROWS), "dtype": dtype}


def title(spec):
    parts = [spec["kernel"]]
    if "head_dim" in spec:
        parts.append(f"d {spec['head_dim']}")
    parts.append(spec["dtype"])
    parts += spec.get("mask", []) + spec.get("score", [])
    if spec.get("query_layout", "contiguous") != "contiguous":
        parts.append(spec["query_layout"])
    return ", ".join(parts)


@dataclass
class Verdict:
    """What is known of one kernel on one chip, and what is wrong with it."""

    registers: int = 0
    threads: int = 0
    shared: int = 0
    spilled: int = 0
    problems: list = field(default_factory=list)

    def cell(self):
        if not self.registers:
            return "none"
        spill = f" spill {self.spilled}" if self.spilled else ""
        return f"{self.registers} x {self.threads}, {self.shared / 1024:.0f}K{spill}"


def find_ptxas():
    """On the path, where CUDA is installed, or in the Python package nvidia-cuda-nvcc: the one that
    `tools/dev setup` installs, or the interpreter's own."""
    found = shutil.which("ptxas") or shutil.which("ptxas", path="/usr/local/cuda/bin")
    own = Path(__file__).resolve().parents[2] / "build" / "ptxas"
    inside = [
        str(each)
        for packages in (own, Path(sysconfig.get_paths()["purelib"]))
        for each in sorted((packages / "nvidia").glob("*/bin/ptxas"))
    ]
    return found or (inside[0] if inside else None)


def judge(verdict, said, chip):
    """Reads what `ptxas -v` said of one kernel into `verdict`."""
    registers = re.search(r"Used (\d+) registers", said)
    if not registers:
        verdict.problems.append("ptxas names no registers: " + said.strip())
        return
    verdict.registers = int(registers[1])
    memory = re.search(
        r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", said
    )
    stack, stores, loads = map(int, memory.groups()) if memory else (0, 0, 0)
    verdict.spilled = stores + loads
    if verdict.spilled:
        verdict.problems.append(f"spills: {stores} bytes stored, {loads} loaded")
    elif stack:
        verdict.problems.append(f"local memory: {stack} bytes")
    if static := re.search(r"(\d+) bytes smem", said):
        verdict.shared += int(static[1])
    if verdict.shared > SHARED_KIB[chip] * 1024:
        verdict.problems.append(
            f"shared memory: {verdict.shared} bytes of {SHARED_KIB[chip] * 1024}"
        )
    verdict.problems += [line.strip() for line in said.splitlines() if re.search(r"C75\d\d", line)]


def assemble(ptxas, chip, ptx, verdict):
    text = ptx.read_text()
    if re.search(r"^\s*\.local\b", text, re.M):
        verdict.problems.append("the PTX has local memory")
    if reqntid := re.search(r"\.reqntid\s+(\d+)(?:,\s*(\d+))?(?:,\s*(\d+))?", text):
        verdict.threads = 1
        for axis in reqntid.groups(default="1"):
            verdict.threads *= int(axis)
    else:
        verdict.problems.append("the PTX names no .reqntid")
    done = subprocess.run(
        [ptxas, "-v", f"-arch={chip}", str(ptx), "-o", os.devnull], capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    if done.returncode:
        verdict.problems.append(f"ptxas: {said.strip()}")
    else:
        judge(verdict, said, chip)


def compile_one(ringc, ptxas, spec, chip, folder):
    verdict = Verdict()
    folder.mkdir(parents=True)
    source = folder / "spec.json"
    source.write_text(json.dumps(spec))
    done = subprocess.run(
        [ringc, "compile", source, "--target", chip, "--dump", folder, "-o", folder / "kernel.ptx"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = done.stderr.strip() or f"nothing on stderr, exit code {done.returncode}"
        verdict.problems.append(f"ringc: {said}")
        return verdict
    first = next(folder.glob("*.ir.ll")).read_text().splitlines()[0]
    verdict.shared = json.loads(first.split("= ", 1)[1])["shared_bytes"]
    assemble(ptxas, chip, folder / "kernel.ptx", verdict)
    return verdict


def print_table(rows, chips):
    width = max(len(row) for row in rows)
    columns = {chip: max([len(chip)] + [len(v[chip].cell()) for v in rows.values()]) for chip in chips}
    print("registers x threads, shared memory of a block")
    print(" | ".join(["".ljust(width)] + [chip.ljust(columns[chip]) for chip in chips]).rstrip())
    for row, verdicts in rows.items():
        cells = [verdicts[chip].cell().ljust(columns[chip]) for chip in chips]
        print(" | ".join([row.ljust(width)] + cells).rstrip())


def report(rows, chips):
    """The table, then every problem; whether there were none."""
    print_table(rows, chips)
    problems = [
        f"{row}, {chip}: {problem}"
        for row, verdicts in rows.items()
        for chip in chips
        for problem in verdicts[chip].problems
    ]
    for problem in problems:
        print(f"error: {problem}")
    kernels = sum(len(verdicts) for verdicts in rows.values())
    print(f"{kernels} kernels, {len(problems)} problems")
    return not problems


def judge_files(ptxas, files):
    good = True
    for name in files:
        target = re.search(r"^\.target (sm_\d+)", Path(name).read_text(), re.M)
        if not target or target[1] not in SHARED_KIB:
            sys.exit(f"{name}: .target is none of {', '.join(SHARED_KIB)}")
        verdict = Verdict()
        assemble(ptxas, target[1], Path(name), verdict)
        good = report({name: {target[1]: verdict}}, [target[1]]) and good
    return good


def judge_kernels(ptxas, options, folder):
    chips = options.chips.split(",")
    if unknown := [chip for chip in chips if chip not in SHARED_KIB]:
        sys.exit(f"--chips: got {unknown[0]}, allowed: {', '.join(SHARED_KIB)}")
    wanted = options.kernels.split(",") if options.kernels else KERNELS
    if unknown := [name for name in wanted if name not in KERNELS]:
        sys.exit(f"--kernels: got {unknown[0]}, allowed: {', '.join(KERNELS)}")
    rows = {title(spec): {} for spec in specs() if spec["kernel"] in wanted}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {}
        for spec in specs():
            for chip in chips if title(spec) in rows else []:
                place = folder / chip / title(spec).replace(", ", "-").replace(" ", "")
                task = pool.submit(compile_one, options.ringc, ptxas, spec, chip, place)
                running[task] = (title(spec), chip)
        for task, (row, chip) in running.items():
            rows[row][chip] = task.result()
    return report(rows, chips)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("ringc", nargs="?")
    parser.add_argument("--chips", default=",".join(SHARED_KIB))
    parser.add_argument("--kernels", default="")
    parser.add_argument("--keep", default="")
    parser.add_argument("--ptx", nargs="+")
    options = parser.parse_args()
    if bool(options.ringc) == bool(options.ptx):
        parser.error("either RINGC or --ptx")
    ptxas = find_ptxas()
    if not ptxas:
        print(
            "skipped: no ptxas on PATH, in /usr/local/cuda/bin or in the Python package nvidia-cuda-nvcc; get it by "
            "`tools/dev setup` or `pip install nvidia-cuda-nvcc==13.0.88`, or as cuda-nvcc-13-0 from NVIDIA's apt "
            "repository, https://developer.download.nvidia.com/compute/cuda/repos"
        )
        sys.exit(1 if os.environ.get("CI") == "true" else SKIPPED)
    if options.ptx:
        sys.exit(0 if judge_files(ptxas, options.ptx) else 1)
    if options.keep:
        shutil.rmtree(options.keep, ignore_errors=True)
        sys.exit(0 if judge_kernels(ptxas, options, Path(options.keep)) else 1)
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if judge_kernels(ptxas, options, Path(folder)) else 1)


if __name__ == "__main__":
    main()
