"""Starts a script as the processes of a job."""

import os
import subprocess
import sys


def torchrun(processes, script, *arguments, folder=None, seconds=100):
    """What it wrote; fails with that where a process did, or did not end."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), str(script), *arguments]
    ended = subprocess.run(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, timeout=seconds,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", "lo")},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-5000:]
    return ended.stdout
