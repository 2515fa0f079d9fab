"""`--trace`: what each rank did in each hop, in the Chrome trace format."""

import json
import os
import unittest

from ringc import RingcTest


class Trace(RingcTest):
    def events(self, name):
        with open(self.path(name)) as file:
            trace = json.load(file)
        return [event for event in trace["traceEvents"] if event["ph"] == "X"]

    def hops_of_a_run(self, schedule):
        for name in ["q", "k", "v", "dout"]:
            self.save(f"{name}.npy", (1, 40, 2, 32))
        ring = ["--ranks 4 --layout contiguous --causal --schedule", schedule]
        self.ok("run --q q.npy --k k.npy --v v.npy --dout dout.npy --dq dq.npy "
                "--trace trace.json", *ring)
        events = self.events("trace.json")
        plans = json.loads(self.ok("plan --length 40 --json", *ring).stdout)
        for kind in ["forward", "backward"]:
            for rank in plans[kind]["ranks"]:
                own = [event for event in events
                       if event["cat"] == kind and event["pid"] == rank["rank"]]
                computed = {event["args"]["hop"] for event in own if event["name"] == "compute"}
                self.assertEqual(computed, {step["step"] for step in rank["steps"] if step["compute"]})
                line = sorted((event["ts"], event["dur"]) for event in own if event["tid"] == 0)
                for (start, length), (following, _) in zip(line, line[1:]):
                    self.assertLessEqual(start + length, following + 1e-3)
                moved = {event["args"]["hop"] for event in own if event["name"] == "keys"}
                yield moved, {step["step"] for step in rank["steps"]
                              if step["sendTo"] is not None or step["receiveFrom"] is not None}

    def test_hops_of_a_ring(self):
        for schedule in "ring", "ring:3":
            for moved, planned in self.hops_of_a_run(schedule):
                self.assertEqual(moved, planned)

    def test_an_all_gather_moves_all_keys_at_once(self):
        for moved, planned in self.hops_of_a_run("all-gather"):
            self.assertEqual(moved, {0} if planned else set())

    def test_passes_of_bench_follow_each_other(self):
        self.ok("bench --shape 1,64,2,2,32 --dtype f32 --causal --ranks 2 --repeats 1 "
                "--trace trace.json")
        events = self.events("trace.json")
        over = max(event["ts"] + event["dur"] for event in events if event["cat"] == "forward")
        self.assertGreaterEqual(min(event["ts"] for event in events if event["cat"] == "backward"),
                                over - 1e-3)

    def test_bench_prints_exposed_time_by_hop(self):
        lines = self.ok("bench --shape 1,64,2,2,32 --dtype f32 --causal --ranks 3 --repeats 1 "
                        "--json").stdout.splitlines()
        for line in lines:
            exposed = json.loads(line)["exposed_us"]
            self.assertEqual(len(exposed), 3)
            self.assertTrue(all(hop >= 0 for hop in exposed))
        table = self.ok("bench --shape 1,64,2,2,32 --dtype f32 --causal --ranks 3 --repeats 1").stdout
        heading, first, _ = table.splitlines()
        self.assertEqual(heading.split()[-1], "exposed_us")
        self.assertRegex(first.split()[-1], r"^\d+/\d+/\d+$")

    def test_files_that_cannot_be(self):
        line = "bench --shape 1,64,2,2,32 --dtype f32 --causal --repeats 1"
        self.refused('trace: got "trace.txt", allowed: FILE.json', line, "--trace trace.txt")
        self.refused("no/such/trace.json: ", line, "--trace no/such/trace.json")
        os.mkdir(self.path("folder.json"))
        self.refused("folder.json: ", line, "--trace folder.json")


if __name__ == "__main__":
    unittest.main()
