"""ringc_messages over a torch.distributed process group: bytes of the host from rank to rank."""

from __future__ import annotations

import ctypes
import datetime
import itertools
import queue
import sys
import threading
from typing import Any, Optional

from ._library import _ABORT, _CANCEL, _POST, _RELEASE, _WAIT, Messages, interrupted

#: Of tag 0, apart from what the group's other users send.
_TAGS = 0x72636
#: Carriers that the library may still call, by number: `user`.
_carriers: dict[int, "Carrier"] = {}
_numbers = itertools.count(1)


#: Seconds between looks for a rank that has failed, while a message is waited for.
_LOOK = 0.25
_FAILED = "ringc/failed"


class Carrier:
    """Posts on one process group. Lives until the library lets go of it.

    A wait for gloo can neither be asked whether it is over nor be taken back. So a thread of the carrier waits, and the caller's
    looks meanwhile whether a rank has left a reason in the group's store.
    """

    def __init__(self, process_group: Any, store: Any, deadline: float):
        self.group = process_group
        self.store = store
        self.deadline = datetime.timedelta(seconds=deadline)
        self.posts: dict[int, list[Any]] = {}  # by token, what is not over
        self.tokens = itertools.count(1)
        self.waits: queue.SimpleQueue[Optional[_Wait]] = queue.SimpleQueue()
        self.waiter: Optional[threading.Thread] = None
        self.number = next(_numbers)
        _carriers[self.number] = self
        self.messages = Messages(
            user=self.number, post=_post, wait=_wait, cancel=_cancel, abort=_abort, release=_release
        )

    def post(self, tag: int, sends: list[tuple[int, int, int]], receives: list[tuple[int, int, int]]) -> int:
        """Each is (peer, address, bytes)."""
        token = next(self.tokens)
        works = self.posts[token] = []
        messages = [(self.group.recv, *each) for each in receives] + [(self.group.send, *each) for each in sends]
        for start, peer, address, count in messages:
            try:
                if count:
                    works.append(start([_bytes_at(address, count)], peer, tag + _TAGS))
            except Exception as error:  # what was started goes on, so that the wait has to say it
                works.append(_Failed(error))
                break
        return token

    def wait(self, token: int) -> None:
        if self.waiter is None:
            self.waiter = threading.Thread(target=_wait_for_all, args=(self.waits,), name="ringc messages", daemon=True)
            self.waiter.start()
        wait = _Wait(self.posts[token], self.deadline)
        self.waits.put(wait)
        while not wait.over.wait(_LOOK):
            if self.store.check([_FAILED]):
                raise RuntimeError(self.store.get(_FAILED).decode("utf-8", "replace"))
        if wait.error is not None:
            raise wait.error
        del self.posts[token]

    def abort(self, reason: str) -> None:
        """The first reason stays."""
        self.store.compare_set(_FAILED, "", f"rank {self.group.rank()}: {reason}")

    def release(self) -> None:
        self.waits.put(None)

    def cancel(self, token: int) -> bool:
        """Whether nothing of it touches memory any more. Gloo cannot take a message back."""
        return not self.posts.pop(token, [])


class _Wait:
    """For all of some works; `over` when they are, or one has failed."""

    def __init__(self, works: list[Any], deadline: datetime.timedelta):
        self.works, self.deadline = works, deadline
        self.over = threading.Event()
        self.error: Optional[BaseException] = None

    def run(self) -> None:
        try:
            while self.works:
                self.works[0].wait(self.deadline)
                self.works.pop(0)
        except BaseException as error:
            self.error = error
        self.over.set()


def _wait_for_all(waits: queue.SimpleQueue[Optional[_Wait]]) -> None:
    while (wait := waits.get()) is not None:
        wait.run()


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


@_POST
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


@_WAIT
def _wait(user, token, error, error_bytes):
    try:
        _carriers[user].wait(token)
        return 0
    except BaseException as problem:
        return _say(problem, error, error_bytes)


@_CANCEL
def _cancel(user, token):
    try:
        return 0 if _carriers[user].cancel(token) else 1
    except BaseException:
        return 1


@_ABORT
def _abort(user, reason):
    try:
        _carriers[user].abort(reason.decode("utf-8", "replace"))
    except BaseException:
        pass  # the others find out by the deadline, or as this process ends


@_RELEASE
def _release(user):
    carrier = _carriers.pop(user, None)
    if carrier is not None:
        carrier.release()
