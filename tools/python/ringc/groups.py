"""Groups: the ranks that share a sequence. A torch.distributed process group, or threads of one process.

NCCL groups lend their communicator, or, where torch does not give it out, another one is made, whose id goes through the
group. Messages of tensors of the host go over connections of gloo, which the ranks of a group of any backend find by its store.

A call that fails on one rank, but for a DisagreementError, fails on all of them, and the group is of no use to ringc from then on:
``torch.distributed.new_group`` makes another one.
"""

from __future__ import annotations

import ctypes
import itertools
import sys
import threading
import weakref
from typing import Any, Optional

from . import _handles
from ._handles import Handle, context
from ._library import library
from ._messages import Carrier
from ._tensor import HOST
from .errors import ClosedError, InputError


class Group:
    """One rank of a world, as the library has it; used by one thread at a time."""

    def __init__(self, handle: Handle, rank: int, world: int, name: str):
        self.handle = handle
        self.rank = rank
        self.world = world
        self.name = name  # by which `by_name` finds it
        self.lock = handle.lock
        self.closed = False

    def close(self) -> None:
        """Calls on it raise ClosedError from now on. Of NCCL, all ranks call it."""
        with self.lock:
            self.closed = True
            library().group_close(self.handle.raw)

    def abort(self, reason: str) -> None:
        """Makes the calls of the other ranks fail with PeerError and `reason`, as far as the messages can."""
        library().group_abort(self.handle.raw, reason.encode())

    def check(self) -> None:
        if self.closed:
            raise ClosedError("group: it was closed")


_lock = threading.Lock()
#: Of each group that is being made, for which ranks wait for each other.
_making: dict[tuple[str, int], threading.Lock] = {}
_numbers = itertools.count()
_thread_groups: "weakref.WeakValueDictionary[str, Group]" = weakref.WeakValueDictionary()
#: By name and device; with the process group that it was made of.
_of_processes: dict[tuple[str, int], tuple[Any, Group]] = {}


def threads(world: int, deadline: float = 3600.0) -> list[Group]:
    """The ranks of a world whose threads are this process's, each used by its own; on the host.

    `deadline`: seconds that a rank waits for another.
    """
    places = (ctypes.c_void_p * max(world, 1))()
    library().group_threads(context(HOST).raw, world, int(deadline * 1000), places)
    made = []
    for rank in range(world):
        handle = Handle(ctypes.c_void_p(places[rank]), library().group_destroy, context(HOST))
        group = Group(handle, rank, world, f"ringc.threads.{next(_numbers)}")
        _thread_groups[group.name] = group
        made.append(group)
    return made


def name_of(group: Any) -> str:
    """"" of None; what `by_name` takes of a Group, a ProcessGroup, or a DeviceMesh of one axis."""
    if group is None:
        return ""
    if isinstance(group, Group):
        return group.name
    if hasattr(group, "get_group"):  # a DeviceMesh
        group = group.get_group()
    if not hasattr(group, "group_name"):
        raise InputError.of("group", type(group).__name__, "a torch.distributed process group, or one of ringc.groups.threads")
    return group.group_name


def by_name(name: str, device: int) -> Optional[Group]:
    """The rank on a device, made at its first use, which all ranks come to. Raises ClosedError for one that is gone."""
    if not name:
        return None
    group = _thread_groups.get(name)
    if group is not None:
        group.check()
        if device != HOST:
            raise InputError.of("group", "threads with tensors on CUDA", "tensors of the host, or a process group")
        return group
    process_group = _process_group(name)
    key = (name, device)
    known = _of_processes.get(key)
    if known is None or known[0] is not process_group:
        with _lock:
            making = _making.setdefault(key, threading.Lock())
        with making:
            known = _of_processes.get(key)
            if known is None or known[0] is not process_group:
                known = _of_processes[key] = (process_group, _of_process_group(process_group, name, device))
    known[1].check()
    return known[1]


def world_of(name: str) -> tuple[int, int]:
    """Rank and world, without making anything."""
    if not name:
        return 0, 1
    group = _thread_groups.get(name)
    if group is not None:
        return group.rank, group.world
    process_group = _process_group(name)
    return process_group.rank(), process_group.size()


def _process_group(name: str) -> Any:
    torch = sys.modules.get("torch")
    if torch is None or not torch.distributed.is_available():
        raise ClosedError(f"group: {name} was closed, or its process is another one")
    try:
        return torch.distributed.distributed_c10d._resolve_process_group(name)
    except Exception as error:
        _drop(name)
        raise ClosedError(f"group: the process group {name} was destroyed") from error


def _drop(name: str) -> None:
    with _lock:
        for key in [key for key in _of_processes if key[0] == name]:
            _of_processes.pop(key)[1].closed = True


def _of_process_group(process_group: Any, name: str, device: int) -> Group:
    rank, world = process_group.rank(), process_group.size()
    if device == HOST:
        carrier = Carrier(rank, world, store_of(process_group), deadline_of(process_group, "cpu"))
        handle = Handle.create(
            library().group_messages, library().group_destroy, context(HOST).raw, rank, world,
            ctypes.byref(carrier.messages), keep=(context(HOST), carrier),
        )  # fmt: skip
    else:
        handle = _nccl(process_group, rank, world, device)
    return Group(handle, rank, world, name)


def _nccl(process_group: Any, rank: int, world: int, device: int) -> Handle:
    """Over torch's communicator where all ranks can have it, else one of our own."""
    place = context(device)
    milliseconds = int(deadline_of(process_group, "cuda") * 1000)
    communicator = _communicator_of_torch(process_group, device)
    store = store_of(process_group)
    store.set(f"ringc/communicator/{rank}", "given" if communicator else "none")
    if all(store.get(f"ringc/communicator/{each}") == b"given" for each in range(world)):
        return Handle.create(
            library().group_nccl_comm, library().group_destroy, place.raw, ctypes.c_void_p(communicator), milliseconds,
            keep=(place, process_group),
        )  # fmt: skip
    if rank == 0:
        identity = (ctypes.c_uint8 * 128)()
        library().nccl_unique_id(place.raw, identity)
        store.set("ringc/identity", bytes(identity).hex())
    shared = bytes.fromhex(store.get("ringc/identity").decode())
    return Handle.create(
        library().group_nccl, library().group_destroy, place.raw, rank, world, shared, milliseconds, keep=place
    )


def _communicator_of_torch(process_group: Any, device: int) -> int:
    """The address of its ncclComm_t; 0 where it does not give one."""
    torch = sys.modules["torch"]
    place = torch.device("cuda", device)
    try:
        backend = process_group._get_backend(place)
        if not hasattr(backend, "_comm_ptr"):
            return 0
        with torch.cuda.device(place):
            backend.eager_connect_single_device(place)
            return int(backend._comm_ptr())
    except (RuntimeError, AttributeError, TypeError):
        return 0


def store_of(process_group: Any) -> Any:
    """Where its ranks find what others leave."""
    return sys.modules["torch"].distributed.distributed_c10d._get_process_group_store(process_group)


def deadline_of(process_group: Any, kind: str) -> float:
    """Seconds after which its collectives on devices of a kind give up."""
    try:
        return process_group._get_backend(sys.modules["torch"].device(kind)).options._timeout.total_seconds()
    except (AttributeError, RuntimeError):
        return 600.0


def _forget() -> None:
    global _lock
    _lock = threading.Lock()
    _making.clear()
    _of_processes.clear()
    _thread_groups.clear()


_handles.forget_after_fork.append(_forget)
