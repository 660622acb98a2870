"""Structures that a user gives, as positions of one topology, or a refusal that says why.

Axes: ``T`` frames, ``N`` atoms of the topology. Nanometre.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import mdtraj
import numpy as np

from openmm_mdgen.errors import MDGenError, StateError, UnsupportedTopologyError
from openmm_mdgen.molecule.chain import ProteinChain

if TYPE_CHECKING:
    from openmm.app import Topology

Structure: TypeAlias = np.ndarray | mdtraj.Trajectory | str | Path

_LONGEST_BOND, _LONGEST_TO_HYDROGEN = 0.25, 0.15  # nm; a disulfide has 0.205


def positions_of(name: str, structure: Structure, topology: Topology) -> np.ndarray:
    """One structure's positions in the order of the topology's atoms, (N, 3).

    Parameters
    ----------
    name : str
        Of the structure, for messages.
    structure : array (N, 3) in nm, trajectory of one frame, or name of a file that mdtraj reads
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
        if hasattr(structure, "value_in_unit"):
            raise MDGenError(f"{name} is a quantity: give positions.value_in_unit(unit.nanometer)")
        return np.asarray(structure, dtype=np.float64)
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


def check_whole(name: str, chain: ProteinChain, positions: np.ndarray) -> None:
    """Raise `StateError` if a bond is torn in positions (..., N, 3): such a structure is no conformation."""
    atoms = np.asarray(positions)[..., chain.atom_indices, :]
    lengths = np.linalg.norm(atoms[..., chain.bonds[:, 0], :] - atoms[..., chain.bonds[:, 1], :], axis=-1)
    allowed = np.where(chain.is_hydrogen[chain.bonds].any(axis=1), _LONGEST_TO_HYDROGEN, _LONGEST_BOND)
    torn = np.argwhere(lengths > allowed)
    if len(torn) == 0:
        return
    *frame, bond = torn[0]
    a, b = chain.bonds[bond]
    where = f", frame {frame[-1]}" if frame else ""
    first, second = (f"{chain.atom_labels[k]}, atom index {chain.atom_indices[k]}" for k in (a, b))
    raise StateError(
        f"{name}{where}: {first} and {second} are bonded, but {lengths[tuple(torn[0])]:.2f} nm apart. Make the "
        "molecule whole (mdtraj's image_molecules does), or minimise it first"
    )


def interval_of(trajectory: mdtraj.Trajectory, stated: float | None) -> float:
    """Picoseconds between frames, as stated or as the trajectory's times say.

    Raises
    ------
    MDGenError
        If there is one frame only, or the frames are not evenly spaced in time.
    """
    if trajectory.n_frames < 2:
        raise MDGenError(f"the trajectory has {trajectory.n_frames} frame: at least two are needed")
    if stated is not None:
        if not stated > 0:
            raise MDGenError(f"frame_interval {stated}: give the time between frames, above 0 ps")
        return float(stated)
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
