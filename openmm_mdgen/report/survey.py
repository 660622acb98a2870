"""What a report shows of a trajectory that an evaluation does not hold: torsion histograms, and some frames."""

from __future__ import annotations

from dataclasses import dataclass

import mdtraj
import numpy as np

from openmm_mdgen.analysis.distances import angle_histogram
from openmm_mdgen.analysis.sources import Source, pieces
from openmm_mdgen.analysis.torsions import torsions

N_SHOWN = 12  # frames of each trajectory in the 3-D view
N_ENERGIES = 100  # frames whose energies are computed
_LARGE = 300  # heavy atoms, above which the backbone alone is shown
_BACKBONE = ("N", "CA", "C")


@dataclass(frozen=True, eq=False)
class Survey:
    """One trajectory, as it is drawn."""

    histograms: dict[str, np.ndarray]  # by torsion, (100,) counts over (-pi, pi)
    frames: mdtraj.Trajectory  # (n_shown, heavy or backbone atoms), evenly spaced in time
    complete: mdtraj.Trajectory  # (n_energies, protein atoms), likewise


def survey(source: Source, n_frames: int) -> Survey:
    """Read a trajectory of `n_frames` once, in pieces."""
    histograms: dict[str, np.ndarray] = {}
    shown, complete, done = [], [], 0
    for piece in pieces(source):
        for name, angles in torsions(piece).items():
            histograms[name] = histograms.get(name, 0) + angle_histogram(angles)
        here = _evenly(N_SHOWN, n_frames, done, piece.n_frames)
        shown.append(piece[here].atom_slice(_drawn_atoms(piece.topology)))
        complete.append(piece[_evenly(N_ENERGIES, n_frames, done, piece.n_frames)])
        done += piece.n_frames
    return Survey(histograms, *(mdtraj.join(frames, check_topology=False) for frames in (shown, complete)))


def overlay(generated: Survey, reference: Survey) -> dict:
    """Elements, bonds and superposed frames (nm) for the 3-D view; bonds are pairs of atoms of one trajectory."""
    target = reference.frames[0]
    moved = {}
    for name, frames in (("reference", reference.frames), ("generated", generated.frames)):
        ours, theirs = _backbone_atoms(frames.topology), _backbone_atoms(target.topology)
        placed = frames.superpose(target, frame=0, atom_indices=ours, ref_atom_indices=theirs)
        centred = placed.xyz - target.xyz[0].mean(axis=0)
        moved[name] = {
            "elements": [atom.element.symbol for atom in frames.topology.atoms],
            "bonds": _bonds(frames.topology),
            "frames": [[round(float(x), 3) for x in frame.ravel()] for frame in centred],
        }
    return moved


def _evenly(n: int, n_frames: int, first: int, length: int) -> np.ndarray:
    """Those of `n` evenly spaced frames that lie in the piece of `length` frames from `first`, counted from there."""
    wanted = np.unique(np.linspace(0, n_frames - 1, n).round().astype(int)) - first
    return wanted[(wanted >= 0) & (wanted < length)]


def _drawn_atoms(topology: mdtraj.Topology) -> list[int]:
    heavy = [atom.index for atom in topology.atoms if atom.element.symbol not in ("H", "D")]
    return heavy if len(heavy) <= _LARGE else _backbone_atoms(topology)


def _backbone_atoms(topology: mdtraj.Topology) -> list[int]:
    """The backbone in one order, whatever the order in the file, so that the atoms of two trajectories correspond."""
    by_residue = [{atom.name: atom.index for atom in residue.atoms} for residue in topology.residues]
    return [atoms[name] for atoms in by_residue for name in _BACKBONE if name in atoms]


def _bonds(topology: mdtraj.Topology) -> list[list[int]]:
    return [[first.index, second.index] for first, second in topology.bonds]
