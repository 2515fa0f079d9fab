"""The tile compiler, and the search for tile sizes."""

from __future__ import annotations

import ctypes
import json
import os
from typing import Any, Callable, Mapping, Optional, Sequence, Union

from ._library import library
from ._structs import Source, TuneProgress
from .errors import InputError


class Compiled:
    """A kernel: its stages, each as text, made when it is asked for; ``.ptx`` of a GPU, ``.object`` of a CPU."""

    def __init__(self, spec: str, sources: Mapping[str, str], target: Optional[str]):
        self._spec = spec.encode()
        self._sources = {name.encode(): text.encode() for name, text in sources.items()}
        self._target = target.encode() if target else None
        self._known: dict[str, bytes] = {}
        self._stage("code")  # what is wrong is said now
        #: Of the library's compiler: the names of stages, in their order, and the target.
        self.target: str = json.loads(self._stage("spec"))["target"]
        self.stage_names: list[str] = json.loads(library().text(library().stage_names, self.target.encode()))

    @property
    def ptx(self) -> str:
        """PTX; of a GPU's target."""
        if not self.target.startswith("sm_"):
            raise InputError.of("target", repr(self.target), "one of a GPU, such as 'sm_90', for PTX")
        return self._stage("code").decode()

    @property
    def object(self) -> bytes:
        """What the last stage gives: of a CPU an ELF object."""
        return self._stage("code")

    @property
    def stages(self) -> Mapping[str, str]:
        """The text of each, by name, in their order; an object is none."""
        names = [name for name in self.stage_names if name != "code" or self.target.startswith("sm_")]
        return {name: self._stage(name).decode() for name in names}

    def _stage(self, name: str) -> bytes:
        if name not in self._known:
            self._known[name] = self._compile(name)
        return self._known[name]

    def _compile(self, stage: str) -> bytes:
        sources = (Source * max(1, len(self._sources)))()
        for place, (name, text) in enumerate(self._sources.items()):
            sources[place] = Source(name, text)
        made, size = ctypes.c_void_p(), ctypes.c_size_t()
        library().compile(
            self._spec, sources, len(self._sources), stage.encode(), self._target, ctypes.byref(made), ctypes.byref(size), None
        )
        try:
            return ctypes.string_at(made, size.value)
        finally:
            library().free(made)


def compile(
    spec: Union[Mapping[str, Any], str, os.PathLike[str]],
    *,
    target: Optional[str] = None,
    sources: Optional[Mapping[str, str]] = None,
) -> Compiled:
    """Compiles a kernel for a spec: a dict of its fields (``ringc.options("spec")``), or the path of a JSON file.

    `target`: "cpu", "sm_90", ...; default the spec's. `sources`: texts of .tile files by the names that the spec has for them.
    Raises CompileError with places in the sources, InputError for a spec that cannot be.
    """
    if isinstance(spec, Mapping):
        text = json.dumps(spec)
    else:
        with open(spec, encoding="utf-8") as file:
            text = file.read()
    return Compiled(text, sources or {}, target)


def tune(
    *,
    query_length: int,
    key_length: int = 0,
    batch: int = 1,
    passes: Sequence[str] = ("forward", "backward"),
    seconds: float = 60.0,
    table: Optional[str] = None,
    progress: Optional[Callable[[dict[str, Any]], bool]] = None,
    ranks: int = 1,
    threads: int = 0,
    seed: int = 1,
    **options: Any,
) -> dict[str, Any]:
    """Looks for the tile sizes with which an attention is fastest on this host, in a process of its own.

    `options` are an attention's (``ringc.options("attention")``): heads=8, head_dim=64, causal=True, dtype="bf16". What is found
    goes into `table`, the user's if it is None, nowhere if it is "", and is used by what is made later. `progress` hears of each
    candidate and returns False to end the search. Returns the table of what was found. Raises InputError.
    """
    fields: dict[str, Any] = {
        "options": options, "batch": batch, "query_length": query_length, "key_length": key_length, "passes": list(passes),
        "ranks": ranks, "threads": threads, "seed": seed, "seconds": seconds,
    }  # fmt: skip
    if table is not None:
        fields["table"] = table
    raised: list[BaseException] = []

    def hear(_user: Any, text: bytes) -> int:
        try:
            return 0 if progress is None or progress(json.loads(text)) is not False else 1
        except BaseException as error:
            raised.append(error)
            return 1

    called = TuneProgress(hear)
    found = json.loads(library().text(library().tune, json.dumps(fields).encode(), called, None))
    if raised:
        raise raised[0]
    return found


def options(which: str = "attention") -> list[dict[str, Any]]:
    """The library's options: name, documentation and default of each; of "attention", "decode", "cache", "spec", "tune"."""
    return json.loads(library().text(library().options_help, which.encode()))
