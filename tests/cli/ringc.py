"""Runs the program under test, and reads and writes tensor files with the standard library alone."""

import ast
import json
import math
import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else "ringc"

CODES = {"f4": "f", "i4": "i", "i8": "q", "b1": "?", "f2": "e"}


class Result(unittest.TextTestResult):
    """Says what is skipped as the summary of all tests looks for it."""

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"skipped: {test}: {reason}", flush=True)


unittest.TextTestRunner.resultclass = Result


class RingcTest(unittest.TestCase):
    """A folder of its own for each test, which is the program's working directory."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def ringc(self, *arguments, env=None, **options):
        """Runs `ringc arguments...`; arguments with spaces are split."""
        words = [word for argument in arguments for word in str(argument).split(" ")]
        return subprocess.run(
            [PROGRAM] + words,
            cwd=self.folder.name,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, **(env or {})},
            **options,
        )

    def ok(self, *arguments, **options):
        done = self.ringc(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def refused(self, message, *arguments, code=1, **options):
        """It exits with `code`, says `message`, and leaves no file behind."""
        before = sorted(os.listdir(self.folder.name))
        done = self.ringc(*arguments, **options)
        self.assertIn(message, done.stderr)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(sorted(os.listdir(self.folder.name)), before)
        return done

    def write(self, name, text):
        mode = "wb" if isinstance(text, bytes) else "w"
        with open(self.path(name), mode) as file:
            file.write(text)

    def save(self, name, shape, values=None, code="f4", fortran=False):
        """A .npy file; random normal numbers unless `values` are given."""
        count = math.prod(shape)
        if values is None:
            source = random.Random(name)
            values = [source.gauss(0, 1) for _ in range(count)]
        kind = "|" if code == "b1" else "<"
        self.write(name, npy(f"{kind}{code}", shape, pack(code, values), fortran))
        return list(values)

    def load(self, name):
        """Shape and values of a .npy file in C order."""
        with open(self.path(name), "rb") as file:
            data = file.read()
        length = struct.unpack("<H", data[8:10])[0]
        header = ast.literal_eval(data[10 : 10 + length].decode())
        self.assertFalse(header["fortran_order"])
        code = header["descr"][1:]
        count = math.prod(header["shape"])
        return header["shape"], list(struct.unpack(f"<{count}{CODES[code]}", data[10 + length :]))

    def assertClose(self, actual, expected, most=1e-5):
        self.assertEqual(len(actual), len(expected))
        norm = math.sqrt(sum(x * x for x in expected)) or 1
        error = math.sqrt(sum((x - y) ** 2 for x, y in zip(actual, expected)))
        self.assertLessEqual(error / norm, most)


def pack(code, values):
    return struct.pack(f"<{len(values)}{CODES[code]}", *values)


def npy(descr, shape, data, fortran=False):
    header = repr({"descr": descr, "fortran_order": fortran, "shape": tuple(shape)}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def safetensors(tensors):
    """The bytes of a file with tensors {name: (type, shape, bytes)}."""
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        offsets = [len(data), len(data) + len(content)]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": offsets}
        data += content
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data
