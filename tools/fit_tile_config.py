#!/usr/bin/env python3
"""What the model's choice of tile sizes (ringc/compiler/spec/TileConfig.cpp) should be, by measurement.

usage: fit_tile_config.py LOG...      logs of tune.tables/make.py --log

For each kernel, type and class of head dims (to 64, 96, 128, 256): the sizes that lose least in the worst case of the
class against the best of each case, and what the model's choice loses there. Sizes count where they were measured in
all cases of the class. Where the model loses more than 3 % put the sizes that are printed before its other candidates.
"""

import collections
import json
import re
import sys

CLASSES = (64, 96, 128, 256)
ALLOWED = 0.03


def sizes(config, device):
    tile = ", ".join(str(size) for _, size in sorted(config["tile"].items(), reverse=True))  # q, kv
    rest = [config["warps"], config["n_warps"]] if device == "cuda" else [config["micro_rows"], config["micro_vectors"]]
    return "{%s, %s}" % (tile, ", ".join(map(str, rest)))


def main():
    cases = collections.defaultdict(list)
    for path in sys.argv[1:] or sys.exit(__doc__):
        for line in open(path):
            row = json.loads(line)
            shape = re.search(r"--shape (\S+)", row["case"])[1]
            dtype = (re.search(r"--dtype (\S+)", row["case"]) or [None, "f32"])[1]
            widest = max(int(dim) for dim in shape.split(",")[-1].split("/"))
            cases[row["kernel"], dtype, next(c for c in CLASSES if widest <= c)].append(row)
    for (kernel, dtype, widest), rows in sorted(cases.items()):
        losses = []
        for row in rows:
            ratios = {sizes(c["config"], row.get("device", "cuda")): c["ratio"] for c in row["candidates"] if c["verdict"] == "measured"}
            # Of one turn the best is luck: what was chosen has had several.
            best = min(row["ratio"], 1)
            losses.append({name: ratio / best - 1 for name, ratio in ratios.items()})
        common = set.intersection(*(set(each) for each in losses))
        worst = {name: max(each[name] for each in losses) for name in common}
        best = min(worst, key=worst.get)
        now = [max(0.0, 1 / min(row["ratio"], 1) - 1) for row in rows]
        verdict = "" if max(now) <= ALLOWED else f"   <- try {best}" if worst[best] < max(now) - 0.01 else "   <- no one choice"
        print(f"{kernel}, {dtype}, to {widest}: {len(rows)} cases, the model loses at most {max(now):.1%}, "
              f"{best} {worst[best]:.1%}{verdict}")


if __name__ == "__main__":
    main()
