"""`--device cuda` without a GPU: what is missing is said, and what is asked for is checked first."""

import os
import unittest

from ringc import RingcTest

FAKE = os.environ.get("RINGC_FAKE_CUDA")
SHAPE = "--shape 1,33,2,2,32"
LINES = [f"verify {SHAPE} --device cuda", f"bench {SHAPE} --dtype f32 --repeats 1 --device cuda",
         "run --q q.npy --k q.npy --v q.npy --out out.npy --device cuda",
         "bench --decode 1,64,2,2,32 --repeats 1 --device cuda"]


class Devices(RingcTest):
    def setUp(self):
        super().setUp()
        self.save("q.npy", (1, 33, 2, 32))

    def test_without_a_driver(self):
        env = {"RINGC_CUDA_LIBRARY": "/no/libcuda.so.1"}
        for line in LINES:
            with self.subTest(line):
                done = self.refused("no CUDA driver: /no/libcuda.so.1: ", line, env=env)
                self.assertIn("install NVIDIA's driver", done.stderr)
                self.assertNotIn("internal", done.stderr)

    def test_devices_that_cannot_be(self):
        for line in LINES:
            for devices in ["x", "0,0", "-1", "0,"]:
                with self.subTest(line + devices):
                    self.refused(f"devices: got {devices}, allowed: numbers of devices, each once: 0,1",
                                 line, "--ranks 2 --devices", devices)
            self.refused("devices: got 0,1, allowed: at most 1, as many as there are ranks", line,
                         "--devices 0,1")

    @unittest.skipUnless(FAKE, "no stand-in for a driver")
    def test_a_device_that_is_not_there(self):
        env = {"RINGC_CUDA_LIBRARY": FAKE}
        for line in LINES:
            self.refused("CUDA device: got 7, allowed: 0 to 0", line, "--devices 7", env=env)

    def test_several_processes(self):
        started = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1",
                   "MASTER_PORT": "29777"}
        for line in LINES:
            self.refused("ranks: got 3, allowed: 2, the processes that were started, or not given",
                         line, "--ranks 3", env=started)
            self.refused("WORLD_SIZE", line, env={**started, "WORLD_SIZE": "many"})
            if FAKE:
                self.refused("no NCCL: /no/libnccl.so.2: ", line,
                             env={**started, "RINGC_CUDA_LIBRARY": FAKE,
                                  "RINGC_NCCL_LIBRARY": "/no/libnccl.so.2"})

    def test_launchers(self):
        slurm = {"SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_STEP_NUM_TASKS": "4"}
        pmi = {"PMI_RANK": "1", "PMI_SIZE": "5", "MPI_LOCALRANKID": "1"}
        openmpi = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "6", "OMPI_COMM_WORLD_LOCAL_RANK": "1"}
        torchrun = {"RANK": "1", "WORLD_SIZE": "7", "LOCAL_RANK": "1"}
        started = {}
        for processes, variables in enumerate([slurm, pmi, openmpi, torchrun], 4):
            for env in [variables, started := {**started, **variables}]:  # the later one is the inner one
                with self.subTest(env):
                    self.refused(f"ranks: got 3, allowed: {processes}, the processes", LINES[0], "--ranks 3",
                                 env=env)

    def test_a_batch_script_of_several_tasks_starts_it_alone(self):
        env = {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NTASKS": "4",
               "RINGC_CUDA_LIBRARY": "/no/libcuda.so.1"}
        self.refused("no CUDA driver: ", LINES[0], "--ranks 3", env=env)


if __name__ == "__main__":
    unittest.main()
