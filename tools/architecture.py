#!/usr/bin/env python3
"""Writes the excerpts of docs/architecture.md: what each stage of a compile makes of one kernel.

usage: architecture.py [--check] BIN     BIN: the folder of ringc and compile-for, build/dev/bin

An excerpt stands between `<!-- excerpt NAME -->` and `<!-- end of excerpt -->`. With --check
nothing is written: exit 1 with a diff where the document does not hold. Targets are fixed, so that
any machine gives the same text. Another LLVM than the document's may give other code of the same
IR: then --check leaves code out, and says so.
"""

import argparse
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "architecture.md"
KERNEL = "largest_logit.tile"
FIELDS = [
    "mask=causal",
    "score=softcap",
    "dtype=bf16",
    "head_dim=16",
    "query_layout=contiguous",
    "key_layout=contiguous",
]
GPU, CPU = "sm_80", "haswell"
WIDTH = 150
CODE = ("code", "machine")  # by LLVM's code generators
MARKED = re.compile(
    r"<!-- excerpt (?P<name>\w+)(?: of LLVM (?P<version>\S+))? -->\n.*?<!-- end of excerpt -->", re.S
)


def run(*words):
    """Standard output; ends the script where the program fails."""
    environment = {**os.environ, "RINGC_TUNE_TABLE": "none"}
    done = subprocess.run(
        [str(word) for word in words], cwd=DOCUMENT.parent, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def stages_in(folder):
    """Lines by the stage's name: those of text, without locations."""
    stages = {}
    for file in sorted(folder.iterdir()):
        if file.suffix == ".o":
            continue
        lines = []
        for line in file.read_text().splitlines():
            if line.startswith("#loc"):
                continue
            line = re.sub(r" loc\((#\w+|\"[^\"]*\":\d+:\d+|unknown)\)", "", line)
            line = re.sub(r"^\t+", lambda tabs: "    " * len(tabs[0]), line)
            lines.append(line.replace(" \t", " ").replace("\t", " ").rstrip())
        stages[file.name.split(".")[1]] = lines
    return stages


def pieces(lines, *ranges):
    """The lines from one that has `first` to the next that has `last`, for each range; three dots between them."""
    found, at = [], 0
    for first, last in ranges:
        begin = next((n for n in range(at, len(lines)) if first in lines[n]), None)
        end = next((n for n in range(begin or 0, len(lines)) if last in lines[n]), None)
        if begin is None or end is None:
            sys.exit(f"no lines from '{first}' to '{last}' after line {at}: {Path(__file__).name} needs another excerpt")
        if found:
            found.append(re.match(r" *", lines[begin])[0] + "...")
        found += lines[begin : end + 1]
        at = end + 1
    return found


def shown(lines):
    """Without common indentation, at most WIDTH wide."""
    indent = min(len(line) - len(line.lstrip()) for line in lines if line)
    return [line[indent:] if len(line) - indent <= WIDTH else line[indent : indent + WIDTH - 4] + " ..." for line in lines]


def wrapped(items, separator):
    """Items one after another, in lines of at most WIDTH."""
    lines = [""]
    for item in items:
        if len(lines[-1]) + len(item) + len(separator) > WIDTH:
            lines.append("")
        lines[-1] += item + separator
    lines[-1] = lines[-1].removesuffix(separator)
    return [line.rstrip() for line in lines]


def hottest_loop(path, tool):
    """Of an object file: the loop around its first multiply-add; None without a disassembler."""
    if not tool:
        return None
    lines = [
        re.sub(r"\s+# ymm.*", "", line).replace("\t", " ").strip()
        for line in run(tool, "-d", "--no-show-raw-insn", path).splitlines()
    ]
    begin = next(n for n, line in enumerate(lines) if "vfmadd231ps" in line)
    end = next(n for n in range(begin, len(lines)) if re.search(r" j[a-z]+ ", lines[n]))
    target = re.search(r"0x([0-9a-f]+)", lines[end])[1]
    while not lines[begin].startswith(target + ":"):
        begin -= 1
    return [re.sub(r"^(\w+:) +(\w+) +", r"\1 \2 ", line) for line in lines[begin : end + 1]]


def excerpts(binaries, disassembler):
    """(language, lines) by name; lines are None where this machine cannot make them."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        fields = [word for field in FIELDS for word in ("--set", field)]
        described = json.loads(
            run(binaries / "ringc", "compile", KERNEL, "--target", GPU, *fields, "--dump", folder / GPU)
        )
        gpu = stages_in(folder / GPU)
        spec = json.loads("\n".join(gpu["spec"]))
        (folder / "spec.json").write_text(json.dumps({**spec, "target": "cpu"}))
        run(binaries / "compile-for", CPU, folder / "spec.json", folder / "code.o", folder / CPU)
        cpu = stages_in(folder / CPU)
        machine = hottest_loop(folder / "code.o", disassembler)
    products = ("mma.m16n8k16", "mma.m16n8k16")
    arguments = [f"{each['name']} {each['kind']} {each['slot']}" for each in described["arguments"]]
    numbers = ("entry", "format", "grid", "per_head", "threads", "shared_bytes", "carry_bytes", "slot_count")
    launch = [f"{name}: {json.dumps(described[name])}" for name in numbers]
    ring = "--ranks 4 --rank 1 --layout contiguous --causal --length 8192 --schedule ring"
    plan = run(binaries / "ringc", "plan", *ring.split()).split("\n\n")[0]
    return {
        "text": ("tile", (DOCUMENT.parent / KERNEL).read_text().splitlines()),
        "spec": ("text", wrapped([f"{key}: {json.dumps(value)}" for key, value in spec.items()], ", ")),
        "tile": (
            "mlir",
            pieces(gpu["tile"], ("@score(", "  }"), ("tile.masked_for", "    }"), ("tile.store", "tile.store")),
        ),
        "specialised": ("mlir", pieces(gpu["specialised"], ("tile.dot", "contract"))),
        "split": ("mlir", pieces(gpu["split"], ("@mask.visibility(", "  }"), ("scf.for", "tile.store"))),
        "vector": (
            "mlir",
            pieces(
                cpu["vector"],
                ("index_switch", "case 1"),
                ("scf.for %arg9", "iter_args"),
                ("-> vector<8xf32>", "-> vector<8xf32>"),
                ("vector.broadcast", "fma"),
                ("scf.yield", "}"),
            ),
        ),
        "placed": (
            "mlir",
            pieces(gpu["placed"], ("block.buffer", "block.copy"), ("block.buffer", "block.product"), ("tile.apply", "tile.apply")),
        ),
        "staged": (
            "mlir",
            pieces(
                gpu["staged"],
                ("stages 2", "no_copies"),
                ("scf.for", "block.commit"),
                ("block.stage", "block.stage"),
                ("block.product", "block.product"),
                ("block.ready", "block.release"),
            ),
        ),
        "nvvm": (
            "mlir",
            pieces(
                gpu["nvvm"],
                ("cp.async.wait.group", "barrier"),
                ("cp.async.cg", "cp.async.cg"),
                ("cp.async.commit", "cp.async.commit"),
                ("index_switch", "default"),
                ("ldmatrix", "ldmatrix"),
                products,
                ("shfl", "maxnumf"),
            ),
        ),
        "llvm": ("mlir", pieces(gpu["llvm"], products, ("llvm.cond_br", "^bb"))),
        "ir": ("llvm", pieces(gpu["ir"], products, ("br i1", "br i1"))),
        "code": (
            "text",
            pieces(
                gpu["code"],
                ("ldmatrix", "ldmatrix"),
                ("ldmatrix", "ldmatrix"),
                ("mma.sync", "};"),
                ("mul.rn.f32", "fma.rn"),
            ),
        ),
        "machine": ("text", machine),
        "kernel": ("text", wrapped(launch, ", ") + wrapped(arguments, ", ")),
        "plan": ("text", plan.splitlines()),
    }


def find_disassembler(version):
    """LLVM's of this version: others print numbers another way."""
    for folder in ("/usr/lib/llvm-22/bin", *os.environ.get("PATH", "").split(os.pathsep)):
        tool = shutil.which("llvm-objdump", path=folder)
        if tool and f"LLVM version {version}" in run(tool, "--version"):
            return tool
    return None


def rewritten(document, made, version, checks):
    """The document with the excerpts that were made; those of another LLVM's code stay in a check."""
    wanted, skipped = dict(made), []

    def replace(match):
        name, old_version = match["name"], match["version"]
        if name not in made:
            sys.exit(f"{DOCUMENT}: no excerpt is called '{name}': {', '.join(made)}")
        language, lines = wanted.pop(name)
        if name in CODE and checks and old_version != version:
            skipped.append(f"skipped: {name}: the document has that of LLVM {old_version}, this is {version}")
            return match[0]
        if lines is None:
            if not checks:
                sys.exit(f"no llvm-objdump of LLVM {version}: install llvm-22, or put it on PATH")
            skipped.append(f"skipped: {name}: no llvm-objdump of LLVM {version}")
            return match[0]
        of = f" of LLVM {version}" if name in CODE else ""
        text = "\n".join(shown(lines))
        return f"<!-- excerpt {name}{of} -->\n```{language}\n{text}\n```\n<!-- end of excerpt -->"

    text = MARKED.sub(replace, document)
    if wanted:
        sys.exit(f"{DOCUMENT}: has no place for {', '.join(wanted)}")
    return text, skipped


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 with a diff")
    parser.add_argument("binaries", type=Path, metavar="BIN", help="folder of ringc and compile-for")
    arguments = parser.parse_args()
    binaries = arguments.binaries.resolve()
    version = re.search(r"^LLVM +([0-9.]+)", run(binaries / "ringc", "info"), re.M)[1]
    old = DOCUMENT.read_text()
    new, skipped = rewritten(old, excerpts(binaries, find_disassembler(version)), version, arguments.check)
    print("\n".join(skipped), end="\n" if skipped else "")
    if not arguments.check:
        DOCUMENT.write_text(new)
    elif new != old:
        name = DOCUMENT.relative_to(ROOT)
        sys.stdout.writelines(
            difflib.unified_diff(
                old.splitlines(True), new.splitlines(True), f"{name}", f"{name} by tools/architecture.py"
            )
        )
        sys.exit(f"{name} does not hold: tools/architecture.py {arguments.binaries} writes it anew; read the text around it")


if __name__ == "__main__":
    main()
