"""Ranks as processes of mpirun. usage: mpi_test.py RINGC RANK_PROGRAM MODULE_PROGRAM CLASS

RANK_PROGRAM is test-mpi-rank, MODULE_PROGRAM test-mpi-module. Exit 77, which ctest takes for skipped, where there is no Open MPI.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
from ringc import PROGRAM, RingcTest  # noqa: E402

RANK = os.path.abspath(sys.argv.pop(1))
MODULE = os.path.abspath(sys.argv.pop(1))

ENVIRONMENT = {
    **os.environ,
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMP_NUM_THREADS": "1",
    "LSAN_OPTIONS": "detect_leaks=0",  # MPI's own
}


class MpiTest(RingcTest):
    def command(self, ranks, *program, recover=False):
        words = [word for argument in program for word in str(argument).split(" ")]
        recovery = ["--enable-recovery"] if recover else []
        return ["mpirun", "--oversubscribe", *recovery, "-n", str(ranks), *words]

    def mpirun(self, *arguments, **options):
        return subprocess.run(
            self.command(*arguments, **options),
            cwd=self.folder.name,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=100,
        )

    def runs(self, *arguments):
        done = self.mpirun(*arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done


class Transport(MpiTest):
    def test_exchanges(self):
        for ranks in [1, 2, 3, 4]:
            self.runs(ranks, RANK, "exchange")

    def test_mpi_of_the_program(self):
        self.runs(2, RANK, "guest")


class Module(MpiTest):
    def test_gradients(self):
        for ranks in [1, 2, 3, 4]:
            done = self.runs(ranks, MODULE)
            self.assertEqual(done.stdout.count("right"), ranks, done.stdout + done.stderr)


class Faults(MpiTest):
    DEADLINE = 2000  # ms
    LONG = 30000  # ms: where it must not take a deadline to notice
    PAUSE = 10000  # ms: what a busy machine may add
    HOP_AND_PEER = r"rank (\d): hop \d, keys, peer \d: "

    def ended(self, mode, others, deadline=DEADLINE):
        """What each of the `others` says, in time, of a pass of four that rank 1 spoils."""
        done = self.mpirun(4, RANK, mode, deadline, recover=True)
        said = dict(re.findall(r"^rank (\d) ended: (.*)$", done.stdout, re.M))
        later = dict(re.findall(r"^rank (\d) later: (.*)$", done.stdout, re.M))
        took = dict(re.findall(r"^rank (\d) took (\d+) ms$", done.stdout, re.M))
        for rank in map(str, others):
            self.assertIn(rank, said, done.stdout + done.stderr)
            self.assertIn("unusable since rank", later[rank])
            self.assertLess(int(took[rank]), self.DEADLINE + self.PAUSE)  # LONG is longer
            self.assertEqual(re.match(self.HOP_AND_PEER, said[rank])[1], rank, said[rank])
        return said

    def test_a_rank_is_killed(self):
        said = self.ended("die", [0, 2, 3])
        self.assertRegex("\n".join(said.values()), r"peer 1: nothing came within 2000 ms")

    def test_a_rank_is_late(self):
        said = self.ended("late", [0, 2, 3])
        self.assertRegex("\n".join(said.values()), r"peer 1: nothing came within 2000 ms")
        self.assertRegex(said["1"], r"rank \d failed: ")

    def test_a_shard_has_another_shape(self):
        said = self.ended("shape", [0, 1, 2, 3], self.LONG)
        for line in said.values():  # or of one that found it first
            self.assertRegex(line, r"the plans differ: [48]00000 bytes of keys at hop 0 here, ")

    def test_a_rank_has_nothing_to_send(self):
        self.ended("length", [0, 2, 3])

    def test_a_kernel_throws(self):
        done = self.ended("throw", [0, 2, 3], self.LONG)
        self.assertEqual(done["1"], "kernel failed")
        for rank in "023":
            self.assertIn("rank 1 failed: kernel failed", done[rank])

    def test_a_rank_does_not_come(self):
        done = self.mpirun(3, RANK, "missing", self.DEADLINE, recover=True)
        for rank in (0, 2):
            self.assertIn(f"rank {rank} of 3 waited 2000 ms for all ranks", done.stdout)


class Commands(MpiTest):
    def test_verify(self):
        for line in [
            "--shape 1,65,2,1,32 --causal --layout zigzag",
            "--shape 3,61/83,4,2,32 --layout striped --ring-size 2 --window 20,7 --dtype bf16",
        ]:
            done = self.runs(4, PROGRAM, "verify", line)
            ranks = [row.split()[0] for row in done.stdout.splitlines()]
            self.assertEqual(ranks, ["rank"] + [r for r in "01234" for _ in range(5)])
            self.assertEqual(done.stdout.count("pass"), 25)
            self.assertEqual(done.stderr, "all within their bars\n")

    def test_verify_programs(self):
        for program, ranks, lines in [
            ("module --causal --num-buckets 1", 3, 3 * 5),
            ("zigzag", 2, 2 * 5),
            ("tree", 3, 3 * 8),
            ("decode --count 4", 3, 4 * 2),
        ]:
            with self.subTest(program):
                done = self.runs(ranks, PROGRAM, "verify --program", program)
                self.assertEqual(done.stdout.count("pass"), lines)
                self.assertEqual(done.stderr, "all within their bars\n")
        self.write("one.tile", "mask near(b: index, h: index, i: index, j: index) { return i - j < 5 }\n")
        self.write("two.tile", "mask near(b: index, h: index, i: index, j: index) { return i - j < 6 }\n")
        line = f"{PROGRAM} verify --program decode --count 1 --deadline 20 --mask"
        done = self.mpirun(1, f"{line} one.tile:near", ":", "-n 1", f"{line} two.tile:near", recover=True)
        self.assertEqual(done.stderr.count("the ranks do not agree: source of mask near: sha256 "), 2, done.stderr)

    def test_decode(self):
        self.save("q.npy", [2, 3, 4, 16])
        self.save("k.npy", [8, 4, 2, 16])
        self.save("v.npy", [8, 4, 2, 8])
        self.save("lengths.npy", [2], [13, 6], "i4")
        self.save("table.npy", [2, 4], [5, 0, 3, 7, 1, 2, -1, -1], "i4")
        self.save("rows.npy", [2, 16, 2, 16])
        self.save("values.npy", [2, 16, 2, 8])
        pages = "decode --q q.npy --k k.npy --v v.npy --page-table table.npy --lengths lengths.npy --causal"
        rows = "decode --q q.npy --k rows.npy --v values.npy --softcap 2"
        for line in pages, rows:
            for ranks in 3, 5:  # of rows and of pages one or more have none
                targets = "--out NAME-out.npy --lse NAME-lse.npy"
                self.ok(line, targets.replace("NAME", "one"), "--ranks", ranks)
                done = self.runs(ranks, PROGRAM, line, targets.replace("NAME", "many"))
                self.assertEqual(done.stderr.count("decode: "), 1)
                for name in "out", "lse":
                    self.assertEqual(self.load(f"many-{name}.npy"), self.load(f"one-{name}.npy"))
        self.save("table2.npy", [2, 4], [5, 0, 3, 7, 1, 2, -1, 8], "i4")
        line = f"{PROGRAM} {pages} --out none.npy --deadline 20"
        done = self.mpirun(2, line, ":", "-n 1", line.replace("table.npy", "table2.npy"), recover=True)
        self.assertEqual(len(re.findall(r"the ranks do not agree: page table: i32\[2, 4\] with checksum", done.stderr)), 3, done.stderr)
        done = self.mpirun(3, line.replace("table.npy", "table2.npy"), recover=True)
        self.assertIn("page 1 of entry 1: got 8, allowed: -1, none, to 7", done.stderr)
        self.assertEqual(len(re.findall("^ringc: ", done.stderr, re.M)), 3, done.stderr)  # each has ended
        done = self.mpirun(2, f"{PROGRAM} {rows} --split 64", ":", "-n 1", f"{PROGRAM} {rows} --split 128", recover=True)
        self.disagrees(done, 3, "--split: 64 on rank 0, 128 on rank 2")
        self.assertFalse(os.path.exists(self.path("none.npy")))

    def test_run(self):
        self.save("q.npy", [2, 21, 4, 32])
        self.save("k.npy", [2, 37, 2, 32])
        self.save("v.npy", [2, 37, 2, 16])
        self.save("dout.npy", [2, 21, 4, 16])
        self.save("bias.npy", [1, 4, 21, 37])
        self.save("mask.npy", [2, 37], [i % 5 != 0 for i in range(74)], "b1")
        self.write(
            "own.tile",
            "score bent(s: f32, b: index, h: index, i: index, j: index,"
            " of: view<f32>[B, Nk], at: view<f32>[Nq]) { return s + of[b, j] * at[i] }\n",
        )
        self.save("of.npy", [2, 37])
        self.save("at.npy", [21])
        line = (
            "run --q q.npy --k k.npy --v v.npy --dout dout.npy --bias bias.npy --key-mask mask.npy"
            " --layout striped --score own.tile:bent --arg of=of.npy --arg at=at.npy"
        )
        results = ["out", "lse", "dq", "dk", "dv"]
        targets = " ".join(f"--{name} NAME-{name}.npy" for name in results)
        for schedule in ("--schedule ring", "--schedule ring:3", "--schedule all-gather"):
            self.ok(line, targets.replace("NAME", "one"), "--ranks 3", schedule)
            done = self.runs(3, PROGRAM, line, targets.replace("NAME", "many"), schedule)
            self.assertEqual(done.stderr.count("forward:"), 1)
            for name in results:
                shape, values = self.load(f"one-{name}.npy")
                self.assertEqual(self.load(f"many-{name}.npy"), (shape, values), name)

    def test_nothing_is_written_where_a_rank_fails(self):
        for name in "qkv":
            self.save(f"{name}.npy", [1, 8, 1, 32])
        self.save("other.npy", [1, 8, 1, 16])
        line = f"{PROGRAM} run --k k.npy --v v.npy --out out.npy --deadline 20"
        done = self.mpirun(2, line, "--q q.npy", ":", "-n 1", line, "--q other.npy")
        self.assertNotEqual(done.returncode, 0)
        self.assertFalse(os.path.exists(self.path("out.npy")))

    def test_shapes_that_differ(self):
        line = f"{PROGRAM} verify --deadline 20 --shape"
        done = self.mpirun(1, line, "1,64,1,1,32", ":", "-n 2", line, "1,96,1,1,32", recover=True)
        self.disagrees(done, 3, "--shape: 1,64,1,1,32 on rank 0, 1,96,1,1,32 on rank 1")

    def disagrees(self, done, ranks, what):
        """Each of them says what differs, and nothing else comes of it."""
        for rank in range(ranks):
            self.assertRegex(
                done.stderr,
                rf"ringc: rank {rank}: hop 0, plans, peer \d: the ranks do not agree: {re.escape(what)}\n",
            )
        self.assertEqual(done.stdout, "")

    def test_command_lines_that_differ(self):
        common = "verify --shape 1,64,2,1,32 --causal --deadline 20"
        for option, here, there in [
            ("--window", "20,-1", "30,-1"),
            ("--scale", "0.5", "0.25"),
            ("--dtype", "bf16", "f16"),
            ("--prefix", "3", "4"),
            ("--softcap", "5", "6"),
            ("--layout", "striped", "zigzag"),
            ("--ring-size", "1", "3"),
            ("--schedule", "ring", "all-gather"),
            ("--backward", "split", "fused"),
            ("--kv-head-map", "blocked", "tiled"),
            ("--tile", "q=16", "q=32"),
            ("--seed", "1", "2"),
        ]:
            with self.subTest(option):
                line = f"{PROGRAM} {common} {option}"
                done = self.mpirun(2, f"{line} {here}", ":", "-n 1", f"{line} {there}", recover=True)
                self.disagrees(done, 3, f"{option}: {here} on rank 0, {there} on rank 2")
        line = f"{PROGRAM} {common}"
        done = self.mpirun(1, f"{line} --alibi", ":", "-n 1", line, recover=True)
        self.disagrees(done, 2, "--alibi: true on rank 0, not given on rank 1")
        done = self.mpirun(1, line, ":", "-n 1", f"{PROGRAM} bench --deadline 20", recover=True)
        self.disagrees(done, 2, "command: verify on rank 0, bench on rank 1")
        done = self.mpirun(1, f"{line} --alibi", ":", "-n 1", line)
        self.assertEqual(done.returncode, 1)  # which mpirun tells of the first that it is not 0
        # What may be another on each host.
        done = self.mpirun(1, f"{line} --threads 1", ":", "-n 1", f"{line} --threads 2 -q")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_files_that_differ(self):
        for name in "qkv":
            self.save(f"{name}.npy", [1, 24, 1, 32])
        self.save("k2.npy", [1, 24, 1, 32], [1.0] + [0.0] * (24 * 32 - 1))
        self.save("q2.npy", [1, 20, 1, 32])
        self.save("reach.npy", [1], [3.0])
        self.save("reach2.npy", [1], [4.0])
        for name, rule in [("one", "i - j < 5"), ("two", "i - j < 6")]:
            self.write(
                f"{name}.tile",
                f"mask near(b: index, h: index, i: index, j: index) {{ return {rule} }}\n"
                "score bent(s: f32, b: index, h: index, i: index, j: index, of: view<f32>[M])"
                " { return s + of[0] }\n",
            )
        line = f"{PROGRAM} run --v v.npy --out out.npy --deadline 20"
        inputs = "--q q.npy --k k.npy"

        def differ(here, there, what):
            done = self.mpirun(1, f"{line} {here}", ":", "-n 2", f"{line} {there}", recover=True)
            for rank in range(3):
                self.assertRegex(done.stderr, rf"rank {rank}: hop 0, plans, peer \d: the ranks do not agree: {what}")
            self.assertFalse(os.path.exists(self.path("out.npy")))

        differ(inputs, "--q q2.npy --k k.npy", r"shape of q: f32\[1, 24, 1, 32\] on rank 0, f32\[1, 20, 1, 32\] on rank 1")
        differ(inputs, "--q q.npy --k k2.npy", r"k: f32\[1, 24, 1, 32\] with checksum \w+ on rank 0, f32.* on rank 1")
        differ(f"{inputs} --mask one.tile:near", f"{inputs} --mask two.tile:near",
               r"source of mask near: sha256 \w+ on rank 0, sha256 \w+ on rank 1")
        differ(f"{inputs} --score one.tile:bent --arg of=reach.npy", f"{inputs} --score one.tile:bent --arg of=reach2.npy",
               r"argument of: f32\[1\] with checksum \w+ on rank 0, f32\[1\] with checksum \w+ on rank 1")
        differ(f"{inputs} --mask one.tile:near", inputs, "masks: near on rank 0, none on rank 1")

    def test_a_killed_process(self):
        """The others say so within the deadline."""
        self.write("start.sh", f'echo $$ >pid-$OMPI_COMM_WORLD_RANK\nexec {PROGRAM} "$@"\n')
        line = "bench --shape 1,64,1,1,32 --dtype f32 --full --repeats 10000 --deadline 3"
        command = self.command(3, "sh start.sh", line, recover=True)
        with subprocess.Popen(
            command, cwd=self.folder.name, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
        ) as job:
            while job.poll() is None and not os.path.exists(self.path("pid-1")):
                time.sleep(0.05)
            time.sleep(1)
            with open(self.path("pid-1")) as file:
                os.kill(int(file.read()), signal.SIGKILL)
            stderr = job.communicate(timeout=60)[1]
        for rank in (0, 2):
            self.assertRegex(stderr, rf"ringc: rank {rank}: hop \d, \w+, peer \d: ")

    def test_ranks_that_are_not_the_processes(self):
        done = self.mpirun(2, PROGRAM, "verify --ranks 3")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("ranks: got 3, allowed: 2, the processes that were started", done.stderr)

    def test_bench(self):
        line = "bench --shape 1,64,1,1,32 --dtype f32 --full --repeats 2 --json"
        lines = self.runs(2, PROGRAM, line).stdout.splitlines()
        self.assertEqual(len(lines), 2)
        for line in lines:
            self.assertIn('"ranks":2', line)

    def test_bench_of_decoding(self):
        common = "bench --decode 2,48,4,2,32 --deadline 20 --json --repeats 2"
        for ranks in 2, 4:  # of pages of 16 rows there are three
            lines = [json.loads(line) for line in self.runs(ranks, PROGRAM, common, "--page 16").stdout.splitlines()]
            self.assertEqual([(line["page"], line["ranks"], line["devices"]) for line in lines],
                             [(None, ranks, 0), (16, ranks, 0)])
            for line in lines:
                self.assertGreater(line["us"], 0)
                self.assertGreater(line["part_us"], 0)
                self.assertGreater(line["read_gb_s"], 0)
        line = f"{PROGRAM} {common}"
        for flag, here, there in [("--page", "16", "16 --page 8"), ("--split", "64", "128"), ("--window", "9,-1", "8,-1")]:
            done = self.mpirun(2, f"{line} {flag} {here}", ":", "-n 1", f"{line} {flag} {there}", recover=True)
            self.disagrees(done, 3, f"{flag}: {here} on rank 0, {there.replace(' --page', '')} on rank 2")
        self.save("slopes.npy", [4], [1.0, 0.5, 0.25, 0.125])
        self.save("slopes2.npy", [4], [1.0, 0.5, 0.25, 0.25])
        line += " --alibi --alibi-slopes slopes.npy"
        done = self.mpirun(1, line, ":", "-n 1", line.replace("slopes.npy", "slopes2.npy"), recover=True)
        self.disagrees(done, 2, "alibi slopes: 1, 0.5, 0.25, 0.125 on rank 0, 1, 0.5, 0.25, 0.25 on rank 1")
        done = self.mpirun(2, PROGRAM, common, "--page 5", recover=True)
        self.assertEqual(done.stderr.count("page size: got 5, allowed: a divisor of the 48 keys"), 2, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_one_rank_has_no_turns_beside_processes(self):
        done = self.mpirun(2, PROGRAM, "bench --shape 1,64,1,1,32 --dtype f32 --full --beside-one")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("beside-one: got 2 ranks of several processes, allowed: ranks of one process", done.stderr)
        self.assertEqual(done.stdout, "")


    def test_a_launcher_that_mpi_does_not_know(self):
        """Else each process would be a world of its own, and say that all is well."""
        line = ("verify", "--shape", "1,64,1,1,32")
        for env, said in [
            ({"PMI_SIZE": "4"}, "PMI_SIZE: got 4, allowed: PMI_RANK beside it"),
            ({"PMI_RANK": "2"}, "PMI_RANK: got 2, allowed: PMI_SIZE beside it"),
            ({"RANK": "0", "WORLD_SIZE": "2"}, "WORLD_SIZE: got 2, allowed: 1 or unset with --device cpu"),
            ({"RANK": "5", "WORLD_SIZE": "2"}, "RANK: got 5, allowed: 0 to 1"),
            ({"RANK": "0", "WORLD_SIZE": "-3"}, "WORLD_SIZE: got -3, allowed: 1 to"),
            ({"RANK": "0"}, "RANK: got 0, allowed: WORLD_SIZE beside it"),
            ({"RANK": "", "WORLD_SIZE": "2"}, "WORLD_SIZE: got 2, allowed: RANK beside it"),
            ({"SLURM_STEP_NUM_TASKS": "3"}, "SLURM_STEP_NUM_TASKS: got 3, allowed: SLURM_PROCID beside it"),
        ]:
            with self.subTest(env=env):
                done = self.refused(said, *line, env=env)
                self.assertEqual(done.stdout, "")
        for env in [{"PMI_SIZE": "4", "PMI_RANK": "0"}, {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "1"}]:
            with self.subTest(env=env):
                done = self.refused(": got 4, allowed: 1, the ranks that MPI knows", *line, env=env)
                self.assertEqual(done.stdout, "")
        for env in [{"WORLD_SIZE": "1"}, {"RANK": "0", "WORLD_SIZE": "1"}, {"SLURM_NTASKS": "4"},
                    {"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}]:
            with self.subTest(env=env):
                self.ok(*line, env=env)


class Tune(MpiTest):
    LINE = "--shape 1,192,2,1,16 --dtype f32 --causal"

    def entries(self):
        with open(self.path("tune.json")) as file:
            return json.load(file)["entries"]

    def test_the_ring_of_processes(self):
        done = self.runs(3, PROGRAM, "tune", self.LINE, "--budget 12s --json --out tune.json")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(lines[0]["kernel"], "ring_of_processes")
        self.assertIn("attention_forward", [line["kernel"] for line in lines])
        for line in lines:
            self.assertEqual({each["verdict"] for each in line["candidates"]}, {"measured"}, line["kernel"])
        ways = [(each["config"]["layout"], each["config"].get("schedule", "auto")) for each in lines[0]["candidates"]]
        self.assertEqual(ways[0], ("contiguous", "auto"))
        self.assertTrue(any(schedule.startswith("ring:") for _, schedule in ways), ways)
        self.assertEqual(self.entries()[0]["layout"], lines[0]["best"]["layout"])
        # What others take: the schedule for the layout that it was found for.
        entries = self.entries()
        entries[0].update(layout="striped", schedule="ring:2")
        with open(self.path("tune.json"), "w") as file:
            json.dump({"version": 1, "entries": entries}, file)
        for layout, said in ("striped", True), ("zigzag", False):
            verify = self.mpirun(3, "env RINGC_TUNE_TABLE=tune.json", PROGRAM, "verify -v", self.LINE, "--layout", layout)
            self.assertEqual(verify.returncode, 0, verify.stdout + verify.stderr)
            self.assertIn("ring_of_processes: layout striped, schedule ring:2, of tune.json, entry", verify.stderr)
        # Ranks that have tables of their own, and not the same, are told so.
        one = f"env RINGC_TUNE_TABLE=tune.json {PROGRAM} verify {self.LINE} --layout striped --deadline 20"
        done = self.mpirun(1, one, ":", "-n 2", one.replace("tune.json", "none"), recover=True)
        if "all-gather" in done.stderr:
            self.assertIn("chosen schedule: ring:2 on rank 0, all-gather on rank 1", done.stderr)

    def test_a_rank_that_crashes_costs_no_more_than_the_rest(self):
        """MPI does not let it begin anew: what is known by then is kept."""
        job = subprocess.Popen(
            self.command(2, PROGRAM, "tune", self.LINE, "--layout striped --schedule ring --pass forward",
                         "--budget 100s --deadline 5 --all --json --out tune.json"),
            cwd=self.folder.name, env=ENVIRONMENT | {"RINGC_CACHE_DIR": self.path("cache")},  # long enough, by what it compiles
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        workers, patience = [], time.monotonic() + 60
        while len(workers) < 2 and time.monotonic() < patience and job.poll() is None:
            time.sleep(0.05)
            workers = self.workers(job.pid)
        self.assertEqual(len(workers), 2)
        time.sleep(6)  # until a few sizes are measured
        os.kill(max(workers), signal.SIGKILL)
        out, err = job.communicate(timeout=90)
        verdicts = [each["verdict"] for each in json.loads(out.splitlines()[0])["candidates"]]
        self.assertIn(verdicts[-1], ("crashed", "timed out"), verdicts)
        self.assertGreater(verdicts.count("measured"), 0)
        self.assertEqual(len(self.entries()), 1)

    @staticmethod
    def workers(launcher):
        """Processes of ringc whose parents are ringc, below the launcher."""
        parents, names = {}, {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as file:
                    head, rest = file.read().rsplit(")", 1)
            except OSError:
                continue
            parents[int(pid)], names[int(pid)] = int(rest.split()[1]), head.split("(", 1)[1]
        def below(pid):
            while pid in parents and pid != launcher:
                pid = parents[pid]
            return pid == launcher
        return [pid for pid in parents if names[pid] == "ringc" and names.get(parents[pid]) == "ringc" and below(pid)]


class WithoutMpi(RingcTest):
    def test_it_is_said(self):
        done = self.refused(
            "built without MPI: install libopenmpi-dev",
            "verify",
            env={"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"},
        )
        self.assertIn("--ranks 2", done.stderr)


def missing():
    """Why there is nothing to test with, or nothing."""
    if not shutil.which("mpirun"):
        return "no mpirun; install openmpi-bin"
    version = subprocess.run(["mpirun", "--version"], capture_output=True, text=True)
    return "" if "Open MPI" in version.stdout else "mpirun is not Open MPI's"


if __name__ == "__main__":
    if "WithoutMpi" not in sys.argv and (reason := missing()):
        print("skipped:", reason)
        sys.exit(77)
    unittest.main()
