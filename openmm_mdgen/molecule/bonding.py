"""The bonds of a strand, and what each atom hangs on; bonds that generated frames would not keep are refused.

Disulfides within the strand and a peptide bond from its last residue to its first are kept.

Readers make bonds by the names of residues and atoms, so a residue with a foreign name has none. Its bonds follow from
the standard residue that stands for it, and from the names of its hydrogens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openmm_mdgen.errors import UnsupportedTopologyError
from openmm_mdgen.geometry.bonds import residue_bonds
from openmm_mdgen.molecule import names
from openmm_mdgen.molecule.caps import C_CAPS, N_CAPS, Cap, is_hydrogen
from openmm_mdgen.molecule.strand import Member, Strand, describe

if TYPE_CHECKING:
    from openmm.app import Topology
    from openmm.app.topology import Atom

_HINT = "Call topology.createStandardBonds() if the topology was made without bonds"


@dataclass(frozen=True, eq=False)
class Bonding:
    """The bonds of a strand."""

    pairs: list[tuple[int, int]]  # atoms by their numbers in the topology: bonds that it has, then those it lacks
    roots: dict[int, str]  # by the number of an atom beside the slots: the atom in a slot that it hangs on
    disulfides: tuple[tuple[int, int], ...] = ()  # pairs of residues of the strand, from 0
    is_cyclic: bool = False  # whether the last C is bonded to the first N


def bonding_of(topology: Topology, strand: Strand) -> Bonding:
    """The bonds of a strand, those included that its reader did not make.

    Raises
    ------
    UnsupportedTopologyError
        If an atom belongs to nothing, two neighbours are not bonded, or there are bonds that generated frames would not
        keep.
    """
    given = _Given(topology, strand)
    given.require_links()
    pairs, roots = list(given.pairs), {}
    for member in strand.members:
        added = _missing_bonds(member, given)
        pairs += added
        roots.update(_roots(member, [*given.within(member), *added]))
    for cap, _ in strand.caps:
        pairs += [(first.index, second.index) for first, second in cap.bonds]
    return Bonding(_once(pairs), roots, tuple(sorted(given.disulfides)), given.is_cyclic)


class _Given:
    """What the topology says of a strand's bonds."""

    def __init__(self, topology: Topology, strand: Strand) -> None:
        self._strand = strand
        self._number = {atom.index: k for k, member in enumerate(strand.members) for atom in member.atoms}
        self._capped = {atom.index for cap, _ in strand.caps for atom in cap.atoms}
        # Each end of the chain where a cap is bonded: the cap's atom and the residue's.
        self._ends = {
            cap.link.index: strand.members[k].slots["N" if cap.is_first else "C"].index for cap, k in strand.caps
        }
        self._name = {atom.index: name for member in strand.members for name, atom in member.slots.items()}
        self.pairs: list[tuple[int, int]] = []
        self._within: dict[int, list[tuple[int, int]]] = {k: [] for k in range(len(strand.members))}
        self._linked: set[int] = set()  # residues whose C is bonded to the next one's N
        self._joined: set[int] = set()  # atoms of caps that are bonded to the chain
        self.disulfides: set[tuple[int, int]] = set()
        self.is_cyclic = False
        for bond in topology.bonds():
            first, second = sorted(bond, key=lambda atom: atom.index)
            if self._is_ours(first) or self._is_ours(second):
                if self._take(first, second):
                    self.pairs.append((bond[0].index, bond[1].index))

    def within(self, member: Member) -> list[tuple[int, int]]:
        """The bonds between the atoms of one residue."""
        return self._within[self._number[next(iter(member.slots.values())).index]]

    def require_links(self) -> None:
        """Refuse neighbours that are not bonded, unless the reader did not know one of them by its name."""
        members = self._strand.members
        for k in range(len(members) - 1):
            if k in self._linked:
                continue
            if not (self._is_foreign(k) or self._is_foreign(k + 1)):
                raise UnsupportedTopologyError(
                    f"{members[k].label}, atom C is not bonded to {members[k + 1].label}, atom N. {_HINT}; otherwise "
                    "residues are missing here: model them, e.g. with PDBFixer.findMissingResidues; or a second chain "
                    "begins here: part the two by a TER record."
                )
            self.pairs.append((members[k].slots["C"].index, members[k + 1].slots["N"].index))
        for cap, k in self._strand.caps:
            if cap.link.index in self._joined:
                continue
            is_patch = cap.link.residue is members[k].residue
            if not (is_patch or self._is_foreign(k) or _unknown_to_readers(cap)):
                raise UnsupportedTopologyError(
                    f"{describe(cap.link.residue)}, atom {cap.link.name} is not bonded to {members[k].label}, atom "
                    f"{'N' if cap.is_first else 'C'}. {_HINT}; otherwise residues are missing between the cap and the "
                    "chain."
                )
            self.pairs.append((cap.link.index, self._ends[cap.link.index]))

    def _is_ours(self, atom: Atom) -> bool:
        return atom.index in self._number or atom.index in self._capped

    def _take(self, first: Atom, second: Atom) -> bool:
        """Note what a bond joins, or refuse it; false for one that a reader made in error."""
        i, j = self._number.get(first.index), self._number.get(second.index)
        for cap_atom, other in ((first, second), (second, first)):
            if self._ends.get(cap_atom.index) == other.index:
                self._joined.add(cap_atom.index)
                return True
        if first.residue is second.residue and {first.index, second.index} & self._capped:
            return {first.index, second.index} <= self._capped  # else a hydrogen of a patch, by its name
        if i is not None and i == j:
            self._within[i].append((first.index, second.index))
            return True
        if i is not None and j is not None:
            (k, earlier), (following, later) = sorted(((i, first), (j, second)), key=lambda end: end[0])
            if following == k + 1 and (self._name.get(earlier.index), self._name.get(later.index)) == ("C", "N"):
                self._linked.add(k)
                return True
            named = self._name.get(earlier.index), self._name.get(later.index)
            if named == ("SG", "SG"):
                self.disulfides.add((k, following))
                return True
            if named == ("N", "C") and (k, following) == (0, len(self._strand.members) - 1) and following > 1:
                self.is_cyclic = True
                return True
        raise UnsupportedTopologyError(self._refused(first, second))

    def _refused(self, first: Atom, second: Atom) -> str:
        """Why a bond cannot be kept."""
        where = (
            f"{describe(first.residue)}, atom {first.name} is bonded to {describe(second.residue)}, atom {second.name}"
        )
        named = {self._name.get(first.index, first.name), self._name.get(second.index, second.name)}
        if named == {"SG"}:
            return (
                f"{where}: a disulfide to what is not this chain. Generated frames would open it, so such molecules "
                "are not taken."
            )
        return (
            f"{where}. Besides the peptide bonds of one chain and disulfides within it, bonds between residues are not "
            "supported; remove what is attached."
        )

    def _is_foreign(self, k: int) -> bool:
        """Whether the reader made no bonds in a residue because it did not know its name."""
        member = self._strand.members[k]
        return member.residue.name not in names.STANDARD and not self._has_backbone_bonds(member)

    def _has_backbone_bonds(self, member: Member) -> bool:
        wanted = {member.slots["N"].index, member.slots["CA"].index}
        return any(set(pair) == wanted for pair in self.within(member))


def _unknown_to_readers(cap: Cap) -> bool:
    """Whether a cap has no bonds because the reader did not know its name."""
    residue = cap.link.residue
    return residue.name not in (*N_CAPS, *C_CAPS) and not any(True for _ in residue.internal_bonds())


def _missing_bonds(member: Member, given: _Given) -> list[tuple[int, int]]:
    """Bonds of a residue that its reader did not make: those of its parent, of its modification and of hydrogens."""
    there = {frozenset(pair) for pair in given.within(member)}
    bonded = {index for pair in there for index in pair}
    named = member.slots | {atom.name: atom for atom in member.others if atom.name not in member.slots}
    modification = names.MODIFIED_BONDS.get(member.residue.name.upper(), "").split()
    wanted = [*residue_bonds(member.parent), *(bond.split("-") for bond in modification)]
    pairs = [(named[a], named[b]) for a, b in wanted if a in named and b in named]
    for atom in member.others:
        if is_hydrogen(atom) and atom.index not in bonded:
            carrier = names.hydrogen_carrier(atom.name, member.parent)
            if carrier not in member.slots:
                raise UnsupportedTopologyError(
                    f"{member.label}, atom {atom.name}: hydrogen without a bond, and its name does not tell what "
                    f"carries it. {_HINT}; otherwise remove the hydrogens and add them again with "
                    "openmm.app.Modeller.addHydrogens."
                )
            pairs.append((member.slots[carrier], atom))
    return [(a.index, b.index) for a, b in pairs if frozenset((a.index, b.index)) not in there]


def _roots(member: Member, pairs: list[tuple[int, int]]) -> dict[int, str]:
    """For each atom beside the slots, the atom in a slot from which bonds lead to it."""
    around: dict[int, list[int]] = {}
    for a, b in pairs:
        around.setdefault(a, []).append(b)
        around.setdefault(b, []).append(a)
    slot_of = {atom.index: name for name, atom in member.slots.items()}
    roots: dict[int, str] = {}
    edge = list(slot_of)
    while edge:
        reached = []
        for index in edge:
            for other in around.get(index, []):
                if other not in slot_of and other not in roots:
                    roots[other] = slot_of.get(index) or roots[index]
                    reached.append(other)
        edge = reached
    loose = sorted(atom.name for atom in member.others if atom.index not in roots)
    if loose:
        raise UnsupportedTopologyError(
            f"{member.label}, atom {', '.join(loose)}: not a heavy atom of {member.parent}, nor bonded to one. Remove "
            "extra particles; to keep a modification, give its bonds (CONECT records in a PDB file)."
        )
    return roots


def _once(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Each bond once, in the order in which it was first listed, whichever way round."""
    found: dict[frozenset[int], tuple[int, int]] = {}
    for pair in pairs:
        found.setdefault(frozenset(pair), pair)
    return list(found.values())
