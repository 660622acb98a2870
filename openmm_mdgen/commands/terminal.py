"""What commands share of reading a user's words and telling what was done. Times in picosecond."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING

import typer

from openmm_mdgen.errors import MDGenError, ReportIntervalError
from openmm_mdgen.manifest import is_on_worker
from openmm_mdgen.progress import is_interactive, progress_bar
from openmm_mdgen.times import nearest_multiples, whole_number

if TYPE_CHECKING:
    from openmm_mdgen.md.minimisation import Watch
    from openmm_mdgen.md.prepared import Prepared

_PICOSECONDS = {"fs": Decimal("0.001"), "ps": Decimal(1), "ns": Decimal(1000), "us": Decimal(10**6)}
_NEVER = 100_000  # columns that no line has
_NARROWEST = 50  # columns: below that lines are left to the terminal
_MICRO = str.maketrans("µμ", "uu")  # the micro sign and the Greek letter


def line_width(most: int) -> int:
    """Columns that lines of text may take: those of the terminal, if they are fewer than usual."""
    return max(_NARROWEST, min(most, shutil.get_terminal_size((most, 0)).columns))


def folded(line: str, indent: int) -> str:
    """A line of a page, broken between words where it is wider than the terminal; files get it as it is."""
    if not sys.stdout.isatty():  # whose columns an environment may name all the same
        return line
    width = line_width(_NEVER)
    broken = textwrap.wrap(line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(broken)


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
def minimisation(max_iterations: int) -> Iterator[Watch]:
    """A bar of iterations where the error stream is a terminal, else lines; yields what is called at each iteration."""
    from openmm_mdgen.md.minimisation import Lines

    what = "minimising the start"
    if is_on_worker():
        yield lambda iteration: None
        return
    if not is_interactive():
        yield Lines(what, max_iterations)
        return
    with progress_bar(what, max_iterations, "iterations at most") as advance:
        yield lambda iteration: advance(1)


def tell_changes(source: str, prepared: Prepared) -> None:
    """Print what was changed in a structure that was given, a line for each kind of change."""
    for note in prepared.notes:
        typer.echo(f"{source}: {note}")
