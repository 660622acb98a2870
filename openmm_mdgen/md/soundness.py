"""Checks that each chain of a draft is an unbroken one of L amino acids, with ends for which amber14 has parameters."""

from __future__ import annotations

import numpy as np

from openmm_mdgen.errors import UnsupportedTopologyError
from openmm_mdgen.geometry.bonds import Stereocentres
from openmm_mdgen.md.drafts import Draft, DraftAtom, DraftResidue
from openmm_mdgen.md.recognition import parent

_LONGEST_BOND = 0.25  # nm between C and N, as for training data: longer ones are gaps
_LONGEST_STEP = 0.3  # nm between atoms of a residue, over which one atom may be missing
_SHORTEST_N_CA, _LONGEST_N_CA = 0.05, 0.5  # nm; a unit that is wrong makes a factor of 10
_CROSS_LINK = 0.17  # nm: amides and esters are shorter
_NUCLEOPHILES = {"LYS": "NZ", "SER": "OG", "THR": "OG1", "TYR": "OH"}
_CARBONYLS = {"ASP": "CG", "ASN": "CG", "GLU": "CD", "GLN": "CD"}
_FLAT = 5e-4  # nm^3, of the triple product about a carbon that is still to be minimised; 0.0026 in an ideal residue


def make_whole(draft: Draft) -> list[str]:
    """Bring atoms together that a periodic box has torn apart.

    Atoms of a residue that is not in one piece go to the images nearest to its first atom, and residues to those that
    are bonded to the residue before. Gaps in the chain stay as they are, and so does what is whole: crystals of
    peptides have cells in which a residue's own images are nearer than its far end.
    """
    if draft.box is None:
        return []
    moved = [_gathered(residue, draft.box) for residue in draft.residues if not _in_one_piece(residue)]
    for first, second in draft.pairs():
        c, n = first.find("C"), second.find("N")
        if c is None or n is None:
            continue
        shift = _to_nearest_image(n.position - c.position, draft.box)
        if c.distance(n) > _LONGEST_BOND and np.linalg.norm(n.position + shift - c.position) < _LONGEST_BOND:
            for atom in second.atoms:
                atom.position = atom.position + shift
            moved.append(True)
    return ["the molecule was split across the periodic box and has been made whole"] if any(moved) else []


def _in_one_piece(residue: DraftResidue) -> bool:
    """Whether each atom is reached from the first one by steps not much longer than a bond."""
    positions = np.array([atom.position for atom in residue.atoms])
    near = np.linalg.norm(positions[:, None] - positions, axis=-1) < _LONGEST_STEP
    reached = near[0]
    for _ in residue.atoms:
        reached = near[reached].any(axis=0)
    return bool(reached.all())


def _gathered(residue: DraftResidue, box: np.ndarray) -> bool:
    """Bring the atoms of a residue to the images nearest to its first atom; whether any has moved."""
    shifts = [_to_nearest_image(atom.position - residue.atoms[0].position, box) for atom in residue.atoms]
    for atom, shift in zip(residue.atoms, shifts, strict=True):
        atom.position = atom.position + shift
    return any(shift.any() for shift in shifts)


def _to_nearest_image(step: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The shift (3,) by box vectors that makes a step shortest, for boxes that are not too skewed."""
    return -np.round(step @ np.linalg.inv(box)) @ box


def check_chains(draft: Draft) -> None:
    """Refuse gaps in a chain, D and allo residues, cross-links, unknown ends, and coordinates that cannot be right.

    Raises
    ------
    UnsupportedTopologyError
        Naming the residues.
    """
    for residue in draft.residues:
        for atom in residue.atoms:
            if not np.isfinite(atom.position).all():
                raise UnsupportedTopologyError(f"{residue}, atom {atom.name}: its position is not a number")
    _check_unit(draft)
    for first, second in draft.pairs():
        _check_link(first, second)
    _check_handedness(draft)
    _check_cross_links(draft)
    for chain in draft.chains():
        _check_ends(chain)


def _check_unit(draft: Draft) -> None:
    """Refuse coordinates in another unit than that of the file's format, or that are all alike."""
    ends = ((residue.find("N"), residue.find("CA")) for residue in draft.residues)
    lengths = [n.distance(ca) for n, ca in ends if n is not None and ca is not None]
    if lengths and not _SHORTEST_N_CA < (typical := float(np.median(lengths))) < _LONGEST_N_CA:
        raise UnsupportedTopologyError(
            f"N and CA of its residues are {typical:.2g} nm apart (median), and bonded ones are 0.146: the coordinates "
            "are lost, or not in the unit of the file's format, which is ångström in .pdb and .cif and nanometre in "
            ".gro"
        )


def _check_link(first: DraftResidue, second: DraftResidue) -> None:
    c, n = first.find("C"), second.find("N")
    if c is None or n is None:
        residue, name = (first, "C") if c is None else (second, "N")
        raise UnsupportedTopologyError(f"{residue} has no atom {name}: its backbone has to be complete")
    if (distance := c.distance(n)) > _LONGEST_BOND:
        why = "residues are missing" if _is_jump(first, second) else "the chain is broken, or residues are missing"
        raise UnsupportedTopologyError(f"{first} C and {second} N are {distance:.2f} nm apart: {why}")


def _check_ends(chain: list[DraftResidue]) -> None:
    """Refuse formyl groups, and one amino acid both ends of which are free: amber14 has no parameters for them."""
    if chain[0].name == "FOR":
        raise UnsupportedTopologyError(
            f"{chain[0]} is a formyl cap, for which amber14 has no parameters: put ACE in its place"
        )
    if len(chain) == 1:
        raise UnsupportedTopologyError(
            f"{chain[0]} stands alone, and amber14 has no parameters for one residue with two free ends: a peptide "
            "needs at least two residues, or one and a cap, as ACE-A-NME has"
        )


def _check_cross_links(draft: Draft) -> None:
    """Refuse chains that are closed head to tail, and amides and esters of side chains.

    Only atoms that can form such a bond are looked at, since others may overlap in a structure to be minimised.
    """
    for chain in draft.chains():
        nucleophiles = [*_atoms(chain[:1], {chain[0].name: "N"}), *_atoms(chain, _NUCLEOPHILES)]
        carbonyls = [*_atoms(chain[-1:], {chain[-1].name: "C"}), *_atoms(chain, _CARBONYLS)]
        for first, a in nucleophiles:
            for second, b in carbonyls:
                if first is second or (distance := a.distance(b)) > _CROSS_LINK:
                    continue
                closed = (a.name, b.name) == ("N", "C")
                kind = "the chain is closed head to tail" if closed else "side chains are bonded to each other"
                raise UnsupportedTopologyError(
                    f"{first} {a.name} and {second} {b.name} are {distance:.2f} nm apart: {kind}, and only open chains "
                    "without cross-links are known"
                )


def _atoms(residues: list[DraftResidue], names: dict[str, str]) -> list[tuple[DraftResidue, DraftAtom]]:
    """The atom of each residue that is named for it, where both are there."""
    found = ((residue, residue.find(names[residue.name])) for residue in residues if residue.name in names)
    return [(residue, atom) for residue, atom in found if atom is not None]


def _is_jump(first: DraftResidue, second: DraftResidue) -> bool:
    """Whether residue numbers leave some out."""
    numbers = (first.number, second.number)
    return all(n.lstrip("-").isdigit() for n in numbers) and int(second.number) - int(first.number) > 1


def _check_handedness(draft: Draft) -> None:
    """Refuse D residues, and alloisoleucine and allothreonine, whatever their names."""
    listed: list[tuple[str, dict[str, int]]] = []
    points: list[np.ndarray] = []
    for residue in draft.residues:
        places = {atom.name: len(points) + k for k, atom in enumerate(residue.atoms)}
        listed.append((parent(residue.name) or residue.name, places))
        points += [atom.position for atom in residue.atoms]
    for number, what in Stereocentres.of(listed).epimers(np.array(points), doubt=_FLAT).items():
        raise UnsupportedTopologyError(f"{draft.residues[number]} is {what}; only the 20 usual L amino acids are known")
