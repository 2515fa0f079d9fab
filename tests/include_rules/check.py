#!/usr/bin/env python3
"""Who may include what.

  MLIR and LLVM   only compiler/{dialect,irgen,passes,codegen}, ringc/compiler/Compiler.cpp, tools/ringc-opt,
                  tests/unit/{irgen,passes}, directly or through a header
  CUDA and NCCL   only ringc/{driver,comm}
  compiler/       reached from runtime/ through one file in ringc/jit; ringc/compiler/spec and
                  ringc/compiler/predicate are free for all
  tools/, tests/  never included by compiler/ or runtime/
Paths are relative to the root, without `..`; every header says `#pragma once`.

usage: check.py ROOT     prints file:line: message for each breach; exit 1 if there is one
"""

import re
import sys
from pathlib import Path

FOLDERS = ["ringc", "tools", "tests", "examples"]
SUFFIXES = {".h", ".cpp"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
MLIR_HEADER = re.compile(r"^(mlir|llvm|mlir-c|llvm-c)/")
CUDA_HEADER = re.compile(r"^(cuda|cuda_\w+|nccl|nvrtc|nvml|driver_types|cuda/.*)\.h$")
MLIR_ALLOWED = re.compile(
    r"^ringc/compiler/(dialect|irgen|passes|codegen)/|^ringc/compiler/Compiler\.cpp$|^tools/ringc-opt/"
    r"|^tests/unit/(irgen|passes)/"
)
CUDA_ALLOWED = re.compile(r"^ringc/(driver|comm)/")
FREE_COMPILER = re.compile(r"^ringc/compiler/(spec|predicate)/")


def includes(path):
    """(line number, header) of every include of a file."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [(n, m[2]) for n, line in enumerate(lines, 1) if (m := INCLUDE.match(line))]


def reaches_mlir(headers, graph, seen):
    """The chain of headers that ends at MLIR, or None."""
    for _, header in headers:
        if MLIR_HEADER.match(header) or header.endswith(".inc"):
            return [header]
        if header in graph and header not in seen:
            seen.add(header)
            if chain := reaches_mlir(graph[header], graph, seen):
                return [header] + chain
    return None


def check(root):
    files = sorted(
        p for f in FOLDERS for p in (root / f).rglob("*") if p.suffix in SUFFIXES and p.is_file()
    )
    graph = {p.relative_to(root).as_posix(): includes(p) for p in files}
    breaches = []
    bridges = {}
    for name, headers in graph.items():
        if name.endswith(".h") and "#pragma once" not in (root / name).read_text():
            breaches.append(f"{name}:1: header without #pragma once")
        if not MLIR_ALLOWED.match(name):
            for line, header in headers:
                if chain := reaches_mlir([(line, header)], graph, set()):
                    breaches.append(f"{name}:{line}: reaches MLIR: {' -> '.join(chain)}")
        for line, header in headers:
            here = f"{name}:{line}"
            if ".." in header.split("/"):
                breaches.append(f"{here}: {header} is not relative to the root")
            if CUDA_HEADER.match(header) and not CUDA_ALLOWED.match(name):
                breaches.append(f"{here}: {header} belongs in ringc/driver or ringc/comm")
            if name.startswith("ringc/") and header.startswith(("tools/", "tests/")):
                breaches.append(f"{here}: a library includes {header}")
            if name.startswith("ringc/compiler/"):
                if header.startswith("ringc/") and not header.startswith(("ringc/compiler/", "ringc/support/")):
                    breaches.append(f"{here}: the compiler includes {header}")
            elif name.startswith("ringc/") and header.startswith("ringc/compiler/"):
                if FREE_COMPILER.match(header):
                    continue
                if name.startswith("ringc/jit/"):
                    bridges.setdefault(name, here)
                else:
                    breaches.append(f"{here}: only one file of ringc/jit may include {header}")
    if len(bridges) > 1:
        breaches += [f"{at}: a second way to the compiler" for at in bridges.values()]
    return breaches


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    breaches = check(Path(sys.argv[1]))
    for breach in breaches:
        print(breach)
    sys.exit(1 if breaches else 0)


if __name__ == "__main__":
    main()
