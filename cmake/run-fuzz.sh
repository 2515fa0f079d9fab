#!/usr/bin/env bash
# A short run of a fuzz target, or one of RINGC_FUZZ_SECONDS. usage: run-fuzz.sh PROGRAM WORKFOLDER [SEEDS]
# Exit 77, skipped, where PROGRAM is not built; what it finds stays in WORKFOLDER.
set -euo pipefail
program=$1 work=$2 seeds=${3:-}
[[ -x $program ]] || { echo "skipped: not built: $program (tools/dev build asan)"; exit 77; }
mkdir -p "$work/corpus"
exec "$program" "$work/corpus" ${seeds:+"$seeds"} -artifact_prefix="$work/" \
  -max_total_time="${RINGC_FUZZ_SECONDS:-20}" -max_len=4096 -timeout=60 -rss_limit_mb=4096 -verbosity=0 -print_final_stats=1
