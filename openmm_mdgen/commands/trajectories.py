"""Trajectories and structures that commands read and write. Nanometre, picosecond."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from openmm_mdgen.errors import MDGenError

_WITH_TOPOLOGY = (".pdb", ".pdb.gz", ".cif", ".cif.gz", ".gro", ".h5")

if TYPE_CHECKING:
    import mdtraj
    import numpy as np
    from openmm import app


def read_trajectory(path: Path, topology: Path, stated_interval: float | None) -> tuple[mdtraj.Trajectory, float]:
    """The protein of a trajectory of any format that mdtraj reads, and the picoseconds between its frames.

    Raises
    ------
    MDGenError
        If it cannot be read, has no protein, or its interval is neither stated nor in the file.
    """
    import mdtraj
    import numpy as np

    from openmm_mdgen.analysis.sources import TrajectoryFile, frame_interval_of, pieces
    from openmm_mdgen.analysis.undefined import NotDefined

    source = TrajectoryFile(path, topology, stated_interval)
    found = list(pieces(source))
    if not found:
        raise MDGenError(f"{path} has no frame")
    trajectory = found[0] if len(found) == 1 else mdtraj.join(found, check_topology=False)
    if trajectory.n_frames < 2:
        raise MDGenError(f"{path} has one frame: at least two are needed")
    interval = frame_interval_of(source, np.asarray(trajectory.time))
    if isinstance(interval, NotDefined):
        raise MDGenError(f"{path}: {interval.why} (--frame-interval)")
    return trajectory, interval


def topology_of(trajectory: Path, *stated: Path | None) -> Path:
    """The topology of a trajectory: the first that is stated; else the trajectory, where its format holds a topology.

    Parameters
    ----------
    trajectory : Path
    stated : Path or None
        What stands for the trajectory's own topology first, then others, which come after the trajectory itself.

    Raises
    ------
    MDGenError
        If there is none.
    """
    holds = trajectory.name.lower().endswith(_WITH_TOPOLOGY)
    found = [path for path in (*stated[:1], trajectory if holds else None, *stated[1:]) if path is not None]
    if not found:
        raise MDGenError(f"{trajectory.name} holds no topology: name a file that does by --top, such as a PDB file")
    return found[0]


def ending_of(option: str) -> str:
    """How trajectories' names end in the format that ``--format`` names; raises `MDGenError` if it names none."""
    from openmm_mdgen.trajectory_formats import FORMATS, format_of, require_library

    known = [suffix.removeprefix(".") for suffix in FORMATS]
    ending = format_of(Path(f"trajectory.{option}"))
    if ending not in FORMATS:
        raise MDGenError(f"--format {option}: give {', '.join(known[:-1])} or {known[-1]}")
    require_library(f"--format {option}", ending)
    return ending


def write_frames(path: Path, topology: app.Topology, xyz: np.ndarray, frame_interval: float) -> None:
    """Frames (T, N, 3) in the format that the file's name ends in; the first is at time 0."""
    from openmm_mdgen.md.growing import Timing
    from openmm_mdgen.md.trajectory_files import write_trajectory

    write_trajectory(path, topology, xyz, Timing(frame_interval, 1, 0))
