"""What `ringc run` writes: every result is in a file in the end, nothing else is touched."""

import json
import os
import signal
import stat
import struct
import subprocess
import time
import unittest

from ringc import PROGRAM, RingcTest, pack, safetensors

SHAPE = (1, 8, 1, 8)
INPUTS = "--q q.npy --k q.npy --v q.npy --dout q.npy"


class Outputs(RingcTest):
    def setUp(self):
        super().setUp()
        self.values = self.save("q.npy", SHAPE)

    def header(self, name):
        with open(self.path(name), "rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            return json.loads(file.read(length)), file.read()

    def tensor(self, name, key):
        header, data = self.header(name)
        begin, end = header[key]["data_offsets"]
        return data[begin:end]

    def test_two_spellings_of_one_file(self):
        os.mkdir(self.path("sub"))
        os.symlink("sub", self.path("link"))
        for one, other in [("o.npy", "./o.npy"), ("o.npy", self.path("o.npy")), ("sub/o.npy", "link/o.npy"),
                           ("sub/../o.npy", "o.npy"), ("sub/o.npy", "sub//o.npy")]:
            with self.subTest(f"{one} {other}"):
                self.refused(f"{other}: is the target of two tensors", "run", INPUTS, f"--out {one} --lse {other}")
        self.save("there.npy", (1,))
        os.symlink("there.npy", self.path("alias.npy"))
        self.refused("is the target of two tensors", "run", INPUTS, "--out there.npy --lse alias.npy")

    def test_two_spellings_of_one_file_of_tensors(self):
        os.mkdir(self.path("sub"))
        os.symlink("../sub", self.path("sub/link"))
        for times in range(2):  # not there yet, and there
            self.ok("run", INPUTS, "--dq sub/g.safetensors:dq --dk ./sub/g.safetensors:dk",
                    "--dv sub/link/g.safetensors:dv")
            self.assertEqual({"dq", "dk", "dv"}, set(self.header("sub/g.safetensors")[0]))
        self.refused("is the target of two tensors", "run", INPUTS,
                     "--dq sub/g.safetensors:dq --dk ./sub/g.safetensors:dq")

    def test_hard_links_are_two_files(self):
        self.save("a.npy", (1,))
        os.link(self.path("a.npy"), self.path("b.npy"))
        self.ok("run", INPUTS, "--out a.npy --lse b.npy")
        self.assertEqual(self.load("a.npy")[0], SHAPE)
        self.assertEqual(self.load("b.npy")[0], (1, 1, 8))

    def test_modes(self):
        mode = lambda name: stat.S_IMODE(os.stat(self.path(name)).st_mode)
        self.ok("run", INPUTS, "--out o.npy --lse o.safetensors:lse", preexec_fn=lambda: os.umask(0o027))
        self.assertEqual([mode("o.npy"), mode("o.safetensors")], [0o640, 0o640])
        for wanted in [0o600, 0o664, 0o644]:
            os.chmod(self.path("o.npy"), wanted)
            os.chmod(self.path("o.safetensors"), wanted)
            self.ok("run", INPUTS, "--out o.npy --lse o.safetensors:lse --trace t.json",
                    preexec_fn=lambda: os.umask(0o022))
            self.assertEqual([mode("o.npy"), mode("o.safetensors")], [wanted, wanted])

    def test_a_file_of_tensors_keeps_the_others(self):
        data = pack("f4", self.values)
        content = safetensors({"q": ("F32", SHAPE, data), "weight": ("F8_E4M3", (3,), b"abc")})
        length = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + length])
        header["__metadata__"] = {"format": "pt", "größe": "\"x\""}
        text = json.dumps(header).encode()
        self.write("x.safetensors", struct.pack("<Q", len(text)) + text + content[8 + length :])
        inputs = "--q x.safetensors:q --k x.safetensors:q --v x.safetensors:q"
        self.ok("run", inputs, "--out x.safetensors:out --lse ./x.safetensors:lse")
        self.assertEqual(self.header("x.safetensors")[0]["__metadata__"], header["__metadata__"])
        self.assertEqual(self.tensor("x.safetensors", "q"), data)
        self.assertEqual(self.tensor("x.safetensors", "weight"), b"abc")
        self.ok("run", INPUTS, "--out out.npy")
        self.assertEqual(self.tensor("x.safetensors", "out"), pack("f4", self.load("out.npy")[1]))
        with open(self.path("x.safetensors"), "rb") as file:
            before = file.read()
        self.ok("run", inputs, "--out x.safetensors:out")
        with open(self.path("x.safetensors"), "rb") as file:
            self.assertEqual(file.read(), before)
        self.refused("x.safetensors:q: is also an input", "run", inputs, "--out x.safetensors:q")

    def test_what_is_no_file_of_tensors_stays(self):
        self.write("x.safetensors", "a letter to somebody")
        self.refused("x.safetensors: the header claims", "run", INPUTS, "--out x.safetensors:out")
        with open(self.path("x.safetensors")) as file:
            self.assertEqual(file.read(), "a letter to somebody")

    def test_an_output_that_is_an_input(self):
        os.symlink("q.npy", self.path("link.npy"))
        self.save("mask.npy", (1, 8), [True] * 8, code="b1")
        self.save("t.npy", (8,), range(8), code="i4")
        self.write("m.tile", "mask m(b: index, h: index, i: index, j: index, t: view<i32>[Nk]) "
                             "{ return t[j] >= 0 }\n")
        os.symlink("m.tile", self.path("m.npy"))
        more = "--key-mask mask.npy --mask m.tile:m --arg t=t.npy"
        before = self.load("q.npy")
        for target in ["q.npy", "./q.npy", "link.npy", "mask.npy", "t.npy", "m.npy"]:
            with self.subTest(target):
                self.refused(f"{target}: is also an input", "run", INPUTS, more, "--lse", target)
        self.assertEqual(self.load("q.npy"), before)
        self.ok("run", INPUTS, more, "--lse lse.npy")

    def test_a_run_that_writes_nothing_says_so(self):
        self.assertIn("nothing will be written: name a file by --out", self.ok("run", INPUTS).stderr)
        self.assertIn("no gradient will be written", self.ok("run", INPUTS, "--out out.npy").stderr)
        for targets in ["--dq dq.npy", "--out out.npy --dv dv.npy", "--trace t.json"]:
            self.assertNotIn("will be written", self.ok("run", INPUTS, targets).stderr)

    def test_signals_leave_nothing_behind(self):
        # A large file is written for a while; the signal comes as soon as its temporary one is there.
        shape = (1, 4096, 8, 128)
        with open(self.path("large.npy"), "wb") as file:
            text = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode() + b"\n"
            file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
            file.truncate(file.tell() + 4 * 4096 * 8 * 128)
        line = [PROGRAM, "run", "--q", "large.npy", "--k", "q8.npy", "--v", "q8.npy", "--out", "o.safetensors:out"]
        self.save("q8.npy", (1, 1, 8, 128))
        self.write("o.safetensors", safetensors({"kept": ("U8", (1 << 27,), bytes(1 << 27))}))
        size = os.path.getsize(self.path("o.safetensors"))
        for number in [signal.SIGINT, signal.SIGTERM]:
            ran = subprocess.Popen(line, cwd=self.folder.name, stderr=subprocess.DEVNULL)
            seen = False
            while ran.poll() is None and not seen:
                seen = any(name.endswith(".tmp") for name in os.listdir(self.folder.name))
                time.sleep(0.001)
            ran.send_signal(number)
            self.assertEqual(ran.wait(60), -number)
            self.assertTrue(seen)
            self.assertFalse([name for name in os.listdir(self.folder.name) if name.startswith(".ringc")])
            self.assertEqual(os.path.getsize(self.path("o.safetensors")), size)

    def test_folders_and_files_that_may_not_be_written(self):
        def drop():
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)

        os.mkdir(self.path("closed"))
        os.chmod(self.path("closed"), 0o555)
        os.chmod(self.folder.name, 0o777)
        os.mkdir(self.path("open"))
        self.save("open/kept.npy", (1,))
        os.chmod(self.path("open"), 0o777)
        os.chmod(self.path("open/kept.npy"), 0o444)
        self.save("secret.npy", SHAPE)
        os.chmod(self.path("secret.npy"), 0)
        env = {"RINGC_CACHE_DIR": self.path("cache")}
        who = {"preexec_fn": drop, "env": env}
        done = self.ringc("run", INPUTS, "--out open/fine.npy", **who)
        if done.returncode < 0 or "Permission denied" in done.stderr and "open" not in done.stderr:
            self.skipTest("another user cannot run the program or reach the folder: " + done.stderr)
        self.assertEqual(done.returncode, 0, done.stderr)
        for target in ["closed/o.npy", "closed/o.safetensors:x", "open/kept.npy"]:
            done = self.ringc("run", INPUTS, "--out", target, **who)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("cannot be written: Permission denied", done.stderr)
        self.assertEqual(self.load("open/kept.npy")[0], (1,))
        done = self.ringc("run --q secret.npy --k q.npy --v q.npy --out open/o.npy", **who)
        self.assertIn("secret.npy: cannot be read: Permission denied", done.stderr)
        self.assertEqual(sorted(os.listdir(self.path("open"))), ["fine.npy", "kept.npy"])
        self.assertEqual(os.listdir(self.path("closed")), [])


if __name__ == "__main__":
    unittest.main()
