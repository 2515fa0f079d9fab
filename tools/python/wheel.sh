#!/usr/bin/env bash
# A wheel of the package and a libringc.so, as it is: wheel.sh PYTHON LIBRINGC.SO FOLDER
# PYTHON has setuptools 70.1 or later. Prints the wheel's path.
set -euo pipefail
python=$1 library=$2 folder=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cp -r "$here/pyproject.toml" "$here/setup.py" "$here/ringc" "$stage"
find "$stage" -name __pycache__ -prune -exec rm -r {} +
cp -L "$library" "$stage/ringc/libringc.so"
mkdir -p "$folder"
"$python" -m pip wheel -q --no-deps --no-build-isolation --no-index -w "$stage/made" "$stage" >&2
mv "$stage"/made/*.whl "$folder"
ls -d "$folder"/ringc-*.whl
