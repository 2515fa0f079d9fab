#!/usr/bin/env bash
# usage: run.sh CMAKE BUILD CONSUMER COMPILER    installs BUILD into a temporary prefix, builds and runs CONSUMER
set -euo pipefail
cmake=$1 build=$2 consumer=$3 compiler=$4
work=$(mktemp -d)
export RINGC_CACHE_DIR=$work/cache
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$build" --prefix "$work/prefix" >"$work/install.log" || { cat "$work/install.log"; exit 1; }
cp -r "$consumer" "$work/consumer"
"$cmake" -S "$work/consumer" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/configure.log" 2>&1 ||
  { cat "$work/configure.log"; exit 1; }
"$cmake" --build "$work/build"
for program in "$work"/build/consumer-*; do
  "$program"
done
