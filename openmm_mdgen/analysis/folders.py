"""Folders of real MD: one structure and one trajectory a molecule. Times in picosecond."""

from __future__ import annotations

import re
from pathlib import Path

import mdtraj
import numpy as np

from openmm_mdgen.analysis.sources import TrajectoryFile, measure, pieces
from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.trajectory_formats import FORMATS, trajectory_named

_REPLICA = re.compile(r"(.+)_(?:\d+|[a-z])")


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
        trajectory = trajectory_named(pdb.parent, pdb.stem)
        if trajectory is not None:
            found[pdb.stem] = (pdb, trajectory)
    if not found:
        raise MDGenError(f"{folder} has no NAME.pdb with a trajectory ({', '.join(FORMATS)}) of that name beside it")
    return found


def replicas(folder: Path) -> dict[str, list[tuple[Path, Path]]]:
    """The same, with replicas of one molecule together.

    Parameters
    ----------
    folder : Path
        Replicas are NAME_0, NAME_1 and so on, as ``openmm-mdgen simulate --replicas`` names them, or NAME_a, NAME_b.

    Returns
    -------
    dict of str to list of (Path, Path)
        Structure and trajectory of each replica by NAME; a molecule without replicas goes by its own name.

    Raises
    ------
    MDGenError
        As `pairs`.
    """
    found = pairs(folder)
    grouped: dict[str, list[str]] = {}
    for name in found:
        replica = _REPLICA.fullmatch(name)
        grouped.setdefault(replica[1] if replica else name, []).append(name)
    return {
        (molecule if len(names) > 1 else names[0]): [found[name] for name in names]
        for molecule, names in grouped.items()
    }


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
