"""What commands share of reading a user's words and showing progress. Times in picosecond."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import typer

from openmm_mdgen.errors import MDGenError, ReportIntervalError
from openmm_mdgen.manifest import is_on_worker
from openmm_mdgen.times import nearest_multiples, whole_number

if TYPE_CHECKING:
    from openmm_mdgen.md.minimisation import Watch
    from openmm_mdgen.md.prepared import Prepared

_PICOSECONDS = {"fs": Decimal("0.001"), "ps": Decimal(1), "ns": Decimal(1000), "us": Decimal(10**6)}
_FIRST_LINE = 60.0  # seconds until the first line of progress, and between lines at least
_MICRO = str.maketrans("µμ", "uu")  # the micro sign and the Greek letter


def parse_time(option: str, text: str, *, may_be_zero: bool = False, bare_is_ps: bool = False) -> float:
    """Picoseconds from ``"10ns"``, ``"500ps"`` or ``"1us"`` (``"1µs"``); `MDGenError` names the option.

    Parameters
    ----------
    option, text : str
    may_be_zero : bool
    bare_is_ps : bool
        Whether a number without a unit is taken, in picoseconds, as options do that took nothing else before.
    """
    units = "fs|ps|ns|us|" if bare_is_ps else "fs|ps|ns|us"
    match = re.fullmatch(rf"(\d+\.?\d*|\.\d+)\s*({units})", text.strip().translate(_MICRO))
    value = Decimal(match[1]) * _PICOSECONDS[match[2] or "ps"] if match else Decimal(0)
    if match is None or (value == 0 and not may_be_zero):
        raise MDGenError(f"{option} {text!r}: give a time above zero with its unit (fs, ps, ns, us), such as 10ns")
    return float(value)


def whole_multiple(option: str, value: float, step: float, what: str) -> int:
    """How many `step` ps make up an option's `value` in ps; `what` says what a step is.

    Raises
    ------
    ReportIntervalError
        If it is no whole number, with the nearest values that are.
    """
    number = whole_number(value, step)
    if number is not None:
        return number
    nearest = " or ".join(f"{time:g}ps" for time in nearest_multiples(value, step))
    raise ReportIntervalError(f"{option} {value:g}ps: a {what} is {step:g} ps, take {nearest}")


@contextmanager
def progress_bar(label: str, total: int, unit: str = "frames", *, done: int = 0) -> Iterator[Callable[[int], None]]:
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

    Yields
    ------
    callable
        Moves the bar on by a number.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if is_on_worker():
        yield lambda n: None
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield ProgressLines(label, total, unit, done=done).advance
        return
    columns = (
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        pace = Pace(total, done)
        task = progress.add_task(unit, total=total, completed=done, rate="")

        def advance(n: int) -> None:
            pace.advance(n)
            progress.update(task, completed=pace.done, rate=f"{pace.rate}/s")

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
        return f"{(self.done - self._before) / max(self.seconds, 1e-9):.2g}"

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
    label, total, unit, done
        As in `progress_bar`.
    clock : callable
        Gives the present time in seconds.
    """

    def __init__(
        self, label: str, total: int, unit: str, *, done: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._label, self._unit, self._pace = label, unit, Pace(total, done, clock=clock)
        self._next = _FIRST_LINE

    def advance(self, n: int) -> None:
        """So many more are done."""
        pace = self._pace
        pace.advance(n)
        seconds = pace.seconds
        if seconds >= self._next and pace.done < pace.total:
            self._next = max(seconds + _FIRST_LINE, 1.1 * seconds)
            typer.echo(
                f"{self._label}: {pace.done} of {pace.total} {self._unit}, {pace.rate}/s, {pace.left} left", err=True
            )


@contextmanager
def minimisation(max_iterations: int) -> Iterator[Watch]:
    """A bar of iterations where the error stream is a terminal, else lines; yields what is called at each iteration."""
    from openmm_mdgen.md.minimisation import Lines

    what = "minimising the start"
    if is_on_worker():
        yield lambda iteration: None
        return
    if not sys.stderr.isatty():
        yield Lines(what, max_iterations)
        return
    with progress_bar(what, max_iterations, "iterations at most") as advance:
        yield lambda iteration: advance(1)


def tell_changes(source: str, prepared: Prepared) -> None:
    """Print what was changed in a structure that was given, a line for each kind of change."""
    for note in prepared.notes:
        typer.echo(f"{source}: {note}")
