"""Table 2 of Jing et al. 2024: a row a method, a column a distance, means over peptides."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from openmm_mdgen.analysis.metrics import columns
from openmm_mdgen.analysis.results import Evaluation
from openmm_mdgen.analysis.undefined import NotDefined

DISTANCES = columns()  # columns of the table, and the evaluation's names of them


@dataclass
class Row:
    """One line of the table, peptide by peptide: numbers, or text that says why there is none."""

    name: str
    values: dict[str, dict[str, float | str]] = field(default_factory=dict)  # by peptide, then by column
    seconds: dict[str, float] = field(default_factory=dict)  # wall time by peptide, where it is known

    def mean(self, column: str) -> str:
        """The mean over the peptides that have a number; how many have one, where not all do."""
        cells = [values[column] for values in self.values.values()]
        numbers = [cell for cell in cells if not isinstance(cell, str)]
        if not numbers:
            return str(cells[0])
        return f"{np.mean(numbers):.3f}" + ("" if len(numbers) == len(cells) else f" ({len(numbers)} of {len(cells)})")


def distances(evaluation: Evaluation) -> dict[str, float | str]:
    """One peptide's values by column: numbers, or text that says why there is none."""
    values = {column: getattr(evaluation.jsd, name) for column, name in DISTANCES.items()}
    return {column: str(value) if isinstance(value, NotDefined) else value for column, value in values.items()}


def markdown(rows: list[Row]) -> list[str]:
    """The lines of the table, followed by the reasons of what is not defined."""
    header = ["", *DISTANCES, "seconds a peptide"]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    reasons: list[str] = []
    for row in rows:
        cells = [row.mean(column) for column in DISTANCES]
        for k, cell in enumerate(cells):
            if cell.startswith("not defined"):
                reasons += [] if cell in reasons else [cell]
                cells[k] = f"not defined [{reasons.index(cell) + 1}]"
        seconds = f"{np.mean(list(row.seconds.values())):.3g}" if row.seconds else ""
        lines.append(f"| {' | '.join([row.name, *cells, seconds])} |")
    return lines + [f"[{k}] {reason.removeprefix('not defined: ')}" for k, reason in enumerate(reasons, start=1)]
