"""Whether a generated segment may take the place of real MD.

Axes: ``F`` frames of a segment, ``n`` atoms that the generator moves, numbered among themselves. Positions in nm,
energies in kJ/mol. A segment is judged whole and before any of its frames is handed out, by what real MD of the same
molecule keeps: bonds, angles, handedness, peptide bonds, the nearest approach of atoms; by how far it jumps; and by its
energy once bonds, angles and hydrogens are relaxed, against frames of real MD relaxed in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from scipy.spatial import cKDTree

from openmm_mdgen.arguments import not_negative, positive, require, valid_count
from openmm_mdgen.geometry.bonds import TOO_CLOSE, BondGraph, Contacts, lengths, triple_products

if TYPE_CHECKING:
    from openmm.app import Topology


@dataclass(frozen=True)
class Verdict:
    """What a gate says of one segment."""

    accepted: bool
    reason: str = ""  # why not
    numbers: dict[str, float] = field(default_factory=dict)  # what was measured, by name
    kind: str = ""  # kind of the fault, to count rejections by: a word or two, such as "clash"


@dataclass(frozen=True, eq=False)
class Molecule:
    """What does not change in real MD of a molecule, measured on one relaxed structure.

    The ``n`` moved atoms are numbered among themselves.
    """

    names: tuple[str, ...]  # (n,) residue and atom, for messages
    is_hydrogen: np.ndarray  # (n,) bool
    bonds: np.ndarray  # (b, 2)
    angles: np.ndarray  # (a, 2): the two ends of each bond angle
    near: np.ndarray  # (n, n) bool: at most three bonds apart
    centres: np.ndarray  # (c, 4): an atom with four neighbours, and three of them
    peptide_bonds: np.ndarray  # (o, 4): CA, C, N, CA
    positions: np.ndarray  # (n, 3) nm: the relaxed structure

    @classmethod
    def measure(cls, topology: Topology, moved: np.ndarray, relaxed: np.ndarray) -> Molecule:
        """Measure a molecule.

        Parameters
        ----------
        topology : openmm.app.Topology
        moved : (n,) int
            The atoms that the generator places.
        relaxed : (n_atoms, 3) nm
            A relaxed structure of all atoms of the topology.
        """
        place = {int(index): k for k, index in enumerate(moved)}
        atoms = [atom for atom in topology.atoms() if atom.index in place]
        pairs = [(place[i.index], place[j.index]) for i, j in topology.bonds() if i.index in place and j.index in place]
        graph = BondGraph.of(len(moved), pairs)
        return cls(
            names=tuple(f"{a.residue.name} {a.residue.id} {a.name}" for a in atoms),
            is_hydrogen=np.array([a.element is not None and a.element.atomic_number == 1 for a in atoms], dtype=bool),
            bonds=graph.bonds,
            angles=graph.angles()[:, [0, 2]],
            near=graph.near(),
            centres=graph.centres(),
            peptide_bonds=_peptide_bonds([a.name for a in atoms], pairs, graph),
            positions=relaxed[moved],
        )


@dataclass(frozen=True, eq=False)
class Trial:
    """A segment to be judged, and what it can be compared with."""

    molecule: Molecule
    start: np.ndarray  # (n, 3) nm: what it continues
    frames: np.ndarray  # (F, n, 3) nm
    relaxed_energy: Callable[[np.ndarray], float]  # of a frame (n, 3)
    real_energies: np.ndarray  # of relaxed frames of real MD


@runtime_checkable
class Judge(Protocol):
    """What a simulation asks of a gate."""

    @property
    def retries(self) -> int:
        """How often a rejected segment is generated anew before real MD takes its place."""
        ...

    def judge(self, trial: Trial) -> Verdict:
        """Accept a segment or not.

        It has to be deterministic, and quick beside the MD that a segment replaces.
        """
        ...


@dataclass(frozen=True)
class Gate:
    """A gate that rejects what real MD does not show.

    The defaults leave room beyond everything seen in MD of tetrapeptides at 350 K: bonds within 0.015 nm and ends of
    angles within 0.032 nm of the relaxed structure, contacts of 0.239, 0.144 and 0.136 nm.

    Parameters
    ----------
    retries : int
        How often a rejected segment is generated anew, with new noise, before real MD takes its place.
    bond_tolerance, angle_tolerance : float, nm
        How far the distance of bonded atoms, and of the two ends of a bond angle, may be from that in the relaxed
        structure.
    contacts : (float, float, float), nm
        Smallest distances of atoms more than three bonds apart: of two heavy atoms, of a heavy atom and a hydrogen, of
        two hydrogens.
    largest_turn : float, degree
        Largest turn of a peptide bond away from its dihedral angle in the relaxed structure.
    largest_jump : float, nm
        Largest move of the molecule's centre from one frame to the next.
    energy_frames : int
        Number of frames of a segment whose relaxed energy is compared; evenly spread, the last frame among them.
    energy_deviations : float
        Number of standard deviations by which a relaxed energy may lie above the mean of real MD's.
    energy_floor : float, kJ/mol
        Smallest value that is taken for this standard deviation.

    Raises
    ------
    MDGenError
        If a number makes no sense.
    """

    retries: int = 2
    bond_tolerance: float = 0.03
    angle_tolerance: float = 0.06
    contacts: Contacts = TOO_CLOSE
    largest_turn: float = 75.0
    largest_jump: float = 2.0
    energy_frames: int = 3
    energy_deviations: float = 6.0
    energy_floor: float = 8.0

    def __post_init__(self) -> None:
        valid_count("retries", self.retries, least=0)
        valid_count("energy_frames", self.energy_frames)
        for name in ("bond_tolerance", "angle_tolerance", "largest_turn", "largest_jump", "energy_deviations"):
            positive(name, getattr(self, name))
        not_negative("energy_floor", self.energy_floor)
        is_right = isinstance(self.contacts, Sequence) and len(self.contacts) == 3
        require("contacts", self.contacts, is_right, "three distances in nm: of heavy atoms, mixed, of hydrogens")
        for distance in self.contacts:
            not_negative("one of the contacts", distance)

    def judge(self, trial: Trial) -> Verdict:
        """Judge by geometry, then by energy; the first fault found is the reason.

        Parameters
        ----------
        trial : Trial

        Returns
        -------
        Verdict
            Its numbers have what was measured up to there: largest deviations in nm, turns in degree, energies in
            kJ/mol.
        """
        numbers: dict[str, float] = {}
        checks: dict[str, Callable[[Trial, dict[str, float]], str]] = {
            "not finite": self._not_finite,
            "bond": partial(self._stretched, "bond", trial.molecule.bonds, self.bond_tolerance),
            "angle": partial(self._stretched, "angle", trial.molecule.angles, self.angle_tolerance),
            "handedness": self._wrong_handedness,
            "peptide bond": self._turned_peptide_bond,
            "jumps": self._jump,
            "clash": self._clash,
            "relaxed energy": self._high_energy,
        }
        for kind, reason_of in checks.items():
            if reason := reason_of(trial, numbers):
                return Verdict(False, reason, numbers, kind)
        return Verdict(True, "", numbers)

    def _not_finite(self, trial: Trial, numbers: dict[str, float]) -> str:
        bad = ~np.isfinite(trial.frames).all(axis=(1, 2))
        return f"frame {_first(bad)}: positions that are not finite" if bad.any() else ""

    def _stretched(
        self, name: str, pairs: np.ndarray, tolerance: float, trial: Trial, numbers: dict[str, float]
    ) -> str:
        """Compare distances of pairs (p, 2) with those in the relaxed structure."""
        molecule = trial.molecule
        off = np.abs(lengths(trial.frames, pairs) - lengths(molecule.positions[None], pairs))
        numbers[f"{name}_deviation"] = _largest(off)
        if _largest(off) <= tolerance:
            return ""
        frame, k = np.unravel_index(off.argmax(), off.shape)
        i, j = pairs[k]
        return (
            f"frame {frame}: the {name} of {molecule.names[i]} and {molecule.names[j]} is "
            f"{off[frame, k]:.3f} nm off, more than {tolerance:g}"
        )

    def _wrong_handedness(self, trial: Trial, numbers: dict[str, float]) -> str:
        molecule = trial.molecule
        now, usual = (triple_products(x, molecule.centres) for x in (trial.frames, molecule.positions[None]))
        handed = np.sign(now) * np.sign(usual)
        numbers["wrong_handedness"] = float((handed <= 0).sum())
        if not (handed <= 0).any():
            return ""
        frame, k = np.argwhere(handed <= 0)[0]
        return f"frame {frame}: {molecule.names[molecule.centres[k, 0]]} has the wrong handedness"

    def _turned_peptide_bond(self, trial: Trial, numbers: dict[str, float]) -> str:
        molecule = trial.molecule
        now, usual = (_dihedrals(x, molecule.peptide_bonds) for x in (trial.frames, molecule.positions[None]))
        turns = np.abs(now - usual)
        turns = np.minimum(turns, 360 - turns)
        numbers["peptide_bond_turn"] = _largest(turns)
        if _largest(turns) <= self.largest_turn:
            return ""
        frame, k = np.unravel_index(turns.argmax(), turns.shape)
        atom = molecule.names[molecule.peptide_bonds[k, 1]]
        return f"frame {frame}: the peptide bond of {atom} turned by {turns[frame, k]:.0f} degrees: far extrapolation"

    def _jump(self, trial: Trial, numbers: dict[str, float]) -> str:
        path = np.concatenate([trial.start[None], trial.frames]).mean(axis=1)
        jumps = np.linalg.norm(np.diff(path, axis=0), axis=-1)
        numbers["jump"] = _largest(jumps)
        if _largest(jumps) <= self.largest_jump:
            return ""
        frame = _first(jumps > self.largest_jump)
        return f"frame {frame}: the molecule jumps by {jumps[frame]:.2f} nm: far extrapolation"

    def _clash(self, trial: Trial, numbers: dict[str, float]) -> str:
        depth, frame, i, j = self._worst_contact(trial.molecule, trial.frames)
        numbers["overlap"] = max(depth, 0.0)
        if depth <= 0:
            return ""
        names = trial.molecule.names
        return f"frame {frame}: {names[i]} and {names[j]} clash, {depth:.3f} nm nearer than atoms come in MD"

    def _worst_contact(self, molecule: Molecule, frames: np.ndarray) -> tuple[float, int, int, int]:
        """How much nearer than allowed the worst pair is (nm, negative if none is), its frame and atoms."""
        allowed = np.array(self.contacts)
        worst = (-1.0, 0, 0, 0)
        for number, frame in enumerate(frames):
            close = cKDTree(frame).query_pairs(allowed.max(), output_type="ndarray")
            close = close[~molecule.near[close[:, 0], close[:, 1]]]
            if len(close):
                kinds = molecule.is_hydrogen[close].sum(axis=1)
                depths = allowed[kinds] - lengths(frame, close)
                k = int(depths.argmax())
                worst = max(worst, (float(depths[k]), number, int(close[k, 0]), int(close[k, 1])))
        return worst

    def _high_energy(self, trial: Trial, numbers: dict[str, float]) -> str:
        n = len(trial.frames)
        chosen = np.unique(np.linspace(n - 1, 0, self.energy_frames, endpoint=False).round().astype(int))
        energies = np.array([trial.relaxed_energy(trial.frames[k]) for k in chosen])
        mean, deviation = trial.real_energies.mean(), max(trial.real_energies.std(ddof=1), self.energy_floor)
        limit = mean + self.energy_deviations * deviation
        numbers |= {
            "relaxed_energy": float(energies.max()),
            "relaxed_energy_of_md": float(mean),
            "energy_limit": float(limit),
        }
        bad = ~(energies <= limit)  # one that is not a number, too
        if not bad.any():
            return ""
        k = _first(bad)
        return f"frame {chosen[k]}: relaxed energy {energies[k]:.0f} kJ/mol, above the {limit:.0f} that real MD allows"


def _peptide_bonds(names: list[str], bonds: list[tuple[int, int]], graph: BondGraph) -> np.ndarray:
    found = []
    for pair in bonds:
        for c, n in (pair, pair[::-1]):
            if (names[c], names[n]) == ("C", "N"):
                before = [k for k in graph.neighbours[c] if names[k] == "CA"]
                after = [k for k in graph.neighbours[n] if names[k] == "CA"]
                found += [(before[0], c, n, after[0])] if before and after else []
    return np.array(found, dtype=int).reshape(-1, 4)


def _dihedrals(frames: np.ndarray, quadruples: np.ndarray) -> np.ndarray:
    """Dihedral angles in degree, (F, o)."""
    p, q, r, s = (frames[:, quadruples[:, k]] for k in range(4))
    b, axis = q - p, r - q
    first, second = np.cross(b, axis), np.cross(axis, s - r)
    sine = (np.cross(first, second) * axis).sum(-1) / np.maximum(np.linalg.norm(axis, axis=-1), 1e-12)
    return np.degrees(np.arctan2(sine, (first * second).sum(-1)))


def _largest(values: np.ndarray) -> float:
    return float(values.max(initial=0.0))


def _first(flags: np.ndarray) -> int:
    return int(np.flatnonzero(flags)[0])
