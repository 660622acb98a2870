"""Table 2 of Jing et al. 2024: a row a method, a column a distance, means over peptides. Times in picosecond."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np

from openmm_mdgen.analysis.evaluation import evaluate
from openmm_mdgen.analysis.metrics import columns
from openmm_mdgen.analysis.results import Evaluation, with_reasons
from openmm_mdgen.analysis.sources import Source
from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.errors import MDGenError

DISTANCES = columns()  # columns of the table, and the evaluation's names of them
LENGTHS = {"MD, 100 ps": 100.0, "MD, 1 ns": 1000.0, "MD, 10 ns": 10_000.0}  # ps, of the rows of shorter MD
_NOT_DEFINED = "not defined: "
GENERATED, REPLICATE = "generated", "MD, replicate"


@dataclass
class Row:
    """One line of the table, peptide by peptide: numbers, or text that says why there is none."""

    name: str
    values: dict[str, dict[str, float | str]] = field(default_factory=dict)  # by peptide, then by column
    seconds: dict[str, float] = field(default_factory=dict)  # wall time by peptide, where it is known

    def include(self, other: Row) -> None:
        """Take in other peptides' values of the same line."""
        self.values |= other.values
        self.seconds |= other.seconds

    def as_dict(self) -> dict[str, Any]:
        """All numbers, null where there is none, with the reasons beside."""
        return with_reasons({"name": self.name, "values": undefined(self.values), "seconds": self.seconds})

    def mean(self, column: str) -> str:
        """The mean over the peptides that have a number; how many have one, where not all do."""
        cells = [values[column] for values in self.values.values()]
        numbers = [cell for cell in cells if not isinstance(cell, str)]
        if not numbers:
            return str(cells[0])
        return f"{np.mean(numbers):.3f}" + ("" if len(numbers) == len(cells) else f" ({len(numbers)} of {len(cells)})")


@dataclass(frozen=True, eq=False)
class Halves:
    """Real MD of one peptide, cut in two."""

    reference: mdtraj.Trajectory
    replicate: mdtraj.Trajectory

    @classmethod
    def of(cls, md: mdtraj.Trajectory, path: Path) -> Halves:
        """Cut it; `MDGenError` names the file if it is too short."""
        half = md.n_frames // 2
        if half < 2:
            raise MDGenError(f"{path} has {md.n_frames} frames: too few to be cut into halves")
        return cls(md[:half], md[half:])

    @property
    def nanoseconds(self) -> float:
        """Length of the reference."""
        return self.reference.n_frames * self.reference.timestep / 1000


def empty_rows() -> dict[str, Row]:
    """The table's rows by name, without values."""
    return {name: Row(name) for name in (GENERATED, *LENGTHS, REPLICATE)}


def fill(
    rows: dict[str, Row], name: str, generated: Source, halves: Halves, options: dict
) -> tuple[Evaluation, Evaluation]:
    """Compute one peptide's values of all rows.

    Parameters
    ----------
    rows : dict of str to Row
        Those of `empty_rows`; they are filled in.
    name : str
        The peptide's.
    generated : TrajectoryFile or mdtraj.Trajectory
    halves : Halves
    options : dict
        Keywords of `evaluate`.

    Returns
    -------
    (Evaluation, Evaluation)
        Of the generated trajectory and of the replicate.
    """
    reference, replicate = halves.reference, halves.replicate
    made, real = (evaluate(source, reference, **options) for source in (generated, replicate))
    rows[GENERATED].values[name] = distances(made)
    for label, duration in LENGTHS.items():
        rows[label].values[name] = _beginning(replicate, duration, reference, options)
    rows[REPLICATE].values[name] = distances(real)
    return made, real


def distances(evaluation: Evaluation) -> dict[str, float | str]:
    """One peptide's values by column: numbers, or text that says why there is none."""
    values = {column: getattr(evaluation.jsd, name) for column, name in DISTANCES.items()}
    return {column: str(value) if isinstance(value, NotDefined) else value for column, value in values.items()}


def undefined(values: Any) -> Any:
    """Values by name, however deep, with `NotDefined` in the place of a text that says why there is none."""
    if isinstance(values, dict):
        return {name: undefined(value) for name, value in values.items()}
    return NotDefined(values.removeprefix(_NOT_DEFINED)) if isinstance(values, str) else values


def markdown_table(header: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    return [f"| {' | '.join(header)} |", "|---" * len(header) + "|", *(f"| {' | '.join(row)} |" for row in body)]


def markdown(rows: list[Row]) -> list[str]:
    """The lines of the table, followed by the reasons of what is not defined."""
    header = ["", *DISTANCES, "seconds a peptide"]
    body: list[list[str]] = []
    reasons: list[str] = []
    for row in rows:
        cells = [row.mean(column) for column in DISTANCES]
        for k, cell in enumerate(cells):
            if cell.startswith("not defined"):
                reasons += [] if cell in reasons else [cell]
                cells[k] = f"not defined [{reasons.index(cell) + 1}]"
        seconds = f"{np.mean(list(row.seconds.values())):.3g}" if row.seconds else ""
        body.append([row.name, *cells, seconds])
    told = [f"[{k}] {reason.removeprefix(_NOT_DEFINED)}" for k, reason in enumerate(reasons, start=1)]
    return markdown_table(header, body) + told


def _beginning(
    md: mdtraj.Trajectory, duration: float, reference: mdtraj.Trajectory, options: dict
) -> dict[str, float | str]:
    """The distances of the first `duration` ps of MD."""
    n_frames = round(duration / md.timestep)
    if n_frames > md.n_frames:
        longest = f"{md.n_frames * md.timestep / 1000:.3g} ns"
        why = f"the second half of real MD is {longest}, not {duration / 1000:g} ns"
        return dict.fromkeys(DISTANCES, f"not defined: {why}")
    if n_frames < 2:
        return dict.fromkeys(DISTANCES, f"not defined: {duration:g} ps hold fewer than 2 frames of the real MD")
    return distances(evaluate(md[:n_frames], reference, **options))
