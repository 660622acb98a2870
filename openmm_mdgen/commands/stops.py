"""What happens when a command is stopped by Ctrl-C or SIGTERM: files that are not complete are removed, and a line says
how to go on."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Stopped(BaseException):
    """The command has been told to stop; like ``KeyboardInterrupt``, no ``except Exception`` takes it.

    Parameters
    ----------
    signal_number : int
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number
        self.advice = "output files that were not complete have been removed; to begin again, give the same command"

    @property
    def exit_code(self) -> int:
        """As shells have it: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + self.signal_number

    def __str__(self) -> str:
        return f"stopped by {_NAMES[signal.Signals(self.signal_number)]}: {self.advice}"


_asked: list[Stopped] = []  # what has been raised in the block of `stoppable`


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` in the block at Ctrl-C or SIGTERM; a second one ends the process at once.

    OpenMM makes an error of its own out of what is raised in a force or a reporter that it calls: it becomes `Stopped`
    again.
    """
    before = {number: signal.signal(number, _stop) for number in _NAMES}
    try:
        yield
    except Exception as error:
        if _asked:
            raise _asked[0] from error
        raise
    finally:
        _asked.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    for each in _NAMES:
        signal.signal(each, signal.SIG_DFL)
    _asked.append(Stopped(number))
    raise _asked[0]


@contextmanager
def going_on(kept: Callable[[], str | None] = lambda: "") -> Iterator[None]:
    """Around work that the same command takes up where it was stopped: say so.

    Parameters
    ----------
    kept : callable
        Asked for what is said of the work that is kept; None where there is none, and the command begins again.
    """
    try:
        yield
    except BaseException:
        for stopped in _asked:
            said = kept()
            if said is not None:
                stopped.advice = f"{said}{'; ' if said else ''}to go on from there, give the same command"
        raise
