#!/usr/bin/env python3
"""A wheel of the package and this build's libringc.so: its name, what is in it, and that it works where it is installed.

usage: wheel.py LIBRINGC.SO        exit code 77: skipped
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def has_setuptools(python):
    look = "import sys, setuptools, pip; sys.exit(tuple(map(int, setuptools.__version__.split('.')[:2])) < (70, 1))"
    try:
        return subprocess.run([python, "-c", look], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def said(command, **options):
    result = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, **options)
    assert result.returncode == 0, f"{command} gave {result.returncode}:\n{result.stdout}{result.stderr}"
    return result.stdout


def main():
    library = Path(sys.argv[1]).resolve()
    python = next((each for each in (sys.executable, str(run.VENV / "bin" / "python")) if has_setuptools(each)), None)
    if python is None:
        print(f"skipped: wheel: no Python with setuptools 70.1, such as that in {run.VENV}, which `tools/dev setup` makes")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(said([ROOT / "tools" / "python" / "wheel.sh", python, library, folder]).strip())
        assert wheel.name.startswith("ringc-") and "-py3-none-linux_" in wheel.name, wheel.name
        names = set(zipfile.ZipFile(wheel).namelist())
        packed = {str(each.relative_to(ROOT / "tools" / "python")) for each in (ROOT / "tools/python/ringc").rglob("*.py")}
        assert packed | {"ringc/py.typed", "ringc/libringc.so"} <= names, sorted(packed - names)
        site = Path(folder) / "site"
        said([python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", site, wheel])
        clean = {name: value for name, value in os.environ.items() if name not in ("RINGC_LIBRARY", "PYTHONPATH")}
        clean |= {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
        user = run.python_for("with_numpy") or python
        where = said([user, "-c", "import ringc; print(ringc.__file__)"], env=clean, cwd=folder).strip()
        assert where.startswith(str(site)), where
        print(said([user, "-m", "ringc.test", "--without-torch"], env=clean, cwd=folder))
        # The command, also by the script that pip made of it.
        assert "ringc" in said([user, "-m", "ringc", "--version"], env=clean, cwd=folder)
        assert "cpu" in said([user, site / "bin" / "ringc", "info"], env=clean, cwd=folder).lower()
        wrong = subprocess.run([user, "-m", "ringc", "compile", "nowhere.tile"], env=clean, cwd=folder, capture_output=True, text=True)
        assert wrong.returncode == 1 and "nowhere.tile" in wrong.stderr, wrong
    return 0


if __name__ == "__main__":
    sys.exit(main())
