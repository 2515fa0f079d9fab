#!/usr/bin/env python3
"""train_bytes and generate, as their users call them.

usage: train_bytes_test.py TRAIN_BYTES GENERATE
"""

import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

TEXT = "".join(f"{i} and {i + 1} make {2 * i + 1}. " for i in range(400))
SMALL = ["--length", "48", "--batch", "3", "--dim", "32", "--heads", "2", "--dim-head", "16", "--rate", "0.01"]


class TrainBytes(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)
        (self.path / "text").write_text(TEXT)

    def run_in_folder(self, *command):
        return subprocess.run(command, cwd=self.path, capture_output=True, text=True, errors="replace")

    def passes(self, *command):
        done = self.run_in_folder(*command)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def refused(self, what, *command):
        done = self.run_in_folder(*command)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(what, done.stderr)

    def losses(self, *flags):
        lines = self.passes(TRAIN, "text", *SMALL, *flags).splitlines()
        self.assertEqual(lines[0].split(), ["step", "loss", "bits", "per", "byte", "tokens/s"])
        return [float(line.split()[1]) for line in lines[1:]]

    def test_any_number_of_ranks_learns_the_same(self):
        one = self.losses("--steps", "40")
        self.assertLess(one[-1], 0.75 * one[0])
        for ranks in "2", "4":
            for a, b in zip(one, self.losses("--steps", "40", "--ranks", ranks), strict=True):
                self.assertLess(abs(a - b), 2e-3)

    def test_what_is_generated_is_what_the_model_says(self):
        self.losses("--steps", "40", "--save", "model.safetensors")
        generate = [GENERATE, "model.safetensors", "--prompt", "12 and 1", "--tokens", "40"]
        first = self.passes(*generate)
        self.assertEqual(len(first), 8 + 40 + 1)
        self.assertTrue(first.startswith("12 and 1"))
        for flags in (["--ranks", "2"], ["--no-cache"], ["--ranks", "3", "--no-cache"], ["--ranks", "3", "--page-size", "4"]):
            self.assertEqual(self.passes(*generate, *flags), first)
        warm = self.passes(*generate, "--temperature", "1", "--seed", "5")
        self.assertEqual(self.passes(*generate, "--temperature", "1", "--seed", "5", "--ranks", "2"), warm)
        self.assertNotEqual(self.passes(*generate, "--temperature", "1", "--seed", "6"), warm)

    def test_a_run_goes_on(self):
        whole = self.losses("--steps", "10", "--dtype", "bf16")
        self.losses("--steps", "5", "--dtype", "bf16", "--save", "half.safetensors")
        rest = self.losses("--steps", "5", "--dtype", "bf16", "--continue", "half.safetensors")
        self.assertEqual(rest, whole[5:])

    def test_recomputing_changes_nothing(self):
        self.assertEqual(self.losses("--steps", "5", "--recompute"), self.losses("--steps", "5"))

    def test_the_curve_is_a_picture(self):
        self.losses("--steps", "12", "--curve", "own.svg")
        picture = ElementTree.parse(self.path / "own.svg").getroot()
        lines = picture.findall("{http://www.w3.org/2000/svg}polyline")
        self.assertEqual([line.get("class") for line in lines], ["each", "mean"])
        for line in lines:
            points = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
            self.assertEqual(len(points), 12)
            self.assertTrue(all(0 <= x <= 720 and 0 <= y <= 400 for x, y in points))

    def test_bad_input(self):
        (self.path / "empty").write_text("")
        self.refused("empty: got 0 bytes, allowed: 49 or more", TRAIN, "empty", *SMALL)
        self.refused("nowhere", TRAIN, "nowhere", *SMALL)
        self.refused("dim_head: got 15", TRAIN, "text", *SMALL[:-4], "--dim-head", "15")
        self.refused("no/where", TRAIN, "text", *SMALL, "--steps", "1", "--save", "no/where")
        self.losses("--steps", "1", "--save", "model.safetensors", "--curve", "")
        before = (self.path / "model.safetensors").read_bytes()
        self.refused("token_emb.weight: got f32[256, 32], allowed: f32[256, 64]",
                     TRAIN, "text", *SMALL[:4], "--dim", "64", "--continue", "model.safetensors", "--save", "model.safetensors")
        self.assertEqual((self.path / "model.safetensors").read_bytes(), before)
        self.refused("--prompt: got nothing", GENERATE, "model.safetensors", "--prompt", "")
        self.refused("not a .safetensors file", GENERATE, "empty")
        self.refused("page size: got 0", GENERATE, "model.safetensors", "--page-size", "0")
        self.assertFalse(re.search(r"\.tmp|~", " ".join(each.name for each in self.path.iterdir())))


TRAIN, GENERATE = sys.argv[1:3]
unittest.main(argv=sys.argv[:1])
