#!/usr/bin/env bash
# The main job on the screen: a kernel compiled from a description, then causal attention over four
# ranks with the sequence dealt in stripes, on tensors from files.
#
#   usage: demo.sh path/to/ringc
set -euo pipefail
ringc=${1:?usage: demo.sh path/to/ringc}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() {
  printf '$ ringc %s\n' "${*//$folder\//}"
  "$ringc" "$@"
}

cat >"$folder/spec.json" <<'JSON'
{
  "kernel": "attention_forward",
  "head_dim": 64,
  "group_size": 4,
  "dtype": "f32",
  "query_layout": "striped",
  "key_layout": "striped",
  "mask": ["causal"]
}
JSON

# q [1, 1000, 8, 64]; k and v [1, 1000, 2, 64]: four query heads share a key head.
python3 - "$folder" <<'PYTHON'
import array, random, struct, sys
random.seed(1)
for name, heads in ("q", 8), ("k", 2), ("v", 2), ("dout", 8):
    shape = (1, 1000, heads, 64)
    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    values = array.array("f", (random.gauss(0, 1) for _ in range(1000 * heads * 64)))
    with open(f"{sys.argv[1]}/{name}.npy", "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
        values.tofile(file)
PYTHON

step "A description, compiled to code for this host"
show -v compile "$folder/spec.json" -o "$folder/forward.o"

step "Who computes what: four ranks, striped and causal"
show plan --ranks 4 --layout striped --causal --length 1000

step "The ring on tensors from files, forward and backward"
ring=(--ranks 4 --layout striped --causal)
show run --q "$folder/q.npy" --k "$folder/k.npy" --v "$folder/v.npy" --dout "$folder/dout.npy" \
  "${ring[@]}" --out "$folder/out.npy" --lse "$folder/lse.npy" --dq "$folder/dq.npy" \
  --dk "$folder/dk.npy" --dv "$folder/dv.npy"
(cd "$folder" && ls -l ./*.npy)

step "Every rank against double precision"
show verify --shape 1,1000,8,2,64 "${ring[@]}"
