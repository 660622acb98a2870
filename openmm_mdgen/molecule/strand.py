"""Which residues of a topology make the one chain that is generated, and which molecules are refused.

A *strand* is a linear run of amino acids within one chain of the topology, with the caps at its ends. A topology may
hold other things, such as water, ions and ligands, which are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openmm_mdgen.errors import UnsupportedTopologyError
from openmm_mdgen.geometry.residues import ATOM14_NAMES
from openmm_mdgen.molecule import names
from openmm_mdgen.molecule.caps import C_CAPS, N_CAPS, Cap, is_hydrogen

if TYPE_CHECKING:
    from openmm.app import Topology
    from openmm.app.topology import Atom, Chain, Residue

_BACKBONE = {"N", "CA", "C"}
_SUGAR = ({"C1'", "C4'"}, {"C1*", "C4*"})  # of a nucleotide


@dataclass(frozen=True, eq=False)
class Member:
    """A residue of a strand, in terms of the standard residue that stands for it."""

    residue: Residue
    parent: str  # three-letter name of a standard residue
    slots: dict[str, Atom]  # the parent's heavy atoms by the PDB's names, and OXT of a last residue
    others: tuple[Atom, ...]  # hydrogens, and heavy atoms that extend the parent
    label: str  # chain, name and number, for messages

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return (*self.slots.values(), *self.others)


@dataclass(frozen=True, eq=False)
class Strand:
    """A linear run of amino acids."""

    members: tuple[Member, ...]
    n_cap: Cap | None
    c_cap: Cap | None

    @property
    def caps(self) -> tuple[tuple[Cap, int], ...]:
        """The caps, each with the number of the residue that it is bonded to."""
        ends = ((self.n_cap, 0), (self.c_cap, len(self.members) - 1))
        return tuple((cap, number) for cap, number in ends if cap is not None)


def only_strand(topology: Topology) -> Strand:
    """The one strand of a topology.

    Raises
    ------
    UnsupportedTopologyError
        If there is none or more than one, or it is not made of amino acids that the model knows.
    """
    chains = protein_chains(topology)
    if len(chains) > 1:
        second = next(residue for residue in chains[1].residues() if names.parent(residue.name))
        raise UnsupportedTopologyError(
            f"chains {', '.join(repr(chain.id) for chain in chains)} are all protein, and the model takes one chain. "
            'Generate each of them by itself with chains="each" (in the command: --each-chain), or delete all but one, '
            f"e.g. with openmm.app.Modeller.delete; the second begins at {describe(second)}."
        )
    return strand_of(chains[0])


def protein_chains(topology: Topology) -> list[Chain]:
    """The chains that hold amino acids, at least one.

    Raises
    ------
    UnsupportedTopologyError
        If there is none, or there are nucleic acids, which no generated frame would heed.
    """
    nucleic = next((residue for residue in topology.residues() if _is_nucleotide(residue)), None)
    if nucleic is not None:
        raise UnsupportedTopologyError(
            f"{describe(nucleic)}: a nucleic acid, which the model does not know. Delete chain {nucleic.chain.id!r}, "
            "e.g. with openmm.app.Modeller.delete."
        )
    chains = [c for c in topology.chains() if any(_is_amino_acid(residue) for residue in c.residues())]
    if not chains:
        raise UnsupportedTopologyError(
            "empty chain: the topology holds none of the 20 amino acids. Load a structure with one protein chain."
        )
    return chains


def strand_of(chain: Chain) -> Strand:
    """The strand of a chain that holds amino acids.

    Raises
    ------
    UnsupportedTopologyError
        If there is more than one in it, or a residue that the model does not know, or whose atoms are not those of its
        name.
    """
    found = [residue for residue in chain.residues() if _belongs(residue)]
    for residue in found:
        _require_cap_s_atoms(residue)
    first = last = None
    if _cap_name(found[0]):
        first, found = found[0], found[1:]
    if found and _cap_name(found[-1]):
        last, found = found[-1], found[:-1]
    n_cap = None if first is None else Cap.read(first, is_first=True, label=describe(first))
    c_cap = None if last is None else Cap.read(last, is_first=False, label=describe(last))
    for residue, following in zip(found, found[1:], strict=False):
        if (sign := _second_chain(residue, following)) is not None:
            raise UnsupportedTopologyError(
                f"{sign}: a chain ends here, and a second one begins at {describe(following)}. The TER record between "
                "them is missing (in OpenMM, a chain of its own for each molecule); the model takes one chain. Keep "
                'one, or part them and generate each by itself with chains="each" (in the command: --each-chain).'
            )
    if found and n_cap is None:
        n_cap = Cap.within(found[0], is_first=True, label=describe(found[0]))
    if found and c_cap is None:
        c_cap = Cap.within(found[-1], is_first=False, label=describe(found[-1]))
    capped = {atom for cap in (n_cap, c_cap) if cap is not None for atom in cap.atoms}
    members = [
        _member(residue, capped, may_end=k == len(found) - 1 and c_cap is None) for k, residue in enumerate(found)
    ]
    return Strand(tuple(members), n_cap, c_cap)


def describe(residue: Residue) -> str:
    """Chain, name and number of a residue, for messages."""
    return f"chain {residue.chain.id!r}, residue {residue.name} {residue.id}{residue.insertionCode.strip()}"


def _belongs(residue: Residue) -> bool:
    """Whether a residue of a protein chain is an amino acid or a cap; amino acids that the model lacks are refused."""
    if names.parent(residue.name) or _cap_name(residue):
        return True
    name = residue.name.upper()
    if name in names.D_RESIDUES:
        raise UnsupportedTopologyError(
            f"{describe(residue)}: D-{names.D_RESIDUES[name]}, the mirror image of an amino acid. The model knows L "
            "amino acids only."
        )
    if _BACKBONE <= {atom.name for atom in residue.atoms()}:
        raise UnsupportedTopologyError(
            f"{describe(residue)}, atom CA: not one of the 20 amino acids, nor a modification of one that is known. "
            "Replace the residue by a standard one, e.g. with PDBFixer.replaceNonstandardResidues, or put a ligand in "
            "a chain of its own."
        )
    return False


def _require_cap_s_atoms(residue: Residue) -> None:
    """Raise `UnsupportedTopologyError` if a residue has a cap's name and an amino acid's atoms."""
    if _cap_name(residue) and _BACKBONE <= {atom.name for atom in residue.atoms()}:
        raise UnsupportedTopologyError(
            f"{describe(residue)}, atoms N, CA, C: those of an amino acid, but {residue.name} is the name of a cap. "
            "Give the residue the name of its amino acid."
        )


def _is_amino_acid(residue: Residue) -> bool:
    return names.parent(residue.name) is not None or residue.name.upper() in names.D_RESIDUES


def _cap_name(residue: Residue) -> str | None:
    return names.CAP_ALIASES.get(residue.name.upper())


def _is_nucleotide(residue: Residue) -> bool:
    named = {atom.name for atom in residue.atoms()}
    return any(sugar <= named for sugar in _SUGAR)


def _second_chain(residue: Residue, following: Residue) -> str | None:
    """Where a chain ends between two residues that follow each other, or None if it does not."""
    cap, next_cap = _cap_name(residue), _cap_name(following)
    if cap in C_CAPS or next_cap in N_CAPS:
        return describe(residue)
    if cap or next_cap:
        return None
    by_name = {name: atom for atom, name in _canonical(residue).items()}
    return f"{describe(residue)}, atom {by_name['OXT'].name}" if {"O", "OXT"} <= by_name.keys() else None


def _canonical(residue: Residue) -> dict[Atom, str]:
    """The PDB's name of each heavy atom; an atom keeps its own name where another has that of the PDB already."""
    parent, modified = names.parent(residue.name) or residue.name, names.variant(residue.name) is None
    own = {atom.name for atom in residue.atoms()}
    found = {}
    for atom in residue.atoms():
        if not is_hydrogen(atom):
            # Modified residues have an O1 and an O2 that are no carboxyl group.
            name = atom.name if modified and atom.name in ("O1", "O2") else names.heavy_atom(atom.name, parent)
            found[atom] = atom.name if name in own else name
    return found


def _member(residue: Residue, capped: set[Atom], *, may_end: bool) -> Member:
    """A residue with its atoms in slots; refused if a heavy atom of its parent is missing or there twice.

    `capped` are atoms of a cap, `may_end` says whether the residue is the last one, which may have an OXT.
    """
    parent = names.parent(residue.name)
    assert parent is not None
    label = describe(residue)
    own = [atom for atom in residue.atoms() if atom not in capped]
    written = [atom.name for atom in own]
    duplicate = sorted({name for name in written if written.count(name) > 1})
    if duplicate:
        raise UnsupportedTopologyError(
            f"{label}, atom {', '.join(duplicate)}: present more than once. Keep one alternate location."
        )
    standard = [name for name in ATOM14_NAMES[parent] if name]
    by_name = {name: atom for atom, name in _canonical(residue).items() if atom not in capped}
    slots = {name: by_name[name] for name in [*standard, *(["OXT"] if may_end else [])] if name in by_name}
    if "OXT" in by_name and not may_end:
        raise UnsupportedTopologyError(
            f"{label}, atom {by_name['OXT'].name}: not a heavy atom of a residue that carries a cap. Remove one of the "
            "two."
        )
    missing = [name for name in standard if name not in slots]
    others = tuple(atom for atom in own if atom not in slots.values())
    if missing:
        extra = sorted(atom.name for atom in others if not is_hydrogen(atom))
        raise UnsupportedTopologyError(_missing(residue, parent, missing, extra))
    return Member(residue, parent, slots, others, label)


def _missing(residue: Residue, parent: str, missing: list[str], extra: list[str]) -> str:
    label = f"{describe(residue)}, atom {', '.join(missing)}: missing heavy atom"
    if names.variant(residue.name) is None:
        return (
            f"{label} of {parent}, by which the model knows {residue.name}. Replace the residue by a standard one, "
            "e.g. with PDBFixer.replaceNonstandardResidues."
        )
    also = f" (and unexpected heavy atom {', '.join(extra)}: a name that differs from the PDB's?)" if extra else ""
    if len(extra) >= len(missing):
        return (
            f"{label}{also}. Give the atoms of {residue.name} the names of the PDB, such as {', '.join(missing[:3])}."
        )
    return f"{label}{also}. Add it, e.g. with PDBFixer.findMissingAtoms and addMissingAtoms."
