#!/usr/bin/env python3
"""Each rule of check.py finds its breach, and lets pass what it should."""

import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
from check import check  # noqa: E402

CASES = [
    # files, expected fragment of the one breach (None: none)
    ({"ringc/compiler/passes/A.cpp": "#include <mlir/IR/Builders.h>"}, None),
    ({"ringc/compiler/Compiler.cpp": '#include "mlir/IR/Builders.h"'}, None),
    ({"ringc/compiler/spec/A.cpp": '#include "mlir/IR/Builders.h"'}, "ringc/compiler/spec/A.cpp:1: reaches MLIR"),
    ({"ringc/compiler/layout/A.cpp": '#include "llvm/ADT/SmallVector.h"'}, "reaches MLIR"),
    (
        {
            "ringc/compiler/passes/P.h": '#pragma once\n#include "mlir/Pass/Pass.h"',
            "tools/ringc/main.cpp": '\n#include "ringc/compiler/passes/P.h"',
        },
        "tools/ringc/main.cpp:2: reaches MLIR: ringc/compiler/passes/P.h -> mlir/Pass/Pass.h",
    ),
    ({"ringc/driver/D.cpp": "#include <cuda.h>"}, None),
    ({"ringc/ring/R.cpp": "#include <nccl.h>"}, "ringc/ring/R.cpp:1: nccl.h belongs in"),
    ({"ringc/compiler/codegen/P.cpp": "#include <cuda_runtime.h>"}, "cuda_runtime.h belongs in"),
    ({"ringc/ring/R.cpp": '#include "ringc/compiler/spec/Spec.h"'}, None),
    ({"ringc/ring/R.cpp": '#include "ringc/compiler/Compiler.h"'}, "only one file of ringc/jit"),
    ({"ringc/jit/J.cpp": '#include "ringc/compiler/Compiler.h"'}, None),
    ({"ringc/compiler/spec/S.cpp": '#include "ringc/support/Error.h"'}, None),
    ({"ringc/compiler/Compiler.cpp": '#include "ringc/Tensor.h"'}, "the compiler includes ringc/Tensor.h"),
    ({"ringc/Tensor.h": "int x;"}, "without #pragma once"),
    ({"ringc/a/A.cpp": '#include "../Tensor.h"'}, "not relative to the root"),
    ({"ringc/A.cpp": '#include "tests/support/R.h"'}, "a library includes tests/support/R.h"),
]


def main():
    failures = 0
    for files, expected in CASES:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text + "\n")
            found = check(Path(folder))
        good = not found if expected is None else len(found) == 1 and expected in found[0]
        if not good:
            failures += 1
            print(f"{files}\n  expected {expected}\n  found {found}")
    two = {
        "ringc/jit/A.cpp": '#include "ringc/compiler/Compiler.h"\n',
        "ringc/jit/B.cpp": '#include "ringc/compiler/Compiler.h"\n',
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, text in two.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if len(check(Path(folder))) != 2:
            failures += 1
            print("two bridges to the compiler went unnoticed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
