#!/usr/bin/env bash
# Fails, naming file and line, where a C++ source is not as clang-format writes it; `tools/dev format` mends.
# usage: check.sh CLANG_FORMAT   (from the repository's root)
set -euo pipefail
find . \( -path ./build -o -path ./.git \) -prune -o \( -name '*.cpp' -o -name '*.h' \) -print0 |
  xargs -0 -r "$1" --dry-run -Werror
