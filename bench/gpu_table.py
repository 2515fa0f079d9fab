#!/usr/bin/env python3
"""One table of what `ringc bench --json` and gpu_peers.py measured.

usage: gpu_table.py FILE.jsonl ...

A row for each shape, mask, number of GPUs and pass; a column for each implementation: TFLOP/s of one GPU,
4 b h n^2 d for a forward, halved when causal, 2.5 times that for a backward. The last column is
ringc (with the fused backward, whose sums are in no fixed order, as those of the others) over the
fastest of the others. A star is beside what was computed wrong: below the table is what, and by how much of
its norm; it is none of the others.
"""

import json
import sys

OWN, OWN_SPLIT = "ringc", "ringc split"


def key(line):
    return (line["devices"], line["shape"], line["mask"], line["pass"])


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    measured, wrong, names = {}, {}, [OWN]
    for path in sys.argv[1:]:
        with open(path) as file:
            for line in map(json.loads, filter(str.strip, file)):
                name = line.get("who", OWN)
                if name not in names:
                    names.append(name)
                measured.setdefault(key(line), {})[name] = line["tflops"] / line["devices"]
                if "wrong" in line:
                    wrong[key(line), name] = line["wrong"]
    rows = [["GPUs", "shape", "mask", "pass"] + names + ["of the best other"]]
    for row, by_name in sorted(measured.items()):
        devices, *what = row
        cells = [f"{by_name[name]:.0f}" + "*" * ((row, name) in wrong) if name in by_name else "-" for name in names]
        others = [value for name, value in by_name.items()
                  if name not in (OWN, OWN_SPLIT) and (row, name) not in wrong]
        share = f"{by_name[OWN] / max(others):.2f}" if OWN in by_name and others else "-"
        rows.append([str(devices)] + what + cells + [share])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print("TFLOP/s of one GPU")
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)).rstrip())
    notes = (f"* {name}: wrong are " + ", ".join(f"{what} by {error}" for what, error in errors.items())
             for (_, name), errors in wrong.items())
    for note in dict.fromkeys(notes):
        print(note)


if __name__ == "__main__":
    main()
