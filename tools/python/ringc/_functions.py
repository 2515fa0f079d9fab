"""Masks and scores of the caller, in the tile language: `"file.tile:name"`, `(path, name)`, or the text."""

from __future__ import annotations

import os
import re
from typing import Any, Union

from .errors import InputError

#: "file.tile:name", (path, name), the text of a function, (text, name) where it holds several; or a list of these.
Function = Union[str, tuple[Union[str, os.PathLike[str]], str]]

_DECLARED = re.compile(r"^\s*(mask|score)\s+([A-Za-z_]\w*)\s*\(", re.M)


def parse(kind: str, given: Any) -> list[dict[str, str | None]]:
    """Each as the library's options have it: its file, its name, and its text or None; `kind` is "mask" or "score"."""
    if given is None:
        return []
    if isinstance(given, list):
        found = [_parse_one(f"{kind}[{place}]", kind, each) for place, each in enumerate(given)]
    else:
        found = [_parse_one(kind, kind, given)]
    return [{"file": file, "name": name, "text": text} for file, name, text in found]


def _parse_one(argument: str, kind: str, given: Any) -> tuple[str, str, str | None]:
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], str):
        source, name = given
        if isinstance(source, str) and _is_text(source):
            return (f"<{kind} {name}>", name, source)
        if isinstance(source, (str, os.PathLike)):
            return (os.fspath(source), name, None)
    elif isinstance(given, str) and _is_text(given):
        names = [name for what, name in _DECLARED.findall(given) if what == kind]
        if len(names) != 1:
            found = f"a text with {len(names)} of them" + (": " + ", ".join(names) if names else "")
            raise InputError.of(argument, found, f"a text with one {kind}, or (text, name)")
        return (f"<{kind} {names[0]}>", names[0], given)
    elif isinstance(given, str) and ":" in given:
        path, name = given.rsplit(":", 1)
        return (path, name, None)
    raise InputError.of(argument, repr(given), f"'file.tile:name', (path, name), or the text of a {kind}")


def _is_text(source: str) -> bool:
    return "{" in source or "\n" in source
