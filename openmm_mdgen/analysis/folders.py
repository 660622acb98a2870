"""Folders of real MD: one structure and one trajectory a molecule. Times in picosecond."""

from __future__ import annotations

from pathlib import Path

import mdtraj
import numpy as np

from openmm_mdgen.analysis.sources import TrajectoryFile, measure, pieces
from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.errors import MDGenError

SUFFIXES = (".xtc", ".dcd", ".trr", ".nc")


def pairs(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Find each NAME.pdb that has a trajectory NAME.xtc, .dcd, ... beside it.

    Parameters
    ----------
    folder : Path
        The pairs lie in it, or in folders NAME of it, as ``openmm-mdgen simulate`` writes them.

    Returns
    -------
    dict of str to (Path, Path)
        Structure and trajectory by name.

    Raises
    ------
    MDGenError
        If there is none, or a structure has several trajectories.
    """
    if not folder.is_dir():
        raise MDGenError(f"{folder}: no such folder")
    found = {}
    own = [path for path in folder.glob("*/*.pdb") if path.stem == path.parent.name]
    for pdb in sorted([*folder.glob("*.pdb"), *own], key=lambda path: path.stem):
        trajectories = [pdb.with_suffix(s) for s in SUFFIXES if pdb.with_suffix(s).is_file()]
        if len(trajectories) > 1:
            raise MDGenError(f"{pdb} has several trajectories beside it, {', '.join(t.name for t in trajectories)}")
        if trajectories:
            found[pdb.stem] = (pdb, trajectories[0])
    if not found:
        raise MDGenError(f"{folder} has no NAME.pdb with a trajectory ({', '.join(SUFFIXES)}) of that name beside it")
    return found


def read_md(topology: Path, path: Path) -> mdtraj.Trajectory:
    """Read a whole trajectory into memory.

    Parameters
    ----------
    topology, path : Path
        Files of the structure and of the trajectory.

    Returns
    -------
    mdtraj.Trajectory
        The protein's atoms, with the times of its frames counted from 0, however the file stores them.

    Raises
    ------
    MDGenError
        If it cannot be read, or the interval between its frames is not known.
    """
    source = TrajectoryFile(path, topology)
    interval = measure(source).torsions.frame_interval
    if isinstance(interval, NotDefined):
        raise MDGenError(f"{path}: {interval.why}")
    whole = mdtraj.join(list(pieces(source)), check_topology=False)
    whole.time = np.arange(whole.n_frames) * interval
    return whole
