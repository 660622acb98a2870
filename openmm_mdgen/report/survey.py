"""What a report shows of a trajectory that an evaluation does not hold: torsion histograms, and some frames."""

from __future__ import annotations

from dataclasses import dataclass

import mdtraj
import numpy as np

from openmm_mdgen.analysis.distances import angle_histogram
from openmm_mdgen.analysis.layout import Layout
from openmm_mdgen.analysis.sources import Opened, Sources, as_list
from openmm_mdgen.analysis.torsions import torsions

N_SHOWN = 12  # frames of each trajectory in the 3-D view
N_ENERGIES = 100  # frames whose energies are computed
_LARGE = 300  # heavy atoms, above which the backbone alone is shown
_BACKBONE = ("N", "CA", "C")


@dataclass(frozen=True, eq=False)
class Survey:
    """One side of a comparison, as it is drawn; axes: ``n_drawn`` heavy or backbone atoms."""

    histograms: dict[str, np.ndarray]  # by torsion, (100,) counts over (-pi, pi)
    frames: mdtraj.Trajectory  # (n_shown, n_drawn), evenly spaced in time
    complete: mdtraj.Trajectory  # (n_energies, protein atoms), likewise
    backbone: list[int]  # of the drawn atoms, in the order of the chain
    bonds: list[list[int]]  # pairs of drawn atoms


def survey(sources: Sources | list[Opened], n_frames: int) -> Survey:
    """Read one side of a comparison once, in pieces.

    Parameters
    ----------
    sources : TrajectoryFile or mdtraj.Trajectory, several of them, or opened ones
    n_frames : int
        Of all of them together.

    Returns
    -------
    Survey
    """
    opened = [one if isinstance(one, Opened) else Opened.of(one) for one in as_list(sources)]
    histograms: dict[str, np.ndarray] = {}
    shown, complete, done = [], [], 0
    drawn = [_drawn_atoms(one.layout) for one in opened]
    for one, atoms in zip(opened, drawn, strict=True):
        for piece in one.pieces():
            for name, angles in torsions(piece, one.layout).items():
                histograms[name] = histograms.get(name, 0) + angle_histogram(angles)
            here = _evenly(N_SHOWN, n_frames, done, piece.n_frames)
            shown.append(piece[here].atom_slice(atoms))
            complete.append(piece[_evenly(N_ENERGIES, n_frames, done, piece.n_frames)])
            done += piece.n_frames
    complete = [part for part in complete if part.n_atoms == complete[0].n_atoms]
    frames, atoms_of_all = (mdtraj.join(parts, check_topology=False) for parts in (shown, complete))
    number = {atom: k for k, atom in enumerate(drawn[0])}
    backbone = [number[atom] for atom in _backbone_atoms(opened[0].layout)]
    bonds = [[number[a], number[b]] for a, b in opened[0].layout.bonds if a in number and b in number]
    return Survey(histograms, frames, atoms_of_all, backbone, bonds)


def overlay(generated: Survey, reference: Survey) -> dict:
    """Elements, bonds and superposed frames (nm) for the 3-D view."""
    target = reference.frames[0]
    moved = {}
    for name, side in (("reference", reference), ("generated", generated)):
        placed = side.frames.superpose(target, frame=0, atom_indices=side.backbone, ref_atom_indices=reference.backbone)
        centred = placed.xyz - target.xyz[0].mean(axis=0)
        moved[name] = {
            "elements": [atom.element.symbol for atom in side.frames.topology.atoms],
            "bonds": side.bonds,
            "frames": [[round(float(x), 3) for x in frame.ravel()] for frame in centred],
        }
    return moved


def _evenly(n: int, n_frames: int, first: int, length: int) -> np.ndarray:
    """Those of `n` evenly spaced frames that lie in the piece of `length` frames from `first`, counted from there."""
    wanted = np.unique(np.linspace(0, n_frames - 1, n).round().astype(int)) - first
    return wanted[(wanted >= 0) & (wanted < length)]


def _drawn_atoms(layout: Layout) -> list[int]:
    return sorted(layout.heavy if len(layout.heavy) <= _LARGE else _backbone_atoms(layout))


def _backbone_atoms(layout: Layout) -> list[int]:
    """The backbone in one order, whatever the order in the file, so that the atoms of two trajectories correspond."""
    return [residue.atoms[name] for residue in layout.residues for name in _BACKBONE if name in residue.atoms]
