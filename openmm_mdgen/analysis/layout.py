"""The residues of a trajectory's protein in one convention of names, and which of them are joined.

A *place* counts residues along all chains from 0; caps have the place of the residue they are bonded to, with ``-``
before it or ``+`` after it. A *label* is what a residue is called in results: chain index, name and number in the file,
such as ``"0 ALA 2"``. A *link* joins two residues by a peptide bond, a *bridge* by a disulfide bond; a *hole* is where
residues follow each other in a chain and are not linked. Atoms are heavy ones, by the PDB's names. Lengths in
nanometre.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import mdtraj
import numpy as np

from openmm_mdgen.analysis.bonds import complete_bonds
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.molecule import names

LINK = 0.25  # nm, the longest distance of C and N that counts as a peptide bond of real MD
TORN = 0.8  # nm, of bonded atoms: no bond is as long in any chain, but one across a periodic box is
_ALPHA_LINK = 0.45  # nm, of C-alpha atoms of linked residues, where C and N are missing
_DISULFIDE = 0.25  # nm, of two sulfur atoms, in most frames
_CLOSING = 0.2  # nm, of the last C and the first N of a chain that is a ring, in most frames

# Caps that CHARMM patches into the residue beside them: the names of their atoms, in terms of those of a cap.
_PATCHES = {"-": {"CY": "C", "OY": "O", "CAY": "CH3"}, "+": {"NT": "N", "CAT": "CH3"}}
_CAP_ATOMS = {"CA": "CH3", "CAY": "CH3", "CY": "C", "OY": "O", "NT": "N", "CAT": "CH3"}


@dataclass(frozen=True, eq=False)
class Residue:
    """One residue, or one cap."""

    place: str
    label: str
    name: str  # of the standard residue that it stands for, else as in the file
    atoms: Mapping[str, int]  # index in the topology by name

    @property
    def is_cap(self) -> bool:
        """Whether it is a cap."""
        return not self.place.isdigit()

    @property
    def is_alpha_alone(self) -> bool:
        """Whether its C-alpha atom is all there is to link it by."""
        return "CA" in self.atoms and not {"N", "C"} <= self.atoms.keys()


@dataclass(frozen=True, eq=False)
class Layout:
    """The protein of one file."""

    file: str  # for messages
    residues: tuple[Residue, ...]  # in the order of the chain, caps among them
    links: tuple[tuple[str, str], ...]  # places of residues, C of the first bonded to N of the second
    bridges: tuple[tuple[str, str], ...]  # places of residues whose sulfur atoms are bonded
    holes: tuple[tuple[str, str], ...]  # places of residues that follow each other in a chain without a bond
    bonds: tuple[tuple[int, int], ...]  # of all atoms, hydrogens too
    heavy: tuple[int, ...]  # atoms that are measured

    @classmethod
    def of(
        cls,
        topology: mdtraj.Topology,
        xyz: np.ndarray | None = None,
        box: np.ndarray | None = None,
        *,
        file: str = "the trajectory",
        longest: float = LINK,
    ) -> Layout:
        """Read it from a topology, and from some frames where they are at hand.

        Parameters
        ----------
        topology : mdtraj.Topology
            Of protein atoms alone.
        xyz : (n_frames, n_atoms, 3), nm, optional
            Residues are linked if they are in any of these frames. Default: all that follow each other in a chain are.
        box : (n_frames, 3, 3), nm, optional
            Vectors of the periodic box.
        file : str
            Name for messages.
        longest : float
            Up to this distance of C and N, nm, residues of consecutive numbers are linked.

        Returns
        -------
        Layout
        """
        residues, chains, numbers = _residues(topology)
        near = _Distances(xyz, box)
        links, holes = [], []
        for k, (first, second) in enumerate(pairwise(residues)):
            if chains[k] != chains[k + 1]:
                continue
            follows = longest if numbers[k + 1] - numbers[k] == 1 else LINK
            if _linked(first, second, near, follows):
                links.append((first.place, second.place))
            elif not (first.is_cap or second.is_cap):
                holes.append((first.place, second.place))
        links += _closing_links(residues, chains, near)
        bridges = _bridges(residues, topology, near)
        bonds = complete_bonds(topology, [dict(r.atoms) for r in residues], [r.name for r in residues], xyz, box)
        heavy = tuple(a.index for a in topology.atoms if a.element.symbol not in ("H", "D"))
        layout = cls(file, tuple(residues), tuple(links), bridges, tuple(holes), (), heavy)
        return replace(layout, bonds=layout.true_bonds(bonds))

    def true_bonds(self, bonds: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        """Bonds of a topology without those across holes, and with those of links and bridges."""
        at = self.by_place()
        across = {frozenset((at[a].atoms.get("C", -1), at[b].atoms.get("N", -1))) for a, b in self.holes}
        found = [bond for bond in bonds if frozenset(bond) not in across]
        known = {frozenset(bond) for bond in found}
        for pair in (*self.link_atoms(), *self.bridge_atoms()):
            if frozenset(pair) not in known:
                found.append(pair)
        return tuple(found)

    def by_place(self) -> dict[str, Residue]:
        """The residues by their places."""
        return {residue.place: residue for residue in self.residues}

    def neighbours(self) -> tuple[dict[str, Residue], dict[str, Residue]]:
        """By place, the residue linked to a residue's N, and that linked to its C."""
        at = self.by_place()
        return {b: at[a] for a, b in self.links if a in at}, {a: at[b] for a, b in self.links if b in at}

    def link_atoms(self) -> list[tuple[int, int]]:
        """C and N of each link whose atoms are there."""
        at = self.by_place()
        pairs = [(at[a].atoms.get("C"), at[b].atoms.get("N")) for a, b in self.links if a in at and b in at]
        return [(c, n) for c, n in pairs if c is not None and n is not None]

    def bridge_atoms(self) -> list[tuple[int, int]]:
        """The sulfur atoms of each bridge."""
        at = self.by_place()
        return [
            (at[a].atoms["SG"], at[b].atoms["SG"])
            for a, b in self.bridges
            if "SG" in at[a].atoms and "SG" in at[b].atoms
        ]

    def alpha_links(self) -> list[tuple[int, int]]:
        """C-alpha atoms of linked residues."""
        at = self.by_place()
        pairs = [(at[a].atoms.get("CA"), at[b].atoms.get("CA")) for a, b in self.links if a in at and b in at]
        return [(a, b) for a, b in pairs if a is not None and b is not None]

    @property
    def sequence(self) -> list[Residue]:
        """The residues that are no caps."""
        return [residue for residue in self.residues if not residue.is_cap]


def agreed(layouts: Sequence[Layout], reference: Layout) -> list[Layout]:
    """What all files have of one molecule: the layouts in the reference's labels, links and bridges, of common atoms.

    Residues are matched by their place, so files may number and name them differently.

    Parameters
    ----------
    layouts : sequence of Layout
        That of the reference may be among them.
    reference : Layout
        It decides which residues are linked.

    Returns
    -------
    list of Layout
        One for each of `layouts`, residue by residue and atom by atom alike.

    Raises
    ------
    MDGenError
        If the sequences differ.
    """
    for layout in layouts:
        _require_same_sequence(layout, reference)
    every = [layout.by_place() for layout in layouts]
    shared = {
        residue.place: [name for name in residue.atoms if all(name in found[residue.place].atoms for found in every)]
        for residue in reference.residues
        if all(residue.place in found for found in every)
    }
    labels = {residue.place: residue.label for residue in reference.residues}
    return [_reduced(layout, shared, labels, reference) for layout in layouts]


def in_terms_of(layout: Layout, reference: Layout) -> Layout:
    """A layout with all of its own atoms and caps, in the labels and links of the reference; as `agreed` for one."""
    _require_same_sequence(layout, reference)
    labels = {residue.place: residue.label for residue in reference.residues}
    residues = tuple(replace(residue, label=labels.get(residue.place, residue.label)) for residue in layout.residues)
    places = layout.by_place().keys()
    to_caps = tuple(link for link in layout.links if not (link[0].isdigit() and link[1].isdigit()))
    links = tuple(link for link in reference.links if set(link) <= places)
    return replace(layout, residues=residues, links=tuple(dict.fromkeys((*links, *to_caps))))


def _reduced(layout: Layout, shared: dict[str, list[str]], labels: dict[str, str], reference: Layout) -> Layout:
    at = layout.by_place()
    residues = tuple(
        replace(at[place], label=labels[place], atoms={name: at[place].atoms[name] for name in atoms})
        for place, atoms in shared.items()
    )
    measured = {index for residue in residues for index in residue.atoms.values()}
    named = {index for residue in layout.residues for index in residue.atoms.values()}
    everything = all(len(residue.atoms) == len(at[residue.place].atoms) for residue in residues)
    heavy = layout.heavy if everything and measured == named else tuple(sorted(measured))
    links = tuple(link for link in reference.links if link[0] in shared and link[1] in shared)
    bridges = tuple(pair for pair in dict.fromkeys((*reference.bridges, *layout.bridges)) if set(pair) <= shared.keys())
    reduced = replace(layout, residues=residues, links=links, bridges=bridges, holes=reference.holes, heavy=heavy)
    return replace(reduced, bonds=reduced.true_bonds(layout.bonds))


def _require_same_sequence(layout: Layout, reference: Layout) -> None:
    ours, theirs = layout.sequence, reference.sequence
    for place, (a, b) in enumerate(zip(ours, theirs, strict=False), start=1):
        if a.name != b.name:
            raise MDGenError(
                f"the trajectories are of different molecules: residue {place} along the chain is {a.name} in "
                f"{layout.file} ({a.label.split(' ', 1)[1]}) and {b.name} in {reference.file}"
            )
    if len(ours) != len(theirs):
        raise MDGenError(
            f"the trajectories are of different molecules: {layout.file} has {len(ours)} residues, and "
            f"{reference.file} has {len(theirs)}"
        )


def is_protein(residue: mdtraj.core.topology.Residue) -> bool:
    """Whether a residue belongs to a peptide chain: by its name, or by the atoms of a backbone."""
    found = {atom.name for atom in residue.atoms if atom.element is not None and atom.element.symbol in ("C", "N")}
    if residue.name.upper() in names.CAP_ALIASES:
        return True
    if residue.is_protein or names.parent(residue.name) is not None:
        return bool(found & {"CA", "N", "C"})
    return found >= {"CA", "N", "C"}


def _residues(topology: mdtraj.Topology) -> tuple[list[Residue], list[int], list[int]]:
    """Residues with their caps, in order; the chain and the number of each."""
    seen: Counter[str] = Counter()
    residues: list[Residue] = []
    chains: list[int] = []
    numbers: list[int] = []
    place = 0
    for residue in topology.residues:
        label = f"{residue.chain.index} {residue.name} {residue.resSeq}"
        seen[label] += 1
        label += "" if seen[label] == 1 else f"({seen[label]})"  # insertion codes, equal names
        parts = _with_caps(residue, label, place)
        place += 1 if any(not part.is_cap for part in parts) else 0
        residues += parts
        chains += [residue.chain.index] * len(parts)
        numbers += [residue.resSeq] * len(parts)
    return residues, chains, numbers


def _with_caps(residue: mdtraj.core.topology.Residue, label: str, place: int) -> list[Residue]:
    """A residue of a topology, and the caps that are patched into it."""
    heavy = {a.name: a.index for a in residue.atoms if a.element.symbol not in ("H", "D")}
    cap = names.CAP_ALIASES.get(residue.name.upper())
    if cap is not None:
        before = "C" in heavy and "N" not in heavy or "CY" in heavy
        atoms = {_CAP_ATOMS.get(name, name): index for name, index in heavy.items()}
        if cap == "NME" and "C" in atoms:
            atoms["CH3"] = atoms.pop("C")
        return [Residue(f"{place}-" if before else f"{place - 1}+", label, cap, atoms)]
    name = names.parent(residue.name) or residue.name
    own = {names.heavy_atom(a, name): k for a, k in heavy.items() if not any(a in p for p in _PATCHES.values())}
    patched = {side: {known[a]: k for a, k in heavy.items() if a in known} for side, known in _PATCHES.items()}
    if not {"C", "CH3"} <= patched["-"].keys():
        own |= {a: k for a, k in heavy.items() if a in _PATCHES["-"]}
        patched["-"] = {}
    if "N" not in patched["+"]:
        own |= {a: k for a, k in heavy.items() if a in _PATCHES["+"]}
        patched["+"] = {}
    parts = [Residue(str(place), label, name, own)]
    if patched["-"]:
        parts.insert(0, Residue(f"{place}-", f"{label} ACE", "ACE", patched["-"]))
    if patched["+"]:
        cap = "NME" if "CH3" in patched["+"] else "NH2"
        parts.append(Residue(f"{place}+", f"{label} {cap}", cap, patched["+"]))
    return parts


class _Distances:
    """Distances of two atoms over some frames, nm, of nearest images where there is a box."""

    def __init__(self, xyz: np.ndarray | None, box: np.ndarray | None) -> None:
        self._xyz, self._box = xyz, box

    def shortest(self, first: int, second: int) -> float:
        """The shortest one; 0 where there are no frames."""
        return float(np.nanmin(self._of(first, second), initial=np.inf)) if self._xyz is not None else 0.0

    def usual(self, first: int, second: int) -> float:
        """The median; infinite where there are no frames."""
        found = self._of(first, second)
        return float(np.nanmedian(found)) if np.isfinite(found).any() else np.inf

    def _of(self, first: int, second: int) -> np.ndarray:
        if self._xyz is None:
            return np.full(1, np.inf)
        apart = self._xyz[:, second].astype(float) - self._xyz[:, first]
        if self._box is not None:
            whole = np.round(np.linalg.solve(self._box.transpose(0, 2, 1), apart[..., None])[..., 0])
            apart = apart - np.einsum("fk,fkx->fx", whole, self._box)
        return np.linalg.norm(apart, axis=-1)


def _linked(first: Residue, second: Residue, near: _Distances, longest: float) -> bool:
    if "C" in first.atoms and "N" in second.atoms:
        return near.shortest(first.atoms["C"], second.atoms["N"]) <= longest
    if first.is_alpha_alone and second.is_alpha_alone:
        return near.shortest(first.atoms["CA"], second.atoms["CA"]) <= max(_ALPHA_LINK, longest)
    return False


def _closing_links(residues: list[Residue], chains: list[int], near: _Distances) -> Iterator[tuple[str, str]]:
    """Peptide bonds from the end of a chain to its beginning, seen by their length alone."""
    for chain in dict.fromkeys(chains):
        own = [residue for residue, number in zip(residues, chains, strict=True) if number == chain]
        c, n = own[-1].atoms.get("C"), own[0].atoms.get("N")
        if len(own) > 2 and c is not None and n is not None and near.usual(c, n) <= _CLOSING:
            yield own[-1].place, own[0].place


def _bridges(residues: list[Residue], topology: mdtraj.Topology, near: _Distances) -> tuple[tuple[str, str], ...]:
    sulfurs = {r.atoms["SG"]: r.place for r in residues if r.name == "CYS" and "SG" in r.atoms}
    bonded = {frozenset((a.index, b.index)) for a, b in topology.bonds}
    return tuple(
        (sulfurs[a], sulfurs[b])
        for a, b in combinations(sulfurs, 2)
        if frozenset((a, b)) in bonded or near.usual(a, b) <= _DISULFIDE
    )
