"""What was left out, as `tools/test_summary.py` reads it."""

import collections


def pytest_terminal_summary(terminalreporter):
    reasons = collections.Counter(report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", ()))
    for reason, count in reasons.items():
        terminalreporter.write_line(f"skipped: {count} tests: {reason}")
