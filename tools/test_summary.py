#!/usr/bin/env python3
"""One summary of several runs of ctest: what failed, and what was skipped with its reason, be it a test or a part of one.

usage: test_summary.py BUILD/tests.xml...        as ctest --output-junit writes them; exit 1 if a test failed

A test says what it leaves out by a line `skipped: what and why`.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as xml

SKIPPED = re.compile(r"skipped(?:: +| ')(.+)")
SEED = re.compile(r"^\d+ of \d+ right, seed \d+$", re.M)
UNSUPPORTED = re.compile(r"^UNSUPPORTED: +(.+)", re.M)


def reasons(case):
    """What this test did not do."""
    said = case.findtext("system-out") or ""
    found = [line.strip() for line in SKIPPED.findall(said) + UNSUPPORTED.findall(said)]
    if case.get("status") in ("notrun", "disabled") and not found:
        found = [case.find("skipped").get("message", "") if case.find("skipped") is not None else "it gave no reason"]
    return list(dict.fromkeys(found))


def main():
    ran, failed, skipped = 0, [], []
    for path in map(pathlib.Path, sys.argv[1:]):
        preset = path.parent.name
        if not path.exists():
            failed.append(f"{preset}: its tests did not run")
            continue
        suite = xml.parse(path).getroot()
        cases = list(suite.iter("testcase"))
        ran += len(cases)
        print(f"{preset:8} {len(cases)} tests, {float(suite.get('time', 0)):.0f} s")
        for case in cases:
            name = f"{preset} {case.get('name')}"
            if case.get("status") == "fail":
                failed.append(name)
            for drawn in SEED.findall(case.findtext("system-out") or ""):
                print(f"         {case.get('name')}: {drawn}")
            skipped += [f"{name}: {reason}" for reason in reasons(case)]
    for title, lines in (("skipped", skipped), ("failed", failed)):
        if lines:
            print(f"{title}:", *lines, sep="\n  ")
    share = 100 if not failed else min(99, round(100 * (ran - len(failed)) / max(ran, 1)))
    print(f"{share}% tests passed, {len(failed)} tests failed out of {ran}")
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
