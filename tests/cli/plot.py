"""ringc tune --plot: what its pictures show in a browser, of real searches and of made-up ones (test-tune_plot)."""

import html
import json
import os
import shutil
import struct
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree
import zlib

from ringc import RingcTest

BROWSER = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)
NO_BROWSER = "no chromium-headless-shell here"
SAMPLES = os.environ.get("RINGC_PLOT_SAMPLES_PROGRAM", "")

# What it writes depends on a tile size: only tiles of the source's own size are right.
SIZED = """kernel sized<BM = 64, BN = 64>(x: view<f32>[M, N], y: view<f32>[M, N]) over r in M step BM {
  for c in 0 .. N step BN { y[r : BM, c : BN] = x[r : BM, c : BN] + f32(BM) }
}
"""

# What a page shows of its picture: where each text and each cell of a heat map lies, in pixels.
REPORT = """
<pre id="report"></pre><script>
const box = (e) => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
const svg = document.querySelector('svg');
document.getElementById('report').textContent = 'BEGIN' + JSON.stringify({
  picture: box(svg),
  texts: [...svg.querySelectorAll('text')].map((e) => ({text: e.textContent, box: box(e)})),
  cells: [...svg.querySelectorAll('.cell')].map((e) => (
    {kind: e.classList[1], fill: e.getAttribute('fill'), box: box(e), title: e.textContent})),
}) + 'END';
</script>
"""


def chromium(url, *options):
    """What it prints."""
    with tempfile.TemporaryDirectory() as home:
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                   "--hide-scrollbars", f"--user-data-dir={home}", *options, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, env={**os.environ, "HOME": home})
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout


def pixels_of(path):
    """Width, height, and rows of bytes, three a pixel, of a PNG with 8 bits a channel."""
    with open(path, "rb") as file:
        data = file.read()
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        content = data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", content)
        elif kind == b"IDAT":
            packed += content
        at += 12 + length
    assert (depth, interlaced) == (8, 0) and color in (2, 6)
    channels = 3 if color == 2 else 4
    raw, stride, rows = zlib.decompress(packed), width * channels, []
    before = bytearray(stride)
    for row in range(height):
        kind = raw[row * (stride + 1)]
        line = bytearray(raw[row * (stride + 1) + 1 : (row + 1) * (stride + 1)])
        for i in range(stride):
            left = line[i - channels] if i >= channels else 0
            up, corner = before[i], before[i - channels] if i >= channels else 0
            if kind == 1:
                line[i] = (line[i] + left) & 255
            elif kind == 2:
                line[i] = (line[i] + up) & 255
            elif kind == 3:
                line[i] = (line[i] + (left + up) // 2) & 255
            elif kind == 4:
                guess = left + up - corner
                near = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))
                line[i] = (line[i] + near[2]) & 255
        rows.append(line if channels == 3 else bytearray(b for i, b in enumerate(line) if i % 4 != 3))
        before = line
    return width, height, rows


def overlapping(texts):
    """Pairs whose boxes share more than the edge of a letter."""
    slack = 0.5
    for i, one in enumerate(texts):
        for other in texts[i + 1 :]:
            a, b = one["box"], other["box"]
            if min(a[2], b[2]) - max(a[0], b[0]) > slack and min(a[3], b[3]) - max(a[1], b[1]) > slack:
                yield one["text"], other["text"]


@unittest.skipUnless(BROWSER, NO_BROWSER)
class Pictures(RingcTest):
    def report(self, markup):
        """What the page says of itself."""
        self.write("page.html", markup + REPORT)
        window = "--window-size=1404,1000"
        dom = html.unescape(chromium("file://" + self.path("page.html"), "--dump-dom", window))
        return json.loads(dom[dom.rindex("BEGIN{") + 5 : dom.rindex("}END") + 1])

    def check_layout(self, report):
        left, top, right, bottom = report["picture"]
        self.assertGreater(len(report["texts"]), 0)
        for each in report["texts"]:
            x, y, x_end, y_end = each["box"]
            self.assertTrue(left <= x and top <= y and x_end <= right and y_end <= bottom, each)
        self.assertEqual(list(overlapping(report["texts"])), [])

    def screenshot(self, svg, report, dark):
        height = int(report["picture"][3] - report["picture"][1] + 1)
        image = self.path("shot.png")
        scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
        chromium("file://" + self.path(svg), f"--screenshot={image}", f"--window-size=1404,{height}", *scheme)
        return pixels_of(image)

    def check_colors(self, svg, report, dark=False):
        """Cells have their colours where the page says that they are."""
        width, height, rows = self.screenshot(svg, report, dark)
        at = lambda x, y: tuple(rows[int(y)][3 * int(x) : 3 * int(x) + 3])
        self.assertEqual(at(2, 2), (0x15, 0x17, 0x1B) if dark else (255, 255, 255))
        self.assertGreater(len({at(x, y) for y in range(0, height, 3) for x in range(0, width, 3)}), 10)
        hidden = 0
        for cell in report["cells"]:
            x, y, x_end, y_end = cell["box"]
            inside = {at(i, j) for i in range(int(x) + 1, int(x_end)) for j in range(int(y) + 1, int(y_end))}
            if cell["kind"] == "measured":
                fill = tuple(bytes.fromhex(cell["fill"][1:]))
                shown = at(x + 0.2 * (x_end - x), y + 0.3 * (y_end - y))
                hidden += max(abs(a - b) for a, b in zip(fill, shown)) > 2
            elif cell["kind"] == "rejected":
                self.assertTrue(any(red > green + 60 for red, green, _ in inside), cell)
            else:
                self.assertGreater(len(inside), 1, cell)  # hatched
        small = any(cell["box"][2] - cell["box"][0] < 30 for cell in report["cells"])
        self.assertLessEqual(hidden, 2 * (len(report["cells"]) > 0 and small))  # by the marks of default and best

    def check(self, svg):
        with open(self.path(svg), encoding="utf-8") as file:
            text = file.read()
        xml.etree.ElementTree.fromstring(text.encode())
        page = "<!DOCTYPE html><html><meta charset='utf-8'><body style='margin:0'>"
        report = self.report(page + text.split("?>", 1)[1])
        self.check_layout(report)
        self.check_colors(svg, report)
        return report

    def test_the_check_sees_what_it_is_for(self):
        page = ("<!DOCTYPE html><body style='margin:0'><svg width='100' height='50'><text x='0' y='20'>one</text>"
                "<text x='9' y='24'>two</text></svg>")
        self.assertEqual(list(overlapping(self.report(page)["texts"])), [("one", "two")])
        for wrong in page.replace("x='0'", "x='-9'").replace("y='24'", "y='45'"), page.replace("'9'", "'90'"):
            with self.assertRaises(AssertionError):
                self.check_layout(self.report(wrong))

    @unittest.skipUnless(SAMPLES, "no program that makes up searches")
    def test_made_up_searches(self):
        made = subprocess.run([SAMPLES], env={**os.environ, "RINGC_PLOT_SAMPLES": self.folder.name}, capture_output=True)
        self.assertEqual(made.returncode, 0, made.stdout)
        svgs = sorted(name for name in os.listdir(self.folder.name) if name.endswith(".svg"))
        self.assertIn("usual.svg", svgs)
        reports = {}
        for svg in svgs:
            with self.subTest(svg):
                reports[svg] = self.check(svg)
        usual = reports["usual.svg"]
        kinds = [cell["kind"] for cell in usual["cells"]]
        self.assertEqual([kinds.count(kind) for kind in ("measured", "rejected", "untried")], [27, 3, 18])
        rejected = next(cell for cell in usual["cells"] if "1.5 times the error" in cell["title"])
        self.assertEqual(rejected["kind"], "rejected")
        inside = [each["text"] for each in usual["texts"]
                  if all(a <= b for a, b in zip(rejected["box"][:2], each["box"][:2]))
                  and all(a >= b for a, b in zip(rejected["box"][2:], each["box"][2:]))]
        self.assertEqual(inside, ["wrong"])
        self.check_colors("usual.svg", usual, dark=True)
        wide = " ".join(each["text"] for each in reports["wide.svg"]["texts"])
        self.assertIn('masks /a/long/<folder>/with "quotes" & ampersands/', wide)

    def test_a_search_in_both_formats(self):
        tune = "tune --shape 1,256,2,2,32 --causal --pass forward --seed 3 --out table.json -q --threads 2"
        self.ok(tune, "--budget 6s --plot search.svg")
        report = self.check("search.svg")
        texts = "\n".join(each["text"] for each in report["texts"])
        for expected in ("attention_forward", "f32, d 32, length 256, target cpu (", "masks causal", "Roofline", "Convergence",
                         "Products: ", "Memory: ", " 2 threads", "FLOP per byte", "seconds since the search began",
                         "not tried"):
            self.assertIn(expected, texts)
        self.assertRegex(texts, r"budget (6|5\.\d+) s")
        self.assertIn("measured", [cell["kind"] for cell in report["cells"]])
        self.ok(tune, "--budget 3s --plot search.html --mask", self.mask())
        with open(self.path("search.html"), encoding="utf-8") as file:
            page = file.read()
        for outside in "http:", "https:", "src=", "@import", "<script":
            self.assertNotIn(outside, page.replace("http://www.w3.org/2000/svg", ""))
        shown = self.report(page)
        self.check_layout(shown)
        texts = "\n".join(each["text"] for each in shown["texts"])
        self.assertIn("masks causal+a<b>&'.tile:near", texts)
        self.assertRegex(texts, r"budget (3|2\.\d+) s")

    def test_a_ring_and_a_kernel_that_is_no_attention(self):
        self.ok("tune --shape 1,256,2,2,32 --causal --ranks 2 --budget 6s --out table.json -q --plot ring.svg")
        report = self.check("ring.svg")
        texts = [each["text"] for each in report["texts"]]
        for expected in "ring", "attention_forward", "layout", "schedule", "zigzag":
            self.assertIn(expected, texts)
        self.write("sized.tile", SIZED)
        self.ok("tune sized.tile --extent M=130,N=100 --budget 5s --out table.json -q --plot sized.svg")
        report = self.check("sized.svg")
        self.assertIn("rejected", [cell["kind"] for cell in report["cells"]])
        texts = "\n".join(each["text"] for each in report["texts"])
        self.assertIn("sized", texts)
        self.assertRegex(texts, r"all rejected; of \d+ tried: \d+ wrong")
        self.assertIn("It is not known how many FLOP and bytes this takes.", texts)
        self.assertNotIn("masks", texts)

    def mask(self):
        """A mask in a file whose name is markup."""
        self.write("a<b>&'.tile", "mask near(b: index, h: index, i: index, j: index) {\n  return i - j < 100\n}\n")
        return "a<b>&'.tile:near"


class Refused(RingcTest):
    def test_bad_paths_before_anything_runs(self):
        for path in "x.png", "x", "svg", "x.svg.gz", "x.SVG":
            with self.subTest(path):
                self.refused(f"plot: got {path}, allowed: a file that ends in .svg or .html", "tune --budget 100s --plot", path)
        self.refused("nowhere/x.svg", "tune --budget 100s --plot nowhere/x.svg")
        os.mkdir(self.path("folder.html"))
        self.refused("folder.html", "tune --budget 100s --plot folder.html")


if __name__ == "__main__":
    unittest.main()
