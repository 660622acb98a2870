"""Structures that a user gives, as positions of one topology, or a refusal that says why.

Axes: ``T`` frames, ``N`` atoms of the topology. Nanometre.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import mdtraj
import numpy as np

from openmm_mdgen.arguments import positive, require_trajectory
from openmm_mdgen.errors import MDGenError, UnsupportedTopologyError
from openmm_mdgen.molecule.positions import in_nanometre

if TYPE_CHECKING:
    from openmm.app import Topology

Structure: TypeAlias = np.ndarray | mdtraj.Trajectory | str | Path


def positions_of(name: str, structure: Structure, topology: Topology) -> np.ndarray:
    """One structure's positions in the order of the topology's atoms, (N, 3).

    Parameters
    ----------
    name : str
        Of the structure, for messages.
    structure : array (N, 3) in nm, quantity, trajectory of one frame, or name of a file that mdtraj reads
    topology : openmm.app.Topology

    Raises
    ------
    UnsupportedTopologyError
        If it is another molecule, or names its atoms differently.
    MDGenError
        If a file cannot be read, or it has more than one frame.
    """
    if isinstance(structure, str | Path):
        if not Path(structure).is_file():
            raise MDGenError(f"{name} {structure}: no such file")
        try:
            structure = mdtraj.load(str(structure))
        except Exception as error:  # mdtraj raises what its readers raise
            raise MDGenError(f"{name} {structure} cannot be read: {error}") from error
    if not isinstance(structure, mdtraj.Trajectory):
        return in_nanometre(name, structure)
    if structure.n_frames != 1:
        raise MDGenError(f"{name} has {structure.n_frames} frames: give one, such as trajectory[0]")
    order = atom_order(name, structure.topology.to_openmm(), topology)
    return structure.xyz[0, order].astype(np.float64)


def atom_order(name: str, theirs: Topology, topology: Topology) -> np.ndarray:
    """(N,) where each atom of `topology` stands in another topology of the same molecule.

    Raises
    ------
    UnsupportedTopologyError
        Naming what differs.
    """
    ours_residues = [residue.name for residue in topology.residues()]
    their_residues = [residue.name for residue in theirs.residues()]
    if ours_residues != their_residues:
        raise UnsupportedTopologyError(
            f"{name} is {'-'.join(their_residues)}, and the other {'-'.join(ours_residues)}: "
            "give two structures of one molecule"
        )
    place = {(atom.residue.index, atom.name): atom.index for atom in theirs.atoms()}
    names = [(atom.residue.index, atom.name) for atom in topology.atoms()]
    odd = sorted(set(names) ^ place.keys())
    if odd or len(place) != theirs.getNumAtoms():
        which = f"residue {odd[0][0] + 1}, atom {odd[0][1]}, which is in one only" if odd else "an atom is there twice"
        raise UnsupportedTopologyError(
            f"{name} has other atoms than its partner ({which}): protonate both alike and use the same atom names"
        )
    return np.array([place[key] for key in names], dtype=np.int64)


def interval_of(trajectory: mdtraj.Trajectory, stated: float | None) -> float:
    """Picoseconds between frames, as stated or as the trajectory's times say.

    Raises
    ------
    MDGenError
        If it is no trajectory, there is one frame only, or the frames are not evenly spaced in time.
    """
    require_trajectory("trajectory", trajectory)
    if trajectory.n_frames < 2:
        raise MDGenError(f"the trajectory has {trajectory.n_frames} frame: at least two are needed")
    if stated is not None:
        return positive("frame_interval", stated, "picosecond")
    times = trajectory.time.astype(np.float64)
    interval = (times[-1] - times[0]) / (len(times) - 1)
    rounding = 4 * np.spacing(np.float32(np.abs(times).max()))  # files hold times in single precision
    if (
        not interval > 0
        or np.abs(times - times[0] - interval * np.arange(len(times))).max() > 0.01 * interval + rounding
    ):
        raise MDGenError(
            "the trajectory's frames are not evenly spaced in time: give evenly spaced ones, or their interval as "
            "frame_interval"
        )
    return float(interval)
