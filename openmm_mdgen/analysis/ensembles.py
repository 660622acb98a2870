"""Frames of a protein, superposed on its structure, and what is seen in each of them. Lengths in nanometre.

An *ensemble* is at most `N_FRAMES` frames of one side of a comparison, evenly spaced over all of its trajectories.
Axes: ``n_frames``, ``n_atoms`` heavy atoms that both sides and the structure have, caps apart, ``n_residues``,
``n_pairs`` of residues. Whatever the length of the trajectories, no more than that is held at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import mdtraj
import numpy as np

from openmm_mdgen.analysis.layout import Layout, is_protein
from openmm_mdgen.analysis.sources import Opened
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError
from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.geometry.residues import ATOM14_NAMES

N_FRAMES = 250  # of each ensemble
CONTACT = 0.8  # nm, between C-alpha atoms
PROBE, EXPOSED = 0.28, 0.02  # nm and nm², of side chains' solvent-accessible surface
SECONDARY = ("coil", "helix", "strand")  # by code; DSSP's H, G and I are helix, E and B strand
_BACKBONE = {"N", "CA", "C", "O", "OXT"}
_CODES = {"C": 0, "H": 1, "E": 2}
_AT_ONCE = 5_000_000  # distances

Key = tuple[str, str]  # place of a residue, and name of an atom


@dataclass(frozen=True, eq=False)
class Frames:
    """One trajectory that is to be read."""

    pieces: Callable[[], Iterable[mdtraj.Trajectory]]  # of protein atoms
    layout: Layout
    n_frames: int

    @classmethod
    def of(cls, opened: Opened, n_frames: int) -> Frames:
        """Those of a trajectory of known length."""
        return cls(opened.pieces, opened.layout, n_frames)

    @classmethod
    def in_memory(cls, trajectory: mdtraj.Trajectory, file: str) -> Frames:
        """Those of a trajectory as it is, torn molecules too; `StateError` if a position is not finite."""
        protein = trajectory.atom_slice(
            [a.index for r in trajectory.topology.residues if is_protein(r) for a in r.atoms]
        )
        if not np.isfinite(protein.xyz).all():
            raise StateError(f"{file} has positions that are not finite: leave those frames out")
        return cls(lambda: [protein], Layout.of(protein.topology, file=file), protein.n_frames)

    def first(self) -> mdtraj.Trajectory:
        """The first frame."""
        return next(iter(self.pieces()))[:1]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """One side of a comparison of proteins."""

    labels: tuple[str, ...]  # (n_residues,), such as "ALA 2"
    xyz: np.ndarray  # (n_frames, n_atoms, 3) float32, superposed on the structure
    alpha: np.ndarray  # (n_residues,) which atoms are the C-alpha atoms
    rmsd: np.ndarray  # (n_frames, n_frames) of C-alpha atoms, each pair superposed
    rmsd_to_structure: np.ndarray  # (n_frames,) of C-alpha atoms
    gyration: np.ndarray  # (n_frames,) radius of gyration of the heavy atoms, weighted by mass
    contacts: np.ndarray  # (n_frames, n_pairs) bool, of residues above the diagonal
    exposed: np.ndarray | NotDefined  # (n_frames, n_residues) bool, of side chains; GLY, which has none, never is
    secondary: np.ndarray | NotDefined  # (n_frames, n_residues) int, places in `SECONDARY`
    runs: tuple[int, ...]  # numbers of frames by trajectory

    @property
    def n_frames(self) -> int:
        """Of all trajectories together."""
        return len(self.xyz)

    @property
    def alphas(self) -> np.ndarray:
        """C-alpha atoms, (n_frames, n_residues, 3) float64."""
        return self.xyz[:, self.alpha].astype(float)

    def leaving_one_out(self) -> list[Ensemble]:
        """The ensemble without each of its trajectories in turn; nothing where it has but one."""
        ends = np.cumsum((0, *self.runs))
        every = np.arange(self.n_frames)
        kept = [np.delete(every, slice(ends[k], ends[k + 1])) for k in range(len(self.runs))]
        return [self._of_frames(frames, k) for k, frames in enumerate(kept)] if len(self.runs) > 1 else []

    def _of_frames(self, frames: np.ndarray, run: int) -> Ensemble:
        return replace(
            self,
            xyz=self.xyz[frames],
            rmsd=self.rmsd[np.ix_(frames, frames)],
            rmsd_to_structure=self.rmsd_to_structure[frames],
            gyration=self.gyration[frames],
            contacts=self.contacts[frames],
            exposed=self.exposed if isinstance(self.exposed, NotDefined) else self.exposed[frames],
            secondary=self.secondary if isinstance(self.secondary, NotDefined) else self.secondary[frames],
            runs=self.runs[:run] + self.runs[run + 1 :],
        )


@dataclass(frozen=True, eq=False)
class Shared:
    """The heavy atoms that all trajectories and the structure have, in one order, under standard names."""

    keys: tuple[Key, ...]
    topology: mdtraj.Topology
    labels: tuple[str, ...]  # of residues

    @classmethod
    def of(cls, layouts: Sequence[Layout], topology: mdtraj.Topology) -> Shared:
        """Find them.

        Parameters
        ----------
        layouts : sequence of Layout
            Labels of residues are those of the first.
        topology : mdtraj.Topology
            That of the last.

        Returns
        -------
        Shared

        Raises
        ------
        MDGenError
            If they are of different proteins.
        UndefinedError
            If they share fewer than three C-alpha atoms.
        """
        _require_one_protein(layouts)
        found = [{r.place: r.atoms for r in layout.sequence} for layout in layouts]
        shared, keys, labels, chains = mdtraj.Topology(), [], [], {}
        for residue in layouts[0].sequence:
            names = [name for name in residue.atoms if all(name in atoms[residue.place] for atoms in found)]
            if "CA" not in names:
                continue
            chain, name, number = residue.label.split(" ")
            if chain not in chains:
                chains[chain] = shared.add_chain()
            added = shared.add_residue(residue.name, chains[chain])
            for atom in names:
                shared.add_atom(atom, topology.atom(found[-1][residue.place][atom]).element, added)
            keys += [(residue.place, atom) for atom in names]
            labels.append(f"{name} {number}" + ("" if chain == "0" else f" (chain {chain})"))
        if len(labels) < 3:
            raise UndefinedError("fewer than three C-alpha atoms cannot be superposed")
        return cls(tuple(keys), shared, tuple(labels))

    def select(self, piece: mdtraj.Trajectory, layout: Layout) -> mdtraj.Trajectory:
        """These atoms of frames, in this order.

        Parameters
        ----------
        piece : mdtraj.Trajectory
            Of the layout's atoms.
        layout : Layout

        Returns
        -------
        mdtraj.Trajectory
        """
        at = layout.by_place()
        return mdtraj.Trajectory(piece.xyz[:, [at[place].atoms[name] for place, name in self.keys]], self.topology)


def ensemble(
    side: Sequence[Frames], shared: Shared, structure: mdtraj.Trajectory, n_frames: int = N_FRAMES
) -> Ensemble:
    """Read one side of a comparison once, in pieces, and keep some of its frames.

    Parameters
    ----------
    side : sequence of Frames
        Its trajectories.
    shared : Shared
    structure : mdtraj.Trajectory
        One frame of the shared atoms, on which all frames are superposed.
    n_frames : int
        How many frames to keep at most, evenly spaced over all of them.

    Returns
    -------
    Ensemble

    Raises
    ------
    UndefinedError
        If the side has fewer than two frames.
    StateError
        If a position is not finite.
    """
    total = sum(one.n_frames for one in side)
    if total < 2:
        raise UndefinedError("an ensemble needs at least two frames")
    wanted = np.unique(np.linspace(0, total - 1, n_frames).round().astype(int))
    done, kept, runs = 0, [], []
    for one in side:
        runs.append(int(((wanted >= done) & (wanted < done + one.n_frames)).sum()))
        for piece in one.pieces():
            here = wanted[(wanted >= done) & (wanted < done + piece.n_frames)] - done
            kept.append(shared.select(piece[here], one.layout).xyz)
            done += piece.n_frames
    return described(np.concatenate(kept), tuple(runs), shared, structure)


def described(xyz: np.ndarray, runs: tuple[int, ...], shared: Shared, structure: mdtraj.Trajectory) -> Ensemble:
    """Superpose frames on the structure, and look at each.

    Parameters
    ----------
    xyz : (n_frames, n_atoms, 3), nm
    runs : tuple of int
        Numbers of frames by trajectory.
    shared : Shared
    structure : mdtraj.Trajectory

    Returns
    -------
    Ensemble
    """
    frames = mdtraj.Trajectory(np.array(xyz), shared.topology)  # superposing works in place
    alpha = np.array([atom.index for atom in shared.topology.atoms if atom.name == "CA"])
    frames.superpose(structure, atom_indices=alpha)
    apart = ((frames.xyz[:, alpha].astype(float) - structure.xyz[0, alpha]) ** 2).sum(-1)
    return Ensemble(
        labels=shared.labels,
        xyz=frames.xyz,
        alpha=alpha,
        rmsd=_pairwise_rmsd(frames.atom_slice(alpha)),
        rmsd_to_structure=np.sqrt(apart.mean(axis=1)),
        gyration=_gyration(frames),
        contacts=_contacts(frames, alpha),
        exposed=_exposed(frames),
        secondary=_secondary(frames),
        runs=runs,
    )


def _require_one_protein(layouts: Sequence[Layout]) -> None:
    ours = layouts[0].sequence
    for layout in layouts[1:]:
        theirs = layout.sequence
        if [r.name for r in ours] != [r.name for r in theirs]:
            raise MDGenError(
                f"the ensembles and the structure are of different proteins: {_told(layouts[0])} and {_told(layout)}"
            )


def _told(layout: Layout) -> str:
    names = [residue.name for residue in layout.sequence]
    return f"{layout.file} has {len(names)} residues ({' '.join(names[:6])}{' ...' * (len(names) > 6)})"


def _pairwise_rmsd(alphas: mdtraj.Trajectory) -> np.ndarray:
    alphas.center_coordinates()
    return np.stack([mdtraj.rmsd(alphas, alphas, k, precentered=True) for k in range(alphas.n_frames)]).astype(float)


def _gyration(frames: mdtraj.Trajectory) -> np.ndarray:
    masses = np.array([atom.element.mass for atom in frames.topology.atoms])
    masses /= masses.sum()
    xyz = frames.xyz.astype(float)
    centres = np.einsum("a,fax->fx", masses, xyz)
    return np.sqrt(np.einsum("a,fax->f", masses, (xyz - centres[:, None]) ** 2))


def _contacts(frames: mdtraj.Trajectory, alpha: np.ndarray) -> np.ndarray:
    pairs = alpha[np.stack(np.triu_indices(len(alpha), 1), axis=1)]
    step = max(1, _AT_ONCE // len(pairs))
    return np.concatenate(
        [
            mdtraj.compute_distances(frames[k : k + step], pairs, periodic=False) < CONTACT
            for k in range(0, frames.n_frames, step)
        ]
    )


def _exposed(frames: mdtraj.Trajectory) -> np.ndarray | NotDefined:
    for residue in frames.topology.residues:
        missing = {*ATOM14_NAMES.get(residue.name, ())} - {"", *(atom.name for atom in residue.atoms)}
        if missing:
            return NotDefined(f"not all have the side chains: {residue.name} has no {min(missing)}")
    area = mdtraj.shrake_rupley(frames, probe_radius=PROBE, mode="atom")
    total = np.zeros((frames.n_frames, frames.n_residues))
    for atom in frames.topology.atoms:
        if atom.name not in _BACKBONE:
            total[:, atom.residue.index] += area[:, atom.index]
    return total > EXPOSED


def _secondary(frames: mdtraj.Trajectory) -> np.ndarray | NotDefined:
    if any(not {"N", "CA", "C", "O"} <= {atom.name for atom in r.atoms} for r in frames.topology.residues):
        return NotDefined("not all have N, CA, C and O of each residue, which DSSP needs")
    letters = mdtraj.compute_dssp(frames, simplified=True)
    return np.vectorize(_CODES.__getitem__, otypes=[int])(letters)
