"""What the scripts of this folder share: words of the command line, two versions of the package beside each other,
tables in Markdown, means with their errors, and states of real MD.

The package is imported where it is needed, since other versions of it have other modules.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from openmm_mdgen.analysis import NotDefined
    from openmm_mdgen.analysis.interpolation import PathReference

N_CLUSTERS, N_STATES = 50, 5  # k-means clusters and the metastable states that they are merged into


def words(about: str | None, least: int) -> list[str]:
    """Those that a script was given; where there are too few, or there is ``--help``, it says what it does and ends."""
    given = sys.argv[1:]
    if len(given) < least or not {"-h", "--help"}.isdisjoint(given):
        print((about or "").strip())
        sys.exit()
    return given


def add_version_options(parser: argparse.ArgumentParser) -> None:
    """``--against`` and ``--against-path``, which name the other version."""
    parser.add_argument("--against", help="Python interpreter of an environment with another version.")
    parser.add_argument("--against-path", default="", help="PYTHONPATH for that interpreter.")


def both_versions(options: argparse.Namespace) -> dict[str, tuple[str, str]]:
    """Interpreter and PYTHONPATH of this version and, where it is asked for, of the other one."""
    found = {"this version": (sys.executable, os.environ.get("PYTHONPATH", ""))}
    return found | ({"the other version": (options.against, options.against_path)} if options.against else {})


def printed_by(python: str, path: str, script: str, *words: str) -> str:
    """What a script prints on one thread, in a process that raises what fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **({"PYTHONPATH": path} if path else {})}
    command = [python, script, *words]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def print_header(*columns: str) -> None:
    """The first two lines of a table."""
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def print_row(*cells: str) -> None:
    """A line of a table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def shown(value: float | NotDefined | None, form: str = ".3f") -> str:
    """A number as text; an empty cell where there is none."""
    from openmm_mdgen.analysis import NotDefined

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
    from openmm_mdgen.analysis import Definitions, TrajectoryFile
    from openmm_mdgen.analysis.interpolation import PathReference

    source = TrajectoryFile(trajectory, structure)
    return PathReference.fit(source, definitions=Definitions.SOUND, n_clusters=N_CLUSTERS, n_states=N_STATES)
