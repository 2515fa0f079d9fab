"""Every command: exit codes, what goes to stdout, what to stderr."""

import json
import os
import unittest

from ringc import RingcTest

COMMANDS = ["compile", "run", "verify", "plan", "bench", "cache", "info"]

MASK = """mask odd(b: index, h: index, i: index, j: index, period: i32) {
  return j <= i and (i - j) % period == 0
}
"""

SOFTMAX = """kernel double<T: type, BM = 8, BN = 32>(x: view<T>[M, N], y: view<T>[M, N])
  over r in M step BM
{
  for c in 0 .. N step BN {
    y[r : BM, c : BN] = cast<T>(cast<f32>(x[r : BM, c : BN]) * 2.0)
  }
}
"""


class Everywhere(RingcTest):
    def test_help_and_version(self):
        for command in [""] + COMMANDS:
            words = [command] if command else []
            self.assertIn("--help", self.ok(*words, "--help").stdout)
            self.assertRegex(self.ok(*words, "--version").stdout, r"^ringc \d+\.\d+\.\d+\n$")

    def test_quiet_and_verbose(self):
        quiet = self.ok("verify --shape 1,5,1,1,32 -q")
        self.assertEqual(quiet.stderr, "")
        self.assertIn("all within", self.ok("verify --shape 1,5,1,1,32 -v").stderr)
        self.assertEqual(self.ok("-q verify --shape 1,5,1,1,32").stdout, quiet.stdout)

    def test_usage(self):
        for line in ["nonsense", "run", "verify --nonsense", "verify --ranks many", "plan",
                     "compile", "cache", "run --q a.npy --k b.npy --v c.npy --dq d.npy"]:
            self.assertEqual(self.ringc(line).returncode, 2, line)
        self.assertEqual(self.ringc().returncode, 2)


class Compile(RingcTest):
    def test_an_object_of_a_spec(self):
        self.write("spec.json", json.dumps({"head_dim": 32, "mask": ["causal"]}))
        done = self.ok("compile spec.json -o forward.o")
        self.assertEqual(done.stdout, "")
        with open(self.path("forward.o"), "rb") as file:
            first = file.read()
        self.assertEqual(first[:4], b"\x7fELF")
        self.ok("compile spec.json -o again.o")
        with open(self.path("again.o"), "rb") as file:
            self.assertEqual(file.read(), first)

    def test_a_description_without_output(self):
        self.write("spec.json", "{}")
        described = json.loads(self.ok("compile spec.json --set head_dim=48 --tile q=32").stdout)
        self.assertIn("attention_forward", json.dumps(described))

    def test_kernels_and_masks_of_ones_own(self):
        self.write("double.tile", SOFTMAX)
        self.ok("compile double.tile -o double.o")
        self.write("odd.tile", MASK)
        self.assertIn("odd.period", self.ok("compile odd.tile").stdout)

    def test_stages(self):
        self.write("spec.json", json.dumps({"mask": ["causal"], "head_dim": 32}))
        self.assertIn("tile.masked_for", self.ok("compile spec.json --stop-after tile").stdout)
        self.ok("compile spec.json --dump stages")
        self.assertGreaterEqual(len(os.listdir(self.path("stages"))), 8)
        self.refused("--stop-after: got nowhere", "compile spec.json --stop-after nowhere")

    def test_bad_input(self):
        self.refused("missing.json", "compile missing.json -o x.o")
        self.write("spec.json", json.dumps({"head_dims": 64}))
        self.refused("did you mean", "compile spec.json -o x.o")
        self.write("spec.json", json.dumps({"head_dim": 0}))
        self.refused("head_dim", "compile spec.json -o x.o")
        self.write("spec.json", "{")
        self.refused("spec.json:1:2: error", "compile spec.json -o x.o")
        self.write("spec.json", "{}")
        self.refused("cpu, native", "compile spec.json --target sm_75 -o x.o")
        self.refused("did you mean", "compile spec.json --set head_dims=3 -o x.o")
        self.refused("SPEC.json, FILE.tile", "compile .")
        self.write("wrong.tile", "mask m(b: index, h: index, i: index, j: index) {\n  return k\n}\n")
        self.refused("wrong.tile:2:10: error", "compile wrong.tile -o x.o")
        self.refused("^", "compile wrong.tile -o x.o")
        self.refused("no/such/folder", "compile spec.json -o no/such/folder/x.o")


class Plan(RingcTest):
    def test_a_table_for_each_pass(self):
        table = self.ok("plan --ranks 3 --layout zigzag --causal --length 100").stdout
        self.assertIn("forward, zigzag, 100 queries", table)
        self.assertIn("backward, zigzag", table)

    def test_json_of_one_rank(self):
        done = self.ok("plan --ranks 4 --layout contiguous --causal --length 64 --rank 1 --json")
        plans = json.loads(done.stdout)
        (rank,) = plans["forward"]["ranks"]
        self.assertEqual(rank["rank"], 1)
        computed = [step["owner"] for step in rank["steps"] if step["compute"]]
        self.assertEqual(computed, [1, 0])

    def test_schedules(self):
        line = "plan --ranks 4 --layout contiguous --length 64 --json --schedule"
        for schedule, sends in [("ring", [1, 1, 1]), ("ring:2", [1] * 6 + [None]), ("all-gather", [1, 2, 3])]:
            plan = json.loads(self.ok(line, schedule).stdout)["forward"]
            self.assertEqual(plan["schedule"], schedule)
            steps = plan["ranks"][0]["steps"]
            self.assertEqual([step["sendTo"] for step in steps], sends + [None])
        self.refused("schedule: got star, allowed: auto, ring, ring:C with 1 to 64 chunks of a hop, all-gather", line, "star")

    def test_a_window_kills_hops(self):
        line = "plan --ranks 8 --layout contiguous --causal --window 7,-1 --length 64 --json"
        ranks = json.loads(self.ok(line).stdout)["forward"]["ranks"]
        for rank in ranks:
            self.assertLessEqual(sum(step["compute"] for step in rank["steps"]), 2)
            self.assertLessEqual(sum(step["sendTo"] is not None for step in rank["steps"]), 1)

    def test_bad_input(self):
        self.refused("rank: got 4, allowed: 0 to 3", "plan --ranks 4 --layout zigzag --rank 4")
        self.refused("layout: got x", "plan --ranks 4 --layout x")
        self.refused("sequence length", "plan --ranks 4 --layout zigzag --length -1")
        self.refused("sequence length", "plan --ranks 4 --layout zigzag --length 3000000000")
        self.refused("ranks: got 0", "plan --ranks 0 --layout zigzag")


class Verify(RingcTest):
    def test_rings(self):
        done = self.ok("verify --shape 2,33/67,6,2,48/80 --ranks 4 --ring-size 2 --layout striped:4 "
                       "--causal --kv-head-map tiled --seed 7")
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0].split(), ["rank", "tensor", "error", "bar", "result"])
        self.assertEqual(len(lines), 1 + 4 * 5 + 5)
        self.assertTrue(all(line.endswith("pass") for line in lines[1:]))

    def test_schedules(self):
        for schedule in ["auto", "ring", "ring:3", "all-gather"]:
            self.ok("verify --shape 2,67,4,2,32 --ranks 5 --layout zigzag --causal --schedule",
                    schedule)

    def test_16_bits(self):
        self.ok("verify --shape 1,129,2,1,64 --dtype bf16 --ranks 3 --layout zigzag --causal")
        self.ok("verify --shape 1,129,2,1,64 --dtype f16 --softcap 5 --alibi")

    def test_a_mask_of_ones_own(self):
        self.write("odd.tile", MASK)
        self.ok("verify --shape 1,50,2,1,32 --mask odd.tile:odd --arg period=3 --ranks 2")
        self.refused("argument odd.period: got nothing, allowed: i32",
                     "verify --shape 1,50,2,1,32 --mask odd.tile:odd")

    def test_rows_so_few_that_one_rank_may_be_lucky(self):
        for problem in ["1,1/270,24,3,33/33 --ranks 7 --layout zigzag --alibi --backward fused --schedule all-gather --seed 941244",
                        "1,2/30,1,1,64/64 --ranks 8 --layout contiguous --backward split --schedule ring --seed 866150204",
                        "1,1/270,24,3,4/4 --ranks 4 --layout zigzag --backward fused --schedule ring --seed 900540277 --alibi",
                        "1,1/270,2,1,4/4 --ranks 5 --layout striped --backward split --schedule ring --seed 344646376 --causal",
                        "1,1/2,1,1,64/64 --ranks 3 --backward fused --schedule all-gather --dtype bf16 --seed 713239997",
                        "1,1/2,2,1,4/4 --ranks 4 --layout zigzag --backward split --schedule ring --dtype bf16 --seed 935883430",
                        "1,1/2,1,1,33/33 --ranks 8 --layout striped --backward fused --schedule ring --dtype f16 --seed 572963718"]:
            with self.subTest(problem):
                self.ok("verify --shape", problem)

    def test_nothing_to_do(self):
        for shape in ["0,5,1,1,32", "1,0,1,1,32", "1,5/0,1,1,32", "1,1,1,1,1"]:
            self.ok(f"verify --shape {shape} --ranks 3 --causal")

    def test_the_same_numbers_for_a_seed(self):
        one = self.ok("verify --shape 1,20,1,1,32 --seed 5").stdout
        self.assertEqual(self.ok("verify --shape 1,20,1,1,32 --seed 5").stdout, one)
        self.assertNotEqual(self.ok("verify --shape 1,20,1,1,32 --seed 6").stdout, one)


class CacheAndInfo(RingcTest):
    def test_cache(self):
        env = {"RINGC_CACHE_DIR": self.path("cache")}
        self.assertEqual(len(self.ok("cache list", env=env).stdout.splitlines()), 1)
        self.ok("verify --shape 1,5,1,1,32", env=env)
        lines = self.ok("cache list", env=env).stdout.splitlines()
        self.assertEqual(len(lines), 5)
        key = lines[1].split()[0]
        self.assertIn("attention_", self.ok("cache show", key, env=env).stdout)
        self.assertEqual(self.ringc("cache show none", env=env).returncode, 1)
        self.ok("cache verify", env=env)
        folder = self.path("cache")
        (broken, *_) = [name for name in os.listdir(folder) if name.startswith(key)]
        os.truncate(os.path.join(folder, broken), 100)
        done = self.ringc("cache verify", env=env)
        self.assertEqual(done.returncode, 1)
        self.assertIn(key, done.stdout)
        self.ok("verify --shape 1,5,1,1,32", env=env)
        self.ok("cache verify", env=env)
        self.assertIn("4 kernels removed", self.ok("cache clear", env=env).stderr)
        self.assertEqual(len(self.ok("cache list", env=env).stdout.splitlines()), 1)

    def test_cache_limit(self):
        env = {"RINGC_CACHE_DIR": self.path("cache")}
        self.ok("verify --shape 1,5,1,1,32", env=env)
        self.assertIn(" bytes, at most 1073741824 (RINGC_CACHE_BYTES)", self.ok("cache list", env=env).stderr)
        self.assertIn(" bytes, no limit", self.ok("cache list", env=env | {"RINGC_CACHE_BYTES": "0"}).stderr)
        small = env | {"RINGC_CACHE_BYTES": "30000"}
        self.ok("verify --shape 1,5,1,1,40", env=small)
        sizes = [os.path.getsize(os.path.join(self.path("cache"), name)) for name in os.listdir(self.path("cache"))]
        self.assertLessEqual(sum(sizes), 30000)
        self.ok("cache verify", env=small)
        for command in ["cache list", "verify --shape 1,5,1,1,32"]:
            done = self.ringc(command, env=env | {"RINGC_CACHE_BYTES": "1G"})
            self.assertEqual(done.returncode, 1)
            self.assertIn("RINGC_CACHE_BYTES: got 1G, allowed: a number of bytes, or 0 for no limit", done.stderr)

    def test_threads(self):
        self.ok("verify --shape 1,5,1,1,32", env={"OMP_NUM_THREADS": "100000"})
        self.assertRegex(self.ok("info", env={"OMP_NUM_THREADS": "100000"}).stdout, r"threads +1024\n")
        self.assertRegex(self.ok("info", env={"OMP_NUM_THREADS": "3,2"}).stdout, r"threads +3\n")
        done = self.ringc("verify --shape 1,5,1,1,32 --threads 2000")
        self.assertEqual(done.returncode, 1)
        self.assertIn("threads: got 2000, allowed: 0 to 1024", done.stderr)

    def test_a_full_disk_costs_a_warning(self):
        env = {"RINGC_CACHE_DIR": "/dev/full/cache"}
        done = self.ok("verify --shape 1,5,1,1,32", env=env)
        self.assertIn("cache", done.stderr)

    def test_info(self):
        text = self.ok("info").stdout
        for word in ["LLVM", "targets", "vectors", "threads", "kernel cache"]:
            self.assertIn(word, text)

    def test_info_of_hidden_features(self):
        text = self.ok("info", env={"RINGC_CPU_FEATURES": "-amx,-avx512bf16"}).stdout
        self.assertRegex(text, r"hidden +-amx,-avx512bf16, as RINGC_CPU_FEATURES says\n")
        self.assertRegex(text, r"bf16 products +widened\n")
        self.assertRegex(text, r"f16 products +widened\n")
        for command in ["info", "verify --shape 1,8,1,1,8"]:
            self.refused('RINGC_CPU_FEATURES: got "+amx-tile"', command, env={"RINGC_CPU_FEATURES": "+amx-tile"})

    def test_peaks(self):
        peaks = [json.loads(line) for line in self.ok("bench --peak --threads 1 --json").stdout.splitlines()]
        self.assertTrue(any(peak["dtype"] == "f16" for peak in peaks))
        self.assertTrue(all(peak["gflops"] > 0 and peak["threads"] == 1 for peak in peaks))
        hidden = self.ok("bench --peak --threads 1 --dtype bf16", env={"RINGC_CPU_FEATURES": "-amx,-avx512f"}).stdout
        self.assertNotIn("AVX512_BF16", hidden)

    def test_forms_without_features(self):
        for hidden in ("-amx,-avx512bf16", "-avx512f"):
            for dtype in ("bf16", "f16"):
                self.ok(f"verify --shape 1,70,2,1,40 --causal --dtype {dtype}", env={"RINGC_CPU_FEATURES": hidden})

    def test_info_of_what_is_missing(self):
        env = {"RINGC_CUDA_LIBRARY": "/no/libcuda.so.1", "RINGC_NCCL_LIBRARY": "/no/libnccl.so.2",
               "RINGC_CUBLASLT_LIBRARY": "/no/libcublasLt.so",
               "RINGC_ONEDNN_LIBRARY": "/no/libdnnl.so.3"}
        text = self.ok("info", env=env).stdout
        self.assertRegex(text, r"(?m)^cuBLASLt +no cuBLASLt: /no/libcublasLt\.so: .*"
                               r"looked for what RINGC_CUBLASLT_LIBRARY names.*install cuBLAS")
        self.assertRegex(text, r"(?m)^oneDNN +no oneDNN: /no/libdnnl\.so\.3: .*"
                               r"looked for what RINGC_ONEDNN_LIBRARY names.*install oneDNN")
        self.assertRegex(text, r"(?m)^CUDA +no CUDA driver: /no/libcuda\.so\.1: .*"
                               r"looked for what RINGC_CUDA_LIBRARY names.*install NVIDIA's driver")
        self.assertRegex(text, r"(?m)^NCCL +no NCCL: /no/libnccl\.so\.2: .*"
                               r"looked for what RINGC_NCCL_LIBRARY names.*install NCCL")

    @unittest.skipUnless("RINGC_FAKE_CUDA" in os.environ, "no stand-in for a driver")
    def test_info_of_devices(self):
        env = {"RINGC_CUDA_LIBRARY": os.environ.get("RINGC_FAKE_CUDA")}
        text = self.ok("info", env=env).stdout
        self.assertRegex(text, r"(?m)^CUDA +13\.0, /")
        self.assertRegex(text, r"(?m)^cuda:0 +Imaginary GPU, compute capability 8\.6, "
                               r"108 multiprocessors, 81920 MiB, 99 KiB shared, 0000:01:00\.0$")


class Bench(RingcTest):
    def test_json_lines(self):
        done = self.ok("bench --shape 1,64,2,2,32 --dtype f32 --causal --repeats 1 --json")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([line["pass"] for line in lines], ["forward", "backward"])
        for line in lines:
            self.assertGreater(line["median_ms"], 0)
            self.assertGreater(line["cold_compile_ms"], 0)

    def test_table(self):
        done = self.ok("bench --shape 1,64,2,2,32 --dtype f32 --repeats 1")
        self.assertEqual(len(done.stdout.splitlines()), 5)

    def test_in_turns_with_one_rank(self):
        done = self.ok("bench --shape 1,64,2,2,32 --dtype f32 --causal --ranks 2 --layout zigzag --beside-one "
                       "--repeats 3 --json")
        for line in map(json.loads, done.stdout.splitlines()):
            self.assertEqual(line["ranks"], 2)
            self.assertGreater(line["one_rank_ms"], 0)
            self.assertGreater(line["times_one_rank"], 0)
        alone = self.ok("bench --shape 1,64,2,2,32 --dtype f32 --causal --ranks 2 --repeats 1 --json")
        self.assertNotIn("times_one_rank", alone.stdout)

    def test_bench_of_products(self):
        lines = [json.loads(line) for line in
                 self.ok("bench --matmul 20,33,17 --dtype bf16 --threads 1 --repeats 2 --json").stdout.splitlines()]
        ours = [line for line in lines if line["library"] == "ringc"]
        self.assertEqual([line["kernel"] for line in ours], ["matmul", "matmul_bt", "matmul_at"])
        self.assertTrue(all(line["gflops"] > 0 and line["threads"] == 1 for line in ours))
        text = self.ok("bench --matmul 64,64,64 --repeats 1 --dtype f32").stdout
        self.assertRegex(text, r"(?m)^matmul_at +64,64,64 +f32 +ringc ")
        for wrong in "64,64", "64,64,64,64", "0,1,1", "a,1,1", "1,1,1,":
            self.refused(f"matmul: got {wrong}, allowed: m,n,k, each from 1 to", f"bench --matmul {wrong}")
        self.refused("repeats: got 0", "bench --matmul 8,8,8 --repeats 0")

    def test_bench_of_the_module(self):
        lines = [json.loads(line) for line in
                 self.ok("bench --module 2,40,24,3,8 --causal --repeats 2 --json").stdout.splitlines()]
        self.assertEqual([line["dtype"] for line in lines], ["f32", "bf16"])
        for line in lines:
            self.assertEqual(line["mask"], "causal")
            self.assertGreater(line["module_ms"], 0)
            self.assertGreater(line["of_both"], 0)
        self.refused("module: got 1,2,3,4, allowed: b,n,dim,heads,dim_head", "bench --module 1,2,3,4")
        self.refused("module: got 1,2,3,4,0, allowed:", "bench --module 1,2,3,4,0")

    def test_a_window_and_scores(self):
        done = self.ok("bench --shape 1,64,2,2,32 --dtype f32 --causal --window 3,-1 --softcap 20 --alibi "
                       "--repeats 1 --json")
        forward = json.loads(done.stdout.splitlines()[0])
        self.assertEqual(forward["mask"], "causal, window 3,-1")
        operations = forward["tflops"] * forward["median_ms"] * 1e9
        self.assertAlmostEqual(operations, 4 * 32 * 2 * (64 * 4 - 6), delta=operations * 1e-6)
        self.refused("window left: got -2", "bench --shape 1,64,2,2,32 --window -2,0")


if __name__ == "__main__":
    unittest.main()
