"""The command line's own words: each is taken as it is written, or refused by name."""

import json
import os
import unittest

from ringc import RingcTest

INPUTS = "--q q.npy --k q.npy --v q.npy"
PLAN = "plan --ranks 2 --layout contiguous --length 20"


class Words(RingcTest):
    def setUp(self):
        super().setUp()
        self.save("q.npy", (1, 12, 4, 8))

    def usage(self, message, *arguments):
        done = self.refused(message, *arguments, code=2)
        self.assertRegex(done.stderr, r"\nRun ringc.* --help for more information.\n$")

    def test_an_empty_value_is_no_absent_option(self):
        side = ["q", "k", "v", "dout", "bias", "key-mask", "cu-seqlens", "alibi-slopes", "mask",
                "score", "arg", "layout", "schedule", "window", "backward", "dtype", "f32", "device",
                "devices", "tile", "kv-head-map", "ranks", "scale", "out", "lse", "dq", "dk", "dv",
                "trace"]
        for flag in side:
            with self.subTest(flag):
                done = self.ringc("run", INPUTS, f"--{flag}", "")
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(f"--{flag}: got an empty value", done.stderr)
                done = self.ringc("run", INPUTS, f"--{flag}=")
                self.assertEqual(done.returncode, 2, done.stderr)
        self.write("spec.json", "{}")
        for flag in ["--target", "--tile", "--stop-after", "--start-from", "--dump", "-o", "--set"]:
            with self.subTest(flag):
                self.usage("got an empty value", "compile spec.json", flag, "")
        self.usage("got an empty value", "compile", "")
        self.usage("--shape: got an empty value", "verify --shape", "")
        self.usage("--shape: got an empty value", "bench --shape", "")
        self.usage("--page-table: got an empty value", "decode", INPUTS, "--page-table", "")
        self.usage("--program: got an empty value", "verify --program", "")
        self.usage("got an empty value", "cache show", "")

    def test_integers_are_decimal(self):
        self.assertIn("world 10,", self.ok("plan --ranks 010 --layout contiguous --length 20").stdout)
        self.assertIn(" 100 queries", self.ok("plan --ranks 2 --layout contiguous --length 0100").stdout)
        self.assertEqual(self.ok(PLAN, "--window 010,08").stdout, self.ok(PLAN, "--window 10,8").stdout)
        flags = {
            PLAN: ["--ring-size", "--rank"],
            "plan --layout contiguous": ["--ranks"],
            "plan --ranks 2 --layout contiguous": ["--length"],
            "run " + INPUTS + " --out out.npy": ["--ranks", "--ring-size", "--prefix", "--threads"],
            "verify": ["--ranks", "--ring-size", "--prefix", "--threads", "--seed"],
            "verify --program decode": ["--count", "--page", "--split"],
            "verify --program tree": ["--batch", "--dim", "--heads", "--seq-len"],
            "decode " + INPUTS + " --out out.npy": ["--ranks", "--split", "--threads"],
            "bench": ["--ranks", "--threads", "--repeats"],
        }
        for command, names in flags.items():
            for flag in names:
                for value in ["0x10", "+5", "1e3", "5.0", "five", "5,6", "99999999999999999999", "\u0665"]:
                    with self.subTest(f"{command} {flag} {value}"):
                        self.usage(f"{flag}: got {value}, allowed: an integer in decimal digits, from",
                                   command, f"{flag}={value}")
        self.usage("--seed: got -1, allowed: an integer in decimal digits, from 0 to", "verify --seed=-1")
        self.usage("--ranks: got 3000000000", "verify --ranks 3000000000")
        for value in ["0x10,0", "+5,0", "1e3,0", "5", "5,", ",", "1,2,3", "99999999999999999999,0"]:
            with self.subTest(value):
                self.refused(f"window: got {value}", "run", INPUTS, "--out out.npy --window", value)
        for value in ["q=0x10", "q=+5", "q=1e1", "q=", "=5", "q=4,q=4", "q=4,"]:
            with self.subTest(value):
                self.refused("tile", "run", INPUTS, "--out out.npy --tile", value)
        for value in ["1,0x8,1,1,8", "1,+8,1,1,8", "1,8,1,1", "1,8,1,1,8,8", "1,-8,1,1,8"]:
            with self.subTest(value):
                self.refused(f"shape: got {value}", "verify --shape", value)
        for value in ["striped:0x2", "striped:+2", "striped:", "striped:-1", "striped:2x"]:
            with self.subTest(value):
                self.refused(f"layout: got {value}", "plan --ranks 2 --length 20 --layout", value)

    def test_reals(self):
        for flag in ["--scale", "--softcap", "--deadline"]:
            for value in ["0x1p3", "1,5", "one", "1e999", "+1"]:
                with self.subTest(f"{flag} {value}"):
                    self.usage(f"{flag}: got {value}, allowed: a decimal number",
                               "run", INPUTS, f"{flag}={value}")

    def test_words_that_nobody_knows(self):
        self.usage('"rum" is no command of ringc, allowed: compile, run, decode, verify, plan, bench, tune, cache, info; '
                   "did you mean run?", "rum", INPUTS)
        self.usage('"lst" is no command of ringc cache, allowed: list, show, verify, clear; did you mean list?',
                   "cache lst")
        self.usage("--key_mask is no option of ringc run; did you mean --key-mask?", "run", INPUTS,
                   "--key_mask x.npy")
        self.usage("--Q is no option of ringc run", "run --Q q.npy --k q.npy --v q.npy")
        self.usage("--casual is no option of ringc verify; did you mean --causal?", "verify --casual")
        self.usage("--rank is no option of ringc verify; did you mean --ranks?", "verify --rank=4")
        self.usage("--pages is no option of ringc verify; did you mean --page?", "verify --program decode --pages=4")
        self.usage('"extra" is not expected by ringc info', "info extra")

    def test_values_that_are_missing_or_given_twice(self):
        self.usage("--scale: needs a value, X", "run", INPUTS, "--scale")
        self.usage("--ranks: is given 2 times, allowed: once", "verify --ranks 2 --ranks 3")
        self.usage("--causal: got maybe, allowed: true, false, or no value", "verify --causal=maybe")
        self.usage("--q is required", "run --k q.npy --v q.npy")

    def test_heads_that_do_not_divide(self):
        self.save("more.npy", (1, 12, 8, 8))
        self.refused("kv heads: got 8, allowed: a divisor of heads, 4",
                     "run --q q.npy --k more.npy --v more.npy --out out.npy")

    def test_masks_of_the_library_have_flags(self):
        self.refused('mask: got "causal", allowed: FILE.tile:NAME; the library\'s causal is the flag --causal',
                     "run", INPUTS, "--out out.npy --mask causal")
        self.write("m.tile", "mask near(b: index, h: index, i: index, j: index) { return i - j < 3 }\n")
        done = self.refused("allowed: m.tile:near; did you mean m.tile:near?", "run", INPUTS,
                            "--out out.npy --mask m.tile:neer")
        self.assertNotIn("causal", done.stderr)

    def test_sources_that_are_no_files(self):
        os.mkdir(self.path("folder.tile"))
        os.mkfifo(self.path("pipe.tile"))
        self.refused("folder.tile: a folder, not a regular file", "compile folder.tile")
        self.refused("folder.tile: is a folder", "run", INPUTS, "--out out.npy --mask folder.tile:m")
        self.refused("pipe.tile: not a regular file", "compile pipe.tile")
        self.refused("pipe.tile: is not a regular file", "run", INPUTS, "--out out.npy --mask pipe.tile:m")
        os.mkdir(self.path("folder.npy"))
        self.refused("folder.npy: a folder, not a regular file", "run --q folder.npy --k q.npy --v q.npy")

    def test_a_source_with_nothing_to_compile(self):
        for text in ["", "\n// words alone\n", "\ufeff", "function f(x: f32) -> f32 { return x }\n"]:
            self.write("empty.tile", text)
            with self.subTest(text):
                done = self.ringc("compile empty.tile")
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn("empty.tile", done.stderr)
        self.write("empty.tile", "")
        self.refused("empty.tile: has no kernel, mask or score: there is nothing to compile",
                     "compile empty.tile")

    def test_a_byte_order_mark_is_skipped(self):
        mask = "mask near(b: index, h: index, i: index, j: index) {\n  return i - j < 3\n}\n"
        self.write("m.tile", mask)
        self.write("marked.tile", "\ufeff" + mask)
        for name in ["m", "marked"]:
            self.ok("run", INPUTS, f"--out {name}.npy --mask {name}.tile:near")
        self.assertEqual(self.load("m.npy"), self.load("marked.npy"))
        self.write("spec.json", "\ufeff" + json.dumps({"head_dim": 32}))
        self.ok("compile spec.json -o forward.o")
        self.write("inside.tile", "mask\u200b near() { return true }\n")
        self.refused("unexpected character 'U+200B'", "compile inside.tile")

    def test_a_spec_that_nests(self):
        for text in ["[" * 1000000, '{"a":' * 1000000]:
            self.write("spec.json", text)
            self.refused("spec.json: this is JSON that nests deeper than 32 levels", "compile spec.json")

    def test_an_output_of_compile_that_is_an_input(self):
        self.write("spec.json", json.dumps({"head_dim": 32}))
        os.symlink("spec.json", self.path("link.o"))
        for output in ["spec.json", "./spec.json", "link.o"]:
            self.refused("is also an input", "compile spec.json -o", output)

    def test_devices_and_pipes_as_tensors(self):
        for file in ["/dev/null", "/dev/zero"]:
            os.symlink(file, self.path("x.npy"))
            self.refused("x.npy: not a regular file", "run --q x.npy --k q.npy --v q.npy --out out.npy")
            self.refused("x.npy: is there already and not a regular file", "run", INPUTS, "--out x.npy")
            os.remove(self.path("x.npy"))
        os.mkfifo(self.path("pipe.npy"))
        self.refused("pipe.npy: not a regular file", "run --q pipe.npy --k q.npy --v q.npy --out out.npy")

    def test_a_file_is_named_with_its_flag(self):
        for flag in ["--q", "--k", "--v", "--dout", "--bias", "--key-mask", "--cu-seqlens", "--alibi-slopes"]:
            inputs = [word for name in "qkv" if f"--{name}" != flag for word in (f"--{name}", "q.npy")]
            self.refused(f"{flag}: none.npy: cannot be read: No such file", "run", *inputs, flag, "none.npy")
            self.refused(f"{flag}: tensor file: got 'none', allowed: FILE.npy", "run", *inputs, flag, "none")
        self.refused("--arg a: none.npy: cannot be read", "run", INPUTS, "--arg a=none.npy")

    def test_names_that_are_not_english(self):
        self.save("größe.npy", (1, 12, 4, 8))
        self.ok("run --q größe.npy --k q.npy --v q.npy --out 出力.npy")
        self.assertEqual(self.load("出力.npy")[0], (1, 12, 4, 8))

    def test_a_deep_npy_header(self):
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': " + b"(" * 500000
        self.write("x.npy", b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header)
        self.refused("x.npy: the header has no integer", "run --q x.npy --k q.npy --v q.npy --out out.npy")


if __name__ == "__main__":
    unittest.main()
