#!/usr/bin/env bash
# A short run of a fuzz target. usage: run-fuzz.sh PROGRAM WORKFOLDER [SEEDS]
# Exit 77, skipped, where PROGRAM is not built; what it finds stays in WORKFOLDER.
set -euo pipefail
program=$1 work=$2 seeds=${3:-}
[[ -x $program ]] || { echo "not built: $program (cmake --build build/asan --target fuzz)"; exit 77; }
mkdir -p "$work/corpus"
exec "$program" "$work/corpus" ${seeds:+"$seeds"} -artifact_prefix="$work/" \
  -max_total_time=20 -max_len=4096 -timeout=10 -rss_limit_mb=2048 -verbosity=0
