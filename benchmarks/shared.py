"""What the scripts of this folder share: words of the command line, tables in Markdown, means with their errors, and
states of real MD."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from openmm_mdgen.analysis import Definitions, NotDefined, TrajectoryFile
from openmm_mdgen.analysis.interpolation import PathReference

N_CLUSTERS, N_STATES = 50, 5  # k-means clusters and the metastable states that they are merged into


def words(about: str | None, least: int) -> list[str]:
    """Those that a script was given; where there are too few, or there is ``--help``, it says what it does and ends."""
    given = sys.argv[1:]
    if len(given) < least or not {"-h", "--help"}.isdisjoint(given):
        print((about or "").strip())
        sys.exit()
    return given


def print_header(*columns: str) -> None:
    """The first two lines of a table."""
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def print_row(*cells: str) -> None:
    """A line of a table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def shown(value: float | NotDefined | None, form: str = ".3f") -> str:
    """A number as text; an empty cell where there is none."""
    return "" if value is None or isinstance(value, NotDefined) else format(value, form)


def standard_error(values: np.ndarray | list[float]) -> float:
    """Of the mean of independent values."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def states_of(structure: Path, trajectory: Path) -> PathReference:
    """Metastable states of real MD, and the fluxes between them.

    Raises
    ------
    UndefinedError
        If the trajectory does not visit enough states.
    """
    source = TrajectoryFile(trajectory, structure)
    return PathReference.fit(source, definitions=Definitions.SOUND, n_clusters=N_CLUSTERS, n_states=N_STATES)
