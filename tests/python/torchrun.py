"""Starts a script as the processes of a job."""

import os
import subprocess
import sys


def torchrun(processes, script, *arguments, folder=None, seconds=240):
    """What it wrote; fails with that where a process did, or did not end. A process alone is no job."""
    launcher = [] if processes == 1 else ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes]
    started = subprocess.Popen(
        list(map(str, [sys.executable, *launcher, script, *arguments])), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        said, _ = started.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        started.terminate()  # torchrun ends its processes
        said = f"{started.communicate()[0]}\nit hung"
    assert started.returncode == 0, said[-5000:]
    return said
