#!/usr/bin/env python3
"""Runs the tests of the package with a Python that has what they need.

usage: run.py LIBRINGC.SO FOLDER [PYTEST'S ARGUMENTS]        exit code 77: skipped

with_numpy: this Python or the system's, whichever has numpy and pytest, else that with torch, which is not imported.
others: that of the virtual environment of tools/dev, or of RINGC_TORCH_VENV; else this one, where it has torch, and for
with_hugging_face and docs transformers.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = Path(
    os.environ.get("RINGC_TORCH_VENV") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ringc" / "venv-torch"
)


def has(python, modules):
    look = f"import importlib.util as u, sys; sys.exit(any(u.find_spec(m) is None for m in {modules!r}))"
    try:
        return subprocess.run([python, "-c", look], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


NEEDED = {
    "with_numpy": [], "with_torch": ["torch"], "with_hugging_face": ["torch", "transformers"], "examples": ["torch"],
    "docs": ["torch", "transformers"],
}  # fmt: skip


def python_for(folder):
    own, venv = sys.executable, str(VENV / "bin" / "python")
    candidates = [venv, own, "/usr/bin/python3"] if NEEDED[folder] else [own, "/usr/bin/python3", venv]
    return next((each for each in candidates if has(each, ["numpy", "pytest", *NEEDED[folder]])), None)


def why_not(folder):
    why = VENV / "why"
    if NEEDED[folder] and why.exists():
        said = why.read_text(errors="replace").strip().splitlines()
        return f"PyTorch could not be installed: {said[-1] if said else 'pip failed'}"
    if NEEDED[folder]:
        return f"no {' and '.join(NEEDED[folder])} in {VENV}, which `tools/dev setup` makes"
    return "no Python with numpy and pytest"


def main():
    library, folder, *arguments = sys.argv[1:]
    python = python_for(folder)
    if python is None:
        print(f"skipped: {folder.replace('_', ' ')}: {why_not(folder)}")
        return 77
    path = [str(HERE.parents[1] / "tools" / "python"), str(HERE), str(HERE / folder)]
    environment = {
        **os.environ, "RINGC_LIBRARY": str(Path(library).resolve()), "PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:logging", str(HERE / folder), *arguments]
    return subprocess.run(command, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
