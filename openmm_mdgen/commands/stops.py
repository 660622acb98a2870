"""What happens when a command is stopped by Ctrl-C or SIGTERM: files that are not complete are removed, and a line says
how to go on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
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


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` in the block at Ctrl-C or SIGTERM; a second one ends the process at once."""
    before = {number: signal.signal(number, _stop) for number in _NAMES}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    for each in _NAMES:
        signal.signal(each, signal.SIG_DFL)
    raise Stopped(number)


@contextmanager
def going_on() -> Iterator[None]:
    """Around work that the same command takes up where it was stopped: say so."""
    try:
        yield
    except Stopped as stopped:
        stopped.advice = "to go on from there, give the same command"
        raise
