"""`ringc decode`: the last queries of entries, beside `ringc run` on all of an entry."""

import json
import unittest

from ringc import RingcTest

FILES = "--q q.npy --k k.npy --v v.npy"


class Decode(RingcTest):
    def setUp(self):
        super().setUp()
        self.q = self.save("q.npy", [2, 3, 4, 16])
        self.k = self.save("k.npy", [2, 40, 2, 16])
        self.v = self.save("v.npy", [2, 40, 2, 8])

    def run_of(self, length, entry, *options):
        """out and lse of one entry with so many keys, by `ringc run`."""
        self.save("q1.npy", [1, 3, 4, 16], self.q[entry * 192 : (entry + 1) * 192])
        self.save("k1.npy", [1, length, 2, 16], self.k[entry * 1280 : entry * 1280 + length * 32])
        self.save("v1.npy", [1, length, 2, 8], self.v[entry * 640 : entry * 640 + length * 16])
        self.ok("run --q q1.npy --k k1.npy --v v1.npy --out o1.npy --lse l1.npy", *options)
        return self.load("o1.npy")[1], self.load("l1.npy")[1]

    def compare(self, lengths, *options):
        shape, out = self.load("out.npy")
        self.assertEqual(list(shape), [2, 3, 4, 8])
        lse = self.load("lse.npy")[1]
        for entry, length in enumerate(lengths):
            right, right_lse = self.run_of(length, entry, *options)
            self.assertClose(out[entry * 96 : (entry + 1) * 96], right)
            self.assertClose(lse[entry * 12 : (entry + 1) * 12], right_lse)

    def test_whole_keys(self):
        for options in ["--causal", "--causal --window 9,0", "--softcap 2", "--alibi --scale 0.5",
                        "--kv-head-map tiled"]:
            for ranks in 1, 3:
                self.ok("decode", FILES, "--out out.npy --lse lse.npy --ranks", ranks, options)
                self.compare([40, 40], options)

    def test_lengths_and_pages(self):
        self.save("lengths.npy", [2], [33, 5], "i4")
        for page in 8, 3:
            pages = -(-40 // page)
            order = [(7 * at) % (2 * pages + 1) for at in range(2 * pages + 1)]
            table, pool_k, pool_v = [], [float("nan")] * ((2 * pages + 1) * page * 32), [float("nan")] * ((2 * pages + 1) * page * 16)
            if len(set(order)) < len(order):
                order = list(reversed(range(2 * pages + 1)))
            for entry, length in enumerate([33, 5]):
                for at in range(pages):
                    rows = min(length - at * page, page)
                    place = order[entry * pages + at]
                    table.append(place if rows > 0 else -1)
                    for row in range(max(rows, 0)):
                        token = entry * 40 + at * page + row
                        pool_k[(place * page + row) * 32 : (place * page + row + 1) * 32] = self.k[token * 32 : (token + 1) * 32]
                        pool_v[(place * page + row) * 16 : (place * page + row + 1) * 16] = self.v[token * 16 : (token + 1) * 16]
            self.save("kp.npy", [2 * pages + 1, page, 2, 16], pool_k)
            self.save("vp.npy", [2 * pages + 1, page, 2, 8], pool_v)
            self.save("table.npy", [2, pages], table, "i4")
            for ranks in 1, 2:
                self.ok("decode --q q.npy --k kp.npy --v vp.npy --lengths lengths.npy --page-table table.npy --causal --out out.npy --lse lse.npy --ranks", ranks)
                self.compare([33, 5], "--causal")
        self.ok("decode", FILES, "--lengths lengths.npy --causal --out out.npy --lse lse.npy")
        self.compare([33, 5], "--causal")

    def test_a_mask_of_ones_own(self):
        self.write("own.tile", "mask every(b: index, h: index, i: index, j: index, n: i32) { return j % n == 0 }\n")
        self.ok("decode", FILES, "--mask own.tile:every --arg n=3 --out out.npy --lse lse.npy")
        self.compare([40, 40], "--mask own.tile:every --arg n=3")

    def test_bad_input(self):
        self.save("lengths.npy", [2], [41, 5], "i4")
        for ranks in 1, 3:
            self.refused("length of entry 0: got 41, allowed: 0 to 40, its keys", "decode", FILES, "--lengths lengths.npy --out out.npy --ranks", ranks)
        self.save("table.npy", [2], [0, 1], "i4")
        self.save("short.npy", [2, 20, 2, 8])
        for ranks in 1, 3:
            self.refused("page table: got i32[2], allowed: i32 [b, pages of an entry]", "decode", FILES, "--lengths lengths.npy --page-table table.npy --ranks", ranks)
            self.refused("v: got f32[2, 20, 2, 8], allowed: ", "decode --q q.npy --k k.npy --v short.npy --ranks", ranks)
        self.save("q.npy", [2, 17, 4, 16])
        self.refused("queries of an entry: got 17, allowed: 1 to 16", "decode", FILES, "--out out.npy")
        self.refused("--page-table requires --lengths", "decode", FILES, "--page-table lengths.npy", code=2)

    def bench(self, *line):
        return [json.loads(row) for row in self.ok("bench --json --repeats 2 --decode", *line).stdout.splitlines()]

    def test_bench(self):
        table = self.ok("bench --decode 2,256,4,2,32 --page 16 --page 64 --repeats 2").stdout.splitlines()
        self.assertEqual(len(table), 4)
        lines = self.bench("2,256,4,2,32 --page 16 --decode 1,64,2,2,16/8 --dtype f32 --window 20,-1 --alibi")
        self.assertEqual([(line["shape"], line["page"]) for line in lines],
                         [("2,256,4,2,32", None), ("2,256,4,2,32", 16), ("1,64,2,2,16/8", None), ("1,64,2,2,16/8", 16)])
        for line in lines:
            self.assertEqual((line["ranks"], line["dtype"], line["devices"]), (1, "f32", 0))
            self.assertGreater(line["us"], 0)
            self.assertGreater(line["read_gb_s"], 0)
            self.assertNotIn("part_us", line)

    def test_bench_of_ranks(self):
        for line in self.bench("2,256,4,2,32 --page 16 --ranks 3 --softcap 5"):
            self.assertEqual((line["ranks"], line["device"], line["dtype"]), (3, "cpu", "bf16"))
            self.assertGreater(line["part_us"], 0)
            self.assertIn("exchange_us", line)
            bytes_of_all = 2 * 256 * 2 * (32 + 32) * 2
            self.assertAlmostEqual(line["gb_s"] * line["us"] / (bytes_of_all * 1e-3), 1, 3)
            self.assertAlmostEqual(3 * line["rank_gb_s"] / line["gb_s"], 1, 6)
        for line in self.bench("1,3,2,1,16 --page 1 --ranks 5"):  # of which two have no keys
            self.assertEqual(line["ranks"], 5)
        self.assertEqual(len(self.bench("1,0,2,1,16 --decode 0,8,2,1,16 --ranks 2")), 2)
        self.assertIn("exchange_us", self.ok("bench --decode 1,64,2,1,16 --ranks 2 --repeats 1").stdout)

    def test_bench_of_what_cannot_be(self):
        for ranks in 1, 3:
            for page in 48, 0, -1:
                self.refused(f"page size: got {page}, allowed: a divisor of the 256 keys",
                             f"bench --decode 2,256,4,2,32 --page {page} --repeats 1 --ranks {ranks}")
            self.refused("split: got 10, allowed: 0, or a multiple of 64 keys",
                         f"bench --decode 2,256,4,2,32 --split 10 --ranks {ranks}")
        self.refused("ranks: got 0, allowed: 1 to 1024", "bench --decode 2,256,4,2,32 --ranks 0")
        self.refused("repeats: got 0", "bench --decode 2,256,4,2,32 --repeats 0")
        self.refused("decode: got 1,2/64,2,1,16, allowed: b,n,h,hkv,d[/dv]: one query an entry",
                     "bench --decode 1,2/64,2,1,16")
        self.refused("keys of an entry: got 2147483648, allowed: 0 to 2^31 - 1", "bench --decode 1,2147483648,2,1,16")
        self.refused("kv heads: got 2, allowed: a divisor of heads, 5", "bench --decode 1,64,5,2,16")
        # The first line is fine: nothing is measured before all of them are looked at.
        done = self.refused("shape: got 1,x,2,1,16", "bench --json --decode 1,64,2,1,16 --decode 1,x,2,1,16")
        self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main(verbosity=2)
