"""ringc_messages over a torch.distributed process group: bytes of the host from rank to rank."""

from __future__ import annotations

import atexit
import ctypes
import datetime
import itertools
import sys
from typing import Any

from ._library import interrupted
from ._structs import Abort, Cancel, Messages, Post, Release, Wait
from .errors import PeerError

#: A tag that no message has.
_NOBODY = 2
#: Carriers that the library may still call, by number: `user`.
_carriers: dict[int, "Carrier"] = {}
_numbers = itertools.count(1)
#: In the store of a group: why it is of no use any more.
_FAILED = "ringc/failed"


class Carrier:
    """Posts on connections of its own between the ranks of a process group. Lives until the library lets go of it.

    A rank that fails leaves the reason in the group's store and closes its connections, which ends the waits of the others.
    """

    def __init__(self, rank: int, world: int, store: Any, deadline: float):
        dist = sys.modules["torch"].distributed
        self.rank, self.world, self.store = rank, world, store
        self.deadline = datetime.timedelta(seconds=deadline)
        try:
            self.gloo = dist.ProcessGroupGloo(dist.PrefixStore("ringc/messages", store), rank, world, self.deadline)
        except RuntimeError as error:
            raise PeerError(f"rank {rank}: the other ranks of the group were not met: {error}") from error
        self.posts: dict[int, list[Any]] = {}  # by token, what is not over
        self.tokens = itertools.count(1)
        self.closed = False
        self.number = next(_numbers)
        _carriers[self.number] = self
        self.messages = Messages(user=self.number, post=_post, wait=_wait, cancel=_cancel, abort=_abort, release=_release)

    def post(self, tag: int, sends: list[tuple[int, int, int]], receives: list[tuple[int, int, int]]) -> int:
        """Each is (peer, address, bytes)."""
        token = next(self.tokens)
        works = self.posts[token] = []
        messages = [(self.gloo.recv, *each) for each in receives] + [(self.gloo.send, *each) for each in sends]
        for start, peer, address, count in messages:
            try:
                if count:
                    works.append(start([_bytes_at(address, count)], peer, tag))
            except Exception as error:  # what was started goes on, so that the wait has to say it
                works.append(_Failed(error))
                break
        return token

    def wait(self, token: int) -> None:
        works = self.posts[token]
        try:
            while works:
                works[0].wait(self.deadline)
                works.pop(0)
        except Exception as error:
            if self.store.check([_FAILED]):
                raise RuntimeError(self.store.get(_FAILED).decode("utf-8", "replace")) from error
            raise
        del self.posts[token]

    def cancel(self, token: int) -> None:
        """Nothing of it touches memory any more."""
        self.close()
        self.posts.pop(token, None)

    def abort(self, reason: str) -> None:
        """The first reason stays."""
        self.store.compare_set(_FAILED, "", f"rank {self.rank}: {reason}")
        self.close()

    def close(self) -> None:
        """Gloo closes all connections when a wait is given up, here for what nobody sends."""
        if self.closed or self.world == 1:
            return
        self.closed = True
        try:
            nothing = sys.modules["torch"].empty(1, dtype=sys.modules["torch"].uint8)
            self.gloo.recv([nothing], (self.rank + 1) % self.world, _NOBODY).wait(datetime.timedelta(milliseconds=1))
        except Exception:
            pass  # that is it


def _let_go() -> None:
    """Before the interpreter ends: what is under way has tensors of Python's memory, which gloo's threads cannot free after it."""
    for carrier in list(_carriers.values()):
        carrier.close()
        carrier.posts.clear()
        carrier.gloo = None


atexit.register(_let_go)


class _Failed:
    """A message that could not be started."""

    def __init__(self, error: Exception):
        self.error = error

    def wait(self, _deadline: Any) -> None:
        raise self.error


def _bytes_at(address: int, count: int) -> Any:
    torch = sys.modules["torch"]
    return torch.frombuffer((ctypes.c_uint8 * count).from_address(address), dtype=torch.uint8)


def _say(error: BaseException, room: Any, size: int) -> int:
    """Leaves its text for the library; the status of a failure. A KeyboardInterrupt is raised behind the call."""
    if not isinstance(error, Exception):
        interrupted.by = error
    text = f"{type(error).__name__}: {error}".encode()[: max(0, size - 1)]
    if room and size:
        ctypes.memmove(room, text + b"\0", len(text) + 1)
    return 1


@Post
def _post(user, tag, sends, send_count, receives, receive_count, token, error, error_bytes):
    try:
        parts = [
            [(part[i].peer, part[i].bytes or 0, part[i].count) for i in range(count)]
            for part, count in ((sends, send_count), (receives, receive_count))
        ]
        token[0] = _carriers[user].post(tag, *parts)
        return 0
    except BaseException as problem:
        return _say(problem, error, error_bytes)


@Wait
def _wait(user, token, error, error_bytes):
    try:
        _carriers[user].wait(token)
        return 0
    except BaseException as problem:
        return _say(problem, error, error_bytes)


@Cancel
def _cancel(user, token):
    try:
        _carriers[user].cancel(token)
        return 0
    except BaseException:
        return 1


@Abort
def _abort(user, reason):
    try:
        _carriers[user].abort(reason.decode("utf-8", "replace"))
    except BaseException:
        pass  # without the store the others still see closed connections, or an end of this process


@Release
def _release(user):
    _carriers.pop(user, None)
