"""ringc tune: what it finds, keeps and refuses, and that other commands take it."""

import json
import os
import signal
import subprocess
import time
import unittest

from ringc import PROGRAM, RingcTest

SHAPE = "--shape 1,256,2,2,32"


class Tune(RingcTest):
    def setUp(self):
        super().setUp()
        self.table = self.path("tune.json")

    def entries(self):
        with open(self.table) as file:
            return json.load(file)["entries"]

    def test_a_search_fills_the_table_and_others_read_it(self):
        done = self.ok("tune", SHAPE, "--causal --budget 8s --seed 3 --json --out", self.table)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([line["kernel"] for line in lines][0], "attention_forward")
        self.assertGreaterEqual(lines[0]["seen"], 2)
        best = next(c for c in lines[0]["candidates"] if c["config"] == lines[0]["best"])
        self.assertLessEqual(best["ratio"], 1)  # never slower than the default
        self.assertEqual({c["verdict"] for c in lines[0]["candidates"]}, {"measured"})
        entries = self.entries()
        self.assertEqual(len(entries), len(lines))
        self.assertEqual(entries[0]["key"]["mask"], ["causal"])
        self.assertEqual(entries[0]["key"]["length"], 256)
        # Another process takes what is there: sizes that nobody would choose, seen in its kernel cache.
        entries[0]["config"]["tile"] = {"q": 16, "kv": 48}
        with open(self.table, "w") as file:
            json.dump({"version": 1, "entries": entries}, file)
        cache = {"RINGC_CACHE_DIR": self.path("cache")}
        for table, tile in [(self.table, {"q": 16, "kv": 48}), ("none", {"q": 64, "kv": 64})]:
            self.ok("verify", SHAPE, "--causal", env={**cache, "RINGC_TUNE_TABLE": table})
            listed = self.ok("cache list", env=cache).stdout.splitlines()
            keys = [line.split()[0] for line in listed if "attention_forward" in line]
            shown = [json.loads(self.ok("cache show", key, env=cache).stdout)["provenance"] for key in keys]
            tiles = [(json.loads(each) if isinstance(each, str) else each)["tile"]["tile"] for each in shown]
            self.assertIn(tile, tiles)
        shown = self.ok("tune --show", self.table).stdout
        self.assertIn("kv=48,q=16", shown)
        self.assertIn("entries", self.ok("info", env={"RINGC_TUNE_TABLE": self.table}).stdout)
        key = shown.splitlines()[1].split()[0]
        self.ok("tune --out", self.table, "--forget", key)
        self.assertEqual(len(self.entries()), len(entries) - 1)
        self.ok("tune --out", self.table, "--forget all")
        self.assertEqual(self.entries(), [])

    def test_a_ring_of_threads(self):
        done = self.ok("tune", SHAPE, "--causal --ranks 2 --pass forward --budget 6s --json --out", self.table)
        ring, forward = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual((ring["kernel"], forward["kernel"]), ("ring_forward", "attention_forward"))
        self.assertEqual(ring["space"], len({json.dumps(each["config"]) for each in ring["candidates"]}))
        layout = ring["best"]["layout"].split(":")[0]
        key = self.entries()[1]["key"]
        self.assertEqual((key["ranks"], key["key_layout"]), (2, "bucket_striped" if ":" in ring["best"]["layout"] else layout))
        self.assertIn("layout=" + layout, self.ok("tune --show", self.table).stdout)
        given = self.ok("tune", SHAPE, "--ranks 2 --layout zigzag --schedule ring --pass forward --budget 1s --json -q --out", self.table)
        self.assertEqual([json.loads(line)["kernel"] for line in given.stdout.splitlines()], ["attention_forward"])

    def test_it_is_said_where_sizes_come_from(self):
        line = f"verify {SHAPE} -v --tile attention_forward.q=32"
        self.assertIn("attention_forward: kv=64,q=32,micro_rows=", self.ok(line).stderr)
        self.assertRegex(self.ok(line).stderr, "attention_forward: .*, of by hand\n")
        self.assertRegex(self.ok(line).stderr, "attention_delta: .*, of the model\n")
        self.ok("tune", SHAPE, "--pass forward --budget 1s --out", self.table)
        for command in f"verify {SHAPE} -v", f"bench {SHAPE} --dtype f32 --full -v --repeats 1":
            said = self.ok(command, env={"RINGC_TUNE_TABLE": self.table}).stderr
            self.assertIn("attention_forward: ", said)
            self.assertRegex(said, rf"attention_forward: .*, of {self.table}, entry [0-9a-f]+\n")
            self.assertNotIn("attention_forward", self.ok(command.replace(" -v", ""), env={"RINGC_TUNE_TABLE": self.table}).stderr)

    def test_two_at_once_lose_nothing(self):
        jobs = [subprocess.Popen([PROGRAM, "tune", "--shape", f"1,128,1,1,{d}", "--pass", "forward", "--budget", "2s",
                                  "--out", self.table, "-q"], stdout=subprocess.DEVNULL) for d in (8, 16)]
        self.assertEqual([job.wait(timeout=120) for job in jobs], [0, 0])
        self.assertEqual(sorted(entry["key"]["head_dim"] for entry in self.entries()), [8, 16])

    def test_an_interrupt_keeps_what_is_known(self):
        job = subprocess.Popen([PROGRAM, "tune", *SHAPE.split(), "--budget", "100s", "--out", self.table],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(4)
        job.send_signal(signal.SIGINT)
        out, err = job.communicate(timeout=60)
        self.assertEqual(job.returncode, 0, err)
        self.assertIn("attention_forward", out)
        self.assertIn("interrupted", err)
        self.assertGreaterEqual(len(self.entries()), 1)

    def test_bad_input(self):
        for budget in "0", "0s", "10", "s", "-1s", "10x", "nans", "1e9h":
            with self.subTest(budget):
                self.refused(f"budget: got {budget}, allowed: a time with its unit, 20s, 5m or 1h", "tune", f"--budget={budget}")
        self.refused("pass: got sideways, allowed: forward, backward, both", "tune --pass sideways")
        self.refused("tile: got q=64, allowed: nothing", "tune --tile q=64")
        self.refused("forget", "tune --forget 123 --out", self.table)
        self.write("broken.json", "{")
        self.refused("broken.json: no table of tile sizes", "tune --forget all --out broken.json")
        self.refused("WORLD_SIZE: got 2, allowed: 1 or unset", "tune --out", self.table, env={"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"})
        self.refused("shape: got 64,1048576,64,64,256, tensors of", "tune --shape 64,1048576,64,64,256 --out", self.table)
        # What was found is printed, though it cannot be kept.
        done = self.ringc("tune --shape 1,64,1,1,8 --pass forward --budget 1s --out broken.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("attention_forward", done.stdout)
        self.assertIn("broken.json", done.stderr)
        done = self.ok("verify --shape 1,64,1,1,8", env={"RINGC_TUNE_TABLE": "broken.json"})
        self.assertIn("broken.json: no table of tile sizes", done.stderr)


if __name__ == "__main__":
    unittest.main()
