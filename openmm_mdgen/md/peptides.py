"""Peptides built from their sequences, with free or capped ends.

A *cap* is a small group at an end of the chain: ACE before the first residue, NME or NH2 after the last. Positions are
``(n_atoms, 3)`` quantities in nanometre, angles in degrees.
"""

from __future__ import annotations

import io
import random
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from openmm import app, unit

from openmm_mdgen.arguments import between, require
from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.geometry.residues import ONE_TO_THREE, RESTYPES, THREE_TO_ONE
from openmm_mdgen.md.drafts import Draft
from openmm_mdgen.md.hydrogens import protonate
from openmm_mdgen.md.prepared import Prepared
from openmm_mdgen.md.systems import require_parameters
from openmm_mdgen.molecule.names import CAP_ALIASES
from openmm_mdgen.seeds import seed_of_try, valid_seed

if TYPE_CHECKING:
    import Bio.PDB

# Backbone basins (phi, psi): both sides of the helices, sheet, polyproline, extended, bridge, inverse gamma turn.
_BASINS = ((-63, -42), (-120, 130), (-70, 145), (-140, 160), (-90, 0), (-80, 80))
_PROLINE_PHI = -65
_SPREAD = 12  # standard deviation within a basin
_MOST_TRIES = 10

_N_CAPS, _C_CAPS = ("ACE",), ("NME", "NH2")  # those that amber14 has parameters for


@dataclass(frozen=True)
class CappedSequence:
    """One-letter codes, and the caps of both ends where there are any."""

    letters: str
    n_cap: str | None = None
    c_cap: str | None = None

    @classmethod
    def parse(cls, text: str) -> CappedSequence:
        """Read a sequence such as ``AKLV``, ``aklv`` or ``ACE-AKLV-NME``.

        Parameters
        ----------
        text : str
            One-letter codes, all in upper or all in lower case, with caps by hyphens.

        Raises
        ------
        MDGenError
            If a letter or a cap is not known, cases are mixed, or the chain is too short.
        """
        cls._refuse_three_letter_codes(text)
        parts = text.split("-")
        is_first_cap = len(parts) == 3 or (len(parts) == 2 and parts[0].upper() in CAP_ALIASES)
        n_cap = cls._cap(parts.pop(0), _N_CAPS, text) if is_first_cap else None
        c_cap = cls._cap(parts.pop(), _C_CAPS, text) if len(parts) == 2 else None
        if len(parts) > 1:
            raise MDGenError(f"{text!r}: hyphens part caps from the sequence, as in ACE-AKLV-NME")
        letters = parts[0]
        if letters.upper() != letters and letters.lower() != letters:
            raise MDGenError(
                f"{text!r} mixes upper and lower case, by which some mean D residues: only L residues are known, so "
                "write all letters in one case"
            )
        unknown = sorted(set(letters.upper()) - set(RESTYPES))
        if unknown:
            raise MDGenError(f"{''.join(unknown)!r} in {text!r}: not among the 20 amino acids {RESTYPES}")
        if len(letters) < 2 - bool(n_cap or c_cap):
            raise MDGenError(f"{text!r}: a peptide needs at least two residues, or one and a cap")
        return cls(letters.upper(), n_cap, c_cap)

    @property
    def may_be_meant_otherwise(self) -> str:
        """What the letters may have been meant for: a residue, where they are its three-letter code, such as ALA."""
        return THREE_TO_ONE.get(self.letters, "")

    @staticmethod
    def _refuse_three_letter_codes(text: str) -> None:
        words = re.split(r"[-\s]+", text.strip().upper())
        codes = [word for word in words if word in THREE_TO_ONE]
        if len(codes) > 1 and all(word in THREE_TO_ONE or word in CAP_ALIASES for word in words):
            letters = "".join(map(THREE_TO_ONE.__getitem__, codes))
            caps = ["" if word in THREE_TO_ONE else word for word in (words[0], words[-1])]
            meant = "-".join(filter(None, (caps[0], letters, caps[1])))
            raise MDGenError(f"{text!r} is written in three-letter codes: write one-letter codes, {meant}")

    @staticmethod
    def _cap(name: str, known: tuple[str, ...], text: str) -> str:
        cap = CAP_ALIASES.get(name.upper())
        if cap not in known:
            raise MDGenError(
                f"{name!r} in {text!r}: not a cap of that end ({' or '.join(known)}); ACE comes first, NME or NH2 last"
            )
        return cap


def build_peptide(sequence: str, *, ph: float = 7.0, seed: int = 0) -> tuple[app.Topology, unit.Quantity]:
    """Build a peptide in a conformation drawn at random.

    Each residue starts in a backbone basin drawn uniformly. Its atoms may still overlap: minimise before use. Now and
    then minimising turns a residue into its mirror image, which `relaxed` refuses: `BuiltPeptide` builds anew then.

    Parameters
    ----------
    sequence : str
        At least two one-letter codes, or one and a cap; all in upper or all in lower case. Ends are free but for caps,
        which are written with hyphens: ``"ACE-A-NME"``, ``"ACE-AKLV-NH2"``.
    ph : float
        pH for which residues are protonated.
    seed : int
        The same sequence and seed give the same structure.

    Returns
    -------
    topology : openmm.app.Topology
    positions : Quantity, (n_atoms, 3)

    Raises
    ------
    MDGenError
        If the sequence is too short, or has an unknown letter or cap.

    Examples
    --------
    >>> topology, positions = build_peptide("AKLV", seed=7)
    >>> topology.getNumResidues()
    4
    """
    require("sequence", sequence, isinstance(sequence, str), "one-letter codes such as 'AKLV' or 'ACE-AKLV-NME'")
    ph, seed = between("ph", ph, 0, 14), valid_seed(seed)
    read = CappedSequence.parse(sequence)
    if read.may_be_meant_otherwise:
        spelt = "-".join(ONE_TO_THREE[letter] for letter in read.letters)
        warnings.warn(
            f"{sequence!r} is read letter by letter, as {spelt}: for one residue of that name write "
            f"{read.may_be_meant_otherwise} and its caps, such as ACE-{read.may_be_meant_otherwise}-NME",
            stacklevel=2,
        )
    heavy = app.PDBFile(_heavy_atoms(read, random.Random(seed)))
    draft = Draft.of(heavy.topology, heavy.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
    topology, positions, _ = protonate(draft, ph=ph, seed=seed)
    require_parameters(topology)
    return topology, positions * unit.nanometer


@dataclass(frozen=True, eq=False)
class BuiltPeptide(Prepared):
    """A peptide that was built from its sequence, and is built anew where its start comes out wrong.

    Atoms of built structures overlap now and then. Minimising such a structure can push them through each other, which
    turns a residue into its mirror image, or a peptide bond from trans to cis. Then the peptide is built from another
    seed, which depends on the given one and the number of the try alone (`seeds.seed_of_try`); a warning says so.
    """

    sequence: str
    ph: float
    first_seed: int  # as given
    tries: int = 1  # how many times it was built

    @classmethod
    def of(cls, sequence: str, *, ph: float = 7.0, seed: int = 0, tries: int = 1) -> BuiltPeptide:
        """Build it; parameters and errors as in `build_peptide`, of whose structures this is the `tries`-th."""
        topology, positions = build_peptide(sequence, ph=ph, seed=seed_of_try(seed, tries - 1))
        return cls(topology, positions.value_in_unit(unit.nanometer), (), sequence, ph, seed, tries)

    @property
    def seed(self) -> int:
        """The seed from which this structure was built."""
        return seed_of_try(self.first_seed, self.tries - 1)

    def at_try(self, tries: int) -> BuiltPeptide:
        """The structure of another try."""
        if tries == self.tries:
            return self
        return BuiltPeptide.of(self.sequence, ph=self.ph, seed=self.first_seed, tries=tries)

    def fault(self, positions: np.ndarray) -> str:
        """What is wrong with a start; a peptide is built with trans peptide bonds alone."""
        wrong = self.stereochemistry
        return "; ".join(wrong.mirrored(positions) + wrong.not_trans(positions))

    def drawn_anew(self, fault: str) -> BuiltPeptide:
        """The next structure; raises `StateError` after ten that came out wrong."""
        if self.tries == _MOST_TRIES:
            raise StateError(
                f"{self.sequence}, seed {self.first_seed}: none of {_MOST_TRIES} structures that were built can be "
                f"used, in the last one {fault}: give another seed, or a structure file"
            )
        other = self.at_try(self.tries + 1)
        warnings.warn(
            f"{self.sequence}, seed {self.seed}: minimised, {fault}, since atoms of the built structure were in each "
            f"other's way; it is built anew from seed {other.seed}",
            stacklevel=2,
        )
        return other


def _heavy_atoms(sequence: CappedSequence, rng: random.Random) -> io.StringIO:
    """A PDB text with all heavy atoms of the peptide; caps are cut from a glycine more at that end."""
    import Bio.PDB
    import PeptideBuilder
    from PeptideBuilder import Geometry

    geometries, psi = [], 0.0
    letters = "G" * bool(sequence.n_cap) + sequence.letters + "G" * bool(sequence.c_cap)
    for letter in letters:
        geometry = Geometry.geometry(letter)
        basin_phi, basin_psi = rng.choice(_BASINS)
        geometry.phi = rng.gauss(_PROLINE_PHI if letter == "P" else basin_phi, _SPREAD)
        geometry.psi_im1 = psi
        psi = rng.gauss(basin_psi, _SPREAD)
        geometries.append(geometry)
    structure = PeptideBuilder.make_structure_from_geos(geometries)
    if sequence.c_cap is None:
        with np.errstate(invalid="ignore"):  # from a dihedral of exactly 180 degrees, which comes out right
            PeptideBuilder.add_terminal_OXT(structure)
    for residue in structure.get_residues():
        if residue.get_resname() == "LEU":  # PeptideBuilder has the two methyl groups' names the wrong way round
            first, second = residue["CD1"], residue["CD2"]
            positions = first.coord.copy(), second.coord.copy()
            second.set_coord(positions[0])
            first.set_coord(positions[1])
    residues = list(structure.get_residues())
    if sequence.n_cap is not None:
        _cut(residues[0], sequence.n_cap, {"CA": "CH3", "C": "C", "O": "O"})
    if sequence.c_cap is not None:
        _cut(residues[-1], sequence.c_cap, {"N": "N", "CA": "C"} if sequence.c_cap == "NME" else {"N": "N"})
    text = io.StringIO()
    writer = Bio.PDB.PDBIO()
    writer.set_structure(structure)
    writer.save(text)
    text.seek(0)
    return text


def _cut(residue: Bio.PDB.Residue.Residue, name: str, atoms: dict[str, str]) -> None:
    """Make a cap of a glycine: it keeps some atoms, under other names."""
    residue.resname = name
    for atom in list(residue):
        if atom.name in atoms:
            atom.name, atom.fullname = atoms[atom.name], f" {atoms[atom.name]:<3}"
        else:
            residue.detach_child(atom.id)
