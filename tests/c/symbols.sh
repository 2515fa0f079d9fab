#!/usr/bin/env bash
# usage: symbols.sh LIBRARY static|shared    what libringc.so exports, and with a static LLVM what it needs
set -euo pipefail
library=$1 llvm=$2
exported=$(nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }')
grep -q '^ringc_attention_forward@@RINGC_1$' <<<"$exported" || { echo "ringc_attention_forward is not exported"; exit 1; }
if [[ $llvm == static ]]; then
  others=$(grep -v '^ringc_[a-z0-9_]*@@RINGC_1$' <<<"$exported" || true)
  needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
    grep -v -E '^(libc|libm|libdl|libpthread|ld-linux-x86-64)\.so' || true)
  [[ -z $needed ]] || { echo "needs:"; echo "$needed"; exit 1; }
else # MLIR's type ids are shared with its library
  others=$(grep 5ringc <<<"$exported" || true)
fi
[[ -z $others ]] || { echo "exports:"; echo "$others" | head; exit 1; }
