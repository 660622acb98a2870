"""How far long work has come: a bar on the error stream, or a line now and then where that is no terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

from openmm_mdgen.manifest import is_on_worker

_FIRST_LINE = 60.0  # seconds until the first line of progress, and between lines at least
_WIDEST, _NARROWEST = 40, 4  # columns of a bar; where there is less room there is none
_RATE, _NOTE, _TIME = 9, 8, 15  # columns of what stands beside a bar, with the spaces around it


class Advance(Protocol):
    """Moves a bar on by a number, with the value of its note where it has one."""

    def __call__(self, n: int, value: str = "", /) -> None: ...


def is_interactive() -> bool:
    """Whether the error stream is a terminal on which a line can be drawn anew."""
    return sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


@contextmanager
def progress_bar(label: str, total: int, unit: str = "frames", *, done: int = 0, note: str = "") -> Iterator[Advance]:
    """A bar on the error stream with rate and time left; a line now and then where that is no terminal.

    Nothing on a worker, whose client shows how far all of its work has come.

    Parameters
    ----------
    label : str
        What is done, such as ``"generating"``.
    total : int
        How many there are in all.
    unit : str
        What is counted.
    done : int
        How many were done before.
    note : str
        What is told beside the numbers, such as ``"loss"``.

    Yields
    ------
    Advance
    """
    if is_on_worker():
        yield lambda n, value="", /: None
        return
    if not is_interactive():
        yield ProgressLines(label, total, unit, done=done, note=note).advance
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    beside = len(f"{label} {unit} {total}/{total} ") + _RATE + _TIME + (len(note) + _NOTE if note else 0)
    width = min(_WIDEST, console.width - beside)
    columns = (
        TextColumn(label),
        *([BarColumn(width)] if width >= _NARROWEST else []),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[rate]}"),
        *([TextColumn("{task.fields[note]}")] if note else []),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console) as progress:
        pace = Pace(total, done)
        task = progress.add_task(unit, total=total, completed=done, rate="", note="")

        def advance(n: int, value: str = "") -> None:
            pace.advance(n)
            told = f"{note} {value}" if value else ""
            progress.update(task, completed=pace.done, rate=f"{pace.rate}/s", note=told)

        yield advance


class Pace:
    """How far something has come, how quickly, and how long the rest of it takes.

    Parameters
    ----------
    total, done : int
        How many there are, and how many were done before.
    clock : callable
        Gives the present time in seconds.
    """

    def __init__(self, total: int, done: int = 0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.done, self._before, self._clock = total, done, done, clock
        self._begun = clock()

    def advance(self, n: int) -> None:
        """So many more are done."""
        self.done += n

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return self._clock() - self._begun

    @property
    def rate(self) -> str:
        """How many a second, in two digits."""
        rounded = float(f"{(self.done - self._before) / max(self.seconds, 1e-9):.2g}")
        return f"{rounded:.0f}" if rounded >= 10 else f"{rounded:g}"

    @property
    def left(self) -> str:
        """The time that is left, such as ``1:02:03``; empty where it cannot be told yet."""
        new = self.done - self._before
        return str(timedelta(seconds=round((self.total - self.done) * self.seconds / new))) if new else ""


class ProgressLines:
    """Progress as lines on the error stream.

    The first comes after a minute, each next one after a minute or a tenth of the time so far, whichever is longer.

    Parameters
    ----------
    label, total, unit, done, note
        As in `progress_bar`.
    clock : callable
        Gives the present time in seconds.
    """

    def __init__(
        self,
        label: str,
        total: int,
        unit: str,
        *,
        done: int = 0,
        note: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label, self._unit, self._note = label, unit, note
        self._pace = Pace(total, done, clock=clock)
        self._next = _FIRST_LINE

    def advance(self, n: int, value: str = "", /) -> None:
        """So many more are done; `value` is that of the note."""
        pace = self._pace
        pace.advance(n)
        seconds = pace.seconds
        if seconds >= self._next and pace.done < pace.total:
            self._next = max(seconds + _FIRST_LINE, 1.1 * seconds)
            told = [f"{pace.done} of {pace.total} {self._unit}", f"{pace.rate}/s", f"{pace.left} left"]
            told += [f"{self._note} {value}"] if value else []
            print(f"{self._label}: {', '.join(told)}", file=sys.stderr, flush=True)
