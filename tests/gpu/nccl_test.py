"""Rings over NCCL, a process a rank. usage: nccl_test.py TEST_GPU [CLASS[.METHOD]...]

TEST_GPU is test-gpu. Ranks beyond the devices share one: each gets an NCCL_HOSTID of its own, so that
NCCL takes them for several hosts. Exit 77, which ctest takes for skipped, where there is no device or no
NCCL.
"""

import importlib.util
import os
import re
import socket
import subprocess
import sys
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
DEADLINE = 4000  # ms
PAUSE = 10000  # ms: what a busy machine may add
LAUNCHERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_", "TORCHELASTIC_", "OMPI_", "PMI_", "PMIX_", "MPI_", "SLURM_",
             "NCCL_COMM_ID")


def by_torchrun(rank, world, local, port):
    return {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": local, "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port}


def by_mpirun(rank, world, local, port):
    return {"OMPI_COMM_WORLD_RANK": rank, "OMPI_COMM_WORLD_SIZE": world,
            "OMPI_COMM_WORLD_LOCAL_RANK": local, "MASTER_ADDR": "localhost", "MASTER_PORT": port}


def by_srun(rank, world, local, port):
    """Two hosts; their first is this one."""
    return {"SLURM_PROCID": rank, "SLURM_STEP_NUM_TASKS": world, "SLURM_LOCALID": local, "SLURM_NTASKS": world + 1,
            "SLURM_STEP_NODELIST": "127.0.0.[1-2]", "MASTER_PORT": port}


def devices():
    done = subprocess.run([PROGRAM, "devices"], capture_output=True, text=True)
    return int(done.stdout) if done.returncode == 0 else 0


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class NcclTest(unittest.TestCase):
    def environment(self):
        """Without what has started this process."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHERS)}
        return {"NCCL_NVLS_ENABLE": "0", **ours, "OMP_NUM_THREADS": "4"}

    def ranks(self, world, *arguments, shared=False, hosts=False, launcher=by_torchrun):
        """Standard output and exit code of each rank. `shared`: on one device; `hosts`: NCCL takes each for a
        host of its own, which it must where they share."""
        port = free_port()
        jobs = []
        for rank in range(world):
            own = launcher(rank, world, 0 if shared else rank, port)
            if shared or hosts:
                own |= {"NCCL_HOSTID": f"host{rank}", "NCCL_SOCKET_IFNAME": "lo"}
            jobs.append(
                subprocess.Popen(
                    [PROGRAM, "rank", *map(str, arguments)],
                    env=self.environment() | {name: str(value) for name, value in own.items()},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
        try:
            said = [job.communicate(timeout=120)[0] for job in jobs]
        finally:
            for job in jobs:
                job.kill()
        print("".join(said), flush=True)
        return said, [job.returncode for job in jobs]

    def exact(self, world, mode="numbers", **options):
        said, codes = self.ranks(world, mode, **options)
        self.assertEqual(codes, [0] * world, "".join(said))
        return said


class Numbers(NcclTest):
    def test_two_devices(self):
        if devices() < 2:
            self.skipTest("one device")
        self.exact(2)

    def test_four_ranks_on_one_device(self):
        self.exact(4, shared=True)

    def test_eight_ranks_on_one_device(self):
        self.exact(8, "few", shared=True)

    def test_two_devices_of_two_hosts(self):
        if devices() < 2:
            self.skipTest("one device")
        self.exact(2, "few", hosts=True)

    def test_a_communicator_of_the_user(self):
        for rank, said in enumerate(self.exact(2, "borrowed", shared=devices() < 2)):
            for number in 1000, 2000, 3000, 4000, 5000:  # before, beside and after the rings
                self.assertIn(f"rank {rank} of the user's communicator: {number} from rank {1 - rank}\n", said)


class Decodes(NcclTest):
    def exact_and_alike(self, world, **options):
        said = self.exact(world, "decode", **options)
        bits = [re.findall(r"^(\w+ page \d+ bits \d+) of rank", text, re.M) for text in said]
        self.assertTrue(bits[0])
        for other in bits:
            self.assertEqual(other, bits[0])

    def test_two_devices(self):
        if devices() < 2:
            self.skipTest("one device")
        self.exact_and_alike(2)

    def test_three_ranks_on_one_device(self):
        self.exact_and_alike(3, shared=True)

    def test_a_rank_has_another_option(self):
        said, codes = self.ranks(3, "decode-other", DEADLINE, shared=devices() < 3)
        self.assertEqual(codes, [5] * 3)
        for rank, text in enumerate(said):
            self.assertRegex(text, rf"rank {rank} ended: rank {rank}: hop 0, plans, peer \d: the ranks do not agree: "
                                   rf"split: 0 on rank 0, 64 on rank 1\n")
            self.assertIn(f"rank {rank} goes on: right", text)


class Launchers(NcclTest):
    def test_as_srun_starts_ranks(self):
        self.exact(2, "few", shared=devices() < 2, launcher=by_srun)

    def test_as_mpirun_starts_ranks(self):
        self.exact(2, "few", shared=devices() < 2, launcher=by_mpirun)

    def test_torchrun(self):
        if devices() < 2:
            self.skipTest("one device")
        if not importlib.util.find_spec("torch"):
            self.skipTest("no torch")
        done = subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--no-python",
             PROGRAM, "rank", "few"], env=self.environment(), capture_output=True, text=True, timeout=180)
        print(done.stdout, done.stderr, flush=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("rank 1 bf16 zigzag", done.stdout)


class Faults(NcclTest):
    def ended(self, mode, others):
        """What each of the `others` says, in time, of a pass that rank 1 spoils."""
        world = 2 if devices() == 2 else 3
        said, _ = self.ranks(world, mode, DEADLINE, shared=devices() < world)
        everything = "".join(said)
        errors = {}
        for rank in others(world):
            line = re.search(rf"^rank {rank} ended: (.*)$", everything, re.M)
            self.assertTrue(line, everything)
            self.assertRegex(line[1], rf"rank {rank}: hop \d, \w+, peer \d: ")
            took = re.search(rf"^rank {rank} took (\d+) ms$", everything, re.M)
            self.assertLess(int(took[1]), DEADLINE + PAUSE)
            if mode != "shape":  # then nothing was begun
                self.assertRegex(everything, rf"(?m)^rank {rank} later: rank {rank}: hop ")
            errors[rank] = line[1]
        return errors, everything

    def goes_on(self, everything, ranks):
        for rank in ranks:
            found = re.search(rf"^rank {rank} goes on: error ([\d.]+) of", everything, re.M)
            self.assertTrue(found, everything)
            self.assertLessEqual(float(found[1]), 1)

    def test_a_rank_is_killed(self):
        self.ended("die", lambda world: [rank for rank in range(world) if rank != 1])

    def test_a_rank_is_late(self):
        _, everything = self.ended("late", lambda world: [r for r in range(world) if r != 1])
        self.goes_on(everything, [0])

    def test_a_rank_has_another_shape(self):
        errors, everything = self.ended("shape", range)
        for line in errors.values():
            self.assertIn("the ranks do not agree: queries: ", line)
        self.goes_on(everything, range(len(errors)))


    def test_a_rank_runs_another_pass_that_all_have_prepared(self):
        world = 2 if devices() == 2 else 3
        for mode in "mixture", "mixture-graph":
            with self.subTest(mode):
                said, codes = self.ranks(world, mode, DEADLINE, shared=devices() < world)
                self.assertEqual(codes, [5] * world)
                self.assertIn("the ranks do not agree: it was in another call meanwhile", "".join(said))

    def test_a_rank_has_another_option(self):
        world = 2 if devices() == 2 else 3
        for option, here, there in [("window", "-1,-1", "64,-1"), ("scale", "0.125", "0.5"), ("dtype", "bf16", "f16"),
                                    ("prefix", "0", "8"), ("backward", "split", "fused")]:
            with self.subTest(option):
                said, codes = self.ranks(world, f"other-{option}", DEADLINE, shared=devices() < world)
                self.assertEqual(codes, [5] * world)
                for rank, text in enumerate(said):
                    self.assertRegex(text, rf"rank {rank} ended: rank {rank}: hop 0, plans, peer \d: the ranks do not "
                                           rf"agree: {option}: {here} on rank 0, {there} on rank 1\n")
                    self.assertIn(f"rank {rank} goes on", text)


def missing():
    done = subprocess.run([PROGRAM, "nccl"], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout.strip()


if __name__ == "__main__":
    if reason := missing():
        print("skipped:", reason)
        sys.exit(77)
    unittest.main(verbosity=2)
