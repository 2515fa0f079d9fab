"""What goes wrong, by whose doing. Messages are the library's: they name the argument, its value, and what is allowed."""

from __future__ import annotations


class RingcError(Exception):
    """Everything that ringc raises by itself."""


class InputError(RingcError, ValueError):
    """The caller's input is wrong: `argument: got value, allowed: what`."""

    @classmethod
    def of(cls, argument: str, value: object, allowed: str) -> InputError:
        return cls(f"{argument}: got {value}, allowed: {allowed}")


class CompileError(InputError):
    """The text of a mask, score or kernel is wrong; the message has file, line, column and a caret."""


class PeerError(RingcError, RuntimeError):
    """A rank of the group is dead, late, or failed; names the hop and the peer."""


class DisagreementError(PeerError):
    """Ranks made different calls: the message has what differs, both values and their ranks. Raised on all of them."""


class CudaError(RingcError, RuntimeError):
    """A call of CUDA failed: which, on what, and its code by name."""


class NcclError(RingcError, RuntimeError):
    """A call of NCCL failed."""


class OutOfMemoryError(RingcError, MemoryError):
    """There is not enough memory, of the host or of a device."""


class ClosedError(RingcError, RuntimeError):
    """The group was closed or destroyed."""


class BusyError(RingcError, RuntimeError):
    """Another thread is using the object."""


class InternalError(RingcError, RuntimeError):
    """A bug of ringc."""
