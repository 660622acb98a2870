"""Reporters that write which frames are of real MD: the record of segments, and a mask beside a trajectory.

Both are OpenMM reporters, to be added to `simulation.reporters`, with an interval in steps.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openmm
from openmm import app, unit

from openmm_mdgen.arguments import require, whole
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import replacing
from openmm_mdgen.simulation.record import Segment, is_real, json_lines

_COLUMNS = ("kind", "start_step", "steps", "accepted", "reason", "wall_seconds", "reason_kind")
_HEADER = "step,time_ps,is_real\n"


def write_segments(path: str | Path, segments: Sequence[Segment]) -> None:
    """Write a record as CSV or JSON lines.

    The file appears whole. In CSV, the column `numbers` holds what was measured as JSON.

    Parameters
    ----------
    path : str or Path
        Ends in .csv or .jsonl, which decides the format.
    segments : sequence of Segment
        Such as `simulation.segments`.

    Raises
    ------
    MDGenError
        If the name ends in neither .csv nor .jsonl.
    """
    path = _named(path)
    if path.suffix == ".jsonl":
        text = "".join(line + "\n" for line in json_lines(segments))
    else:
        table = io.StringIO(newline="")
        writer = csv.writer(table)
        writer.writerow([*_COLUMNS, "numbers"])
        writer.writerows([*(getattr(s, name) for name in _COLUMNS), json.dumps(s.numbers)] for s in segments)
        text = table.getvalue()
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


class SegmentReporter:
    """A reporter that writes `simulation.segments` anew at each report.

    So the file holds no more than a restarted run does.

    Examples
    --------
    >>> simulation.reporters.append(SegmentReporter("segments.csv", 250_000))

    Parameters
    ----------
    file : str or Path
        Ends in .csv or .jsonl, which decides the format.
    reportInterval : int
        Number of steps between reports. `write_segments(file, simulation.segments)` writes what came after the last
        report.

    Raises
    ------
    MDGenError
        If the name ends in neither .csv nor .jsonl, or the interval is below 1.
    """

    def __init__(self, file: str | Path, reportInterval: int) -> None:
        self._file, self._interval = _named(file), _valid_interval(reportInterval)

    def describeNextReport(self, simulation: app.Simulation) -> dict[str, Any]:
        return _next(simulation, self._interval)

    def report(self, simulation: app.Simulation, state: openmm.State) -> None:
        write_segments(self._file, simulation.segments)


class MaskReporter:
    """A reporter that writes one row for each frame of a trajectory.

    A row has the step, the time in ps, and 1 where real MD made the frame, else 0.

    With the trajectory's own interval, row k belongs to frame k.

    Examples
    --------
    >>> simulation.reporters.append(DCDReporter("trajectory.dcd", 2500))
    >>> simulation.reporters.append(MaskReporter("trajectory.mask.csv", 2500))
    >>> is_real = np.loadtxt("trajectory.mask.csv", delimiter=",", skiprows=1)[:, 2] > 0

    Parameters
    ----------
    file : str or Path
        The file to write, as CSV.
    reportInterval : int
        Number of steps between frames: that of the trajectory's reporter.
    append : bool
        True to go on with the file of a run that was stopped; rows beyond the step of the restart are removed first.

    Raises
    ------
    MDGenError
        If the interval is below 1, or there is no mask to go on with.
    """

    def __init__(self, file: str | Path, reportInterval: int, append: bool = False) -> None:
        require("file", file, isinstance(file, str | Path), "the name of a file to write as CSV")
        self._path, self._interval = Path(file), _valid_interval(reportInterval)
        _require_folder(self._path)
        self._is_open = False
        if not append:
            self._path.write_text(_HEADER, encoding="utf-8")
        elif not self._path.is_file() or not self._path.read_text(encoding="utf-8").startswith(_HEADER):
            raise MDGenError(f"{self._path} is not a mask to go on with: leave append out to begin one")

    def describeNextReport(self, simulation: app.Simulation) -> dict[str, Any]:
        return _next(simulation, self._interval)

    def report(self, simulation: app.Simulation, state: openmm.State) -> None:
        step = simulation.currentStep
        if not self._is_open:
            self._keep_rows_before(step)
        real = bool(is_real(simulation.segments[-1:], [step])[0])
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(f"{step},{state.getTime().value_in_unit(unit.picosecond):.10g},{int(real)}\n")

    def _keep_rows_before(self, step: int) -> None:
        """A run that was killed may have written frames beyond its checkpoint, the last of them in part."""
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines[1:] if line.endswith("\n") and int(line.split(",")[0]) < step]
        with replacing(self._path) as temporary:
            temporary.write_text(_HEADER + "".join(kept), encoding="utf-8")
        self._is_open = True


def _next(simulation: app.Simulation, interval: int) -> dict[str, Any]:
    return {"steps": interval - simulation.currentStep % interval, "periodic": None, "include": []}


def _named(file: str | Path) -> Path:
    require("file", file, isinstance(file, str | Path), "the name of a file that ends in .csv or .jsonl")
    _require_folder(Path(file))
    if Path(file).suffix not in (".csv", ".jsonl"):
        raise MDGenError(f"{file}: a record is written as .csv or .jsonl, so let the name end in one of them")
    return Path(file)


def _require_folder(file: Path) -> None:
    """Told when the reporter is made, not after the MD up to its first report."""
    if not file.parent.is_dir():
        raise MDGenError(f"{file}: {file.parent}: no such folder; make it first")
    if file.is_dir():
        raise MDGenError(f"{file} is a folder: name a file")


def _valid_interval(interval: Any) -> int:
    number = int(interval) if isinstance(interval, float) and interval.is_integer() else whole(interval)
    if number is None or number < 1:
        raise MDGenError(f"reportInterval is {interval!r}: give a number of steps, at least 1")
    return number
