"""The blocks of code of docs/python and of README.md's section on Python: each page is a script, and its asserts hold.

A page that says `torchrun --nproc-per-node N` is run by N processes.
"""

import re
from pathlib import Path

import pytest
from torchrun import torchrun

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "docs" / "python").glob("*.md"))


def script(page):
    """Its Python at the lines where it stands, so that an error names them."""
    kept, inside = [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        fence = line.startswith("```")
        kept.append(line if inside and not fence else "")
        inside = line == "```python" if fence else inside
    return "\n".join(kept) + "\n"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_page(page, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    code = script(page)
    assert "import ringc" in code
    processes = re.search(r"torchrun --nproc-per-node (\d+) ring.py", page.read_text(encoding="utf-8"))
    if processes is None:
        exec(compile(code, str(page), "exec"), {"__name__": "__main__"})
        return
    (tmp_path / "ring.py").write_text(code, encoding="utf-8")
    torchrun(int(processes[1]), "ring.py", folder=tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target
    assert f"docs/python/{page.name}" in (ROOT / "README.md").read_text(encoding="utf-8")
