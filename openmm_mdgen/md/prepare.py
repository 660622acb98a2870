"""Preparation of the structures that a command is given.

A file is read as a `Draft` and changed step by step until amber14 with GBn2 has parameters for all of it: what does not
belong to a protein chain is removed, names become those of the PDB, and heavy atoms and hydrogens that are missing are
added. Each step is a function that changes the draft and returns a note, one line, for each kind of change. What cannot
be mended is refused: gaps, D residues, nucleic acids, and whatever is bonded to the chain. Positions are in nanometre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openmm_mdgen.arguments import between, require
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import require_file
from openmm_mdgen.md.completion import add_heavy_atoms
from openmm_mdgen.md.hydrogens import protonate
from openmm_mdgen.md.own_fields import is_topology_file, prepare_in_own_field
from openmm_mdgen.md.peptides import BuiltPeptide, CappedSequence
from openmm_mdgen.md.prepared import Prepared
from openmm_mdgen.md.readers import kind_of, read_draft, stem_of
from openmm_mdgen.md.recognition import (
    join_bonded,
    keep_protein,
    missing_residues,
    replace_at_starts,
    require_one_chain,
    split_chains,
    standard_names,
)
from openmm_mdgen.md.soundness import check_chains, make_whole
from openmm_mdgen.md.systems import require_parameters
from openmm_mdgen.seeds import valid_seed

NEUTRAL_PH = 7.0
_TRAJECTORIES = (".dcd", ".xtc", ".trr", ".nc", ".h5", ".netcdf", ".mdcrd", ".lammpstrj")
_POSITIONS = (".rst7", ".inpcrd", ".restrt", ".crd", ".cor")
_KNOWN = "those end in .pdb, .ent, .cif, .mmcif or .gro (each also with .gz), .prmtop, .parm7 or .psf"


@dataclass(frozen=True)
class Source:
    """A structure file with the files that belong to it, or a sequence.

    Parameters
    ----------
    name : str
        The file, or the sequence; see `prepare`.
    positions : Path, optional
        File of the positions for AMBER's and CHARMM's topologies; see `prepare_in_own_field`.
    parameters : tuple of Path
        CHARMM's parameter files.
    """

    name: str
    positions: Path | None = None
    parameters: tuple[Path, ...] = ()

    @property
    def is_file(self) -> bool:
        """Whether it is a structure file by its name."""
        return kind_of(Path(self.name)) is not None or self.has_own_field

    @property
    def has_own_field(self) -> bool:
        """Whether it is a topology that brings its force field."""
        return is_topology_file(Path(self.name))

    @property
    def stem(self) -> str:
        """The name of the file without its suffixes, or the sequence in upper case."""
        own = Path(self.name).stem if self.has_own_field else stem_of(Path(self.name))
        return own or self.name.upper()

    def prepared(self, *, ph: float = NEUTRAL_PH, seed: int = 0, each_chain: bool = False) -> Prepared:
        """The structure with all atoms; see `prepare`."""
        return prepare(
            self.name,
            positions=self.positions,
            parameters=self.parameters,
            ph=ph,
            seed=seed,
            each_chain=each_chain,
        )


def prepare(
    source: str | Path,
    *,
    positions: Path | None = None,
    parameters: Sequence[Path] = (),
    ph: float = NEUTRAL_PH,
    seed: int = 0,
    each_chain: bool = False,
) -> Prepared:
    """Read a structure file and complete it, or build a peptide from its sequence.

    Parameters
    ----------
    source : str or Path
        A file name that ends in .pdb, .ent, .cif, .mmcif or .gro (or these with .gz), or a sequence as `build_peptide`
        takes it. A file that lacks nothing keeps its atoms, their names and order. AMBER's .prmtop and CHARMM's .psf
        take a second file, of positions.
    positions : Path, optional
        File of the positions for AMBER's and CHARMM's topologies; see `prepare_in_own_field`.
    parameters : sequence of Path
        CHARMM's parameter files.
    ph : float
        pH for which hydrogens are added where neither a residue's name nor its hydrogens say how it is protonated.
    seed : int
        Seed of places of atoms that are added, or of `build_peptide`.
    each_chain : bool
        Take several protein chains; by default they are refused.

    Returns
    -------
    Prepared

    Raises
    ------
    UnsupportedTopologyError
        If the file holds no protein, or what cannot be mended.
    MDGenError
        If `source` is neither a file nor a sequence, or cannot be read.
    """
    require("source", source, isinstance(source, str | Path), "a structure file, or a sequence such as AKLV")
    ph, seed = between("ph", ph, 0, 14), valid_seed(seed)
    if is_topology_file(Path(source)):
        require_file(source)
        if positions is None:
            raise MDGenError(
                f"{source} holds no positions, and brings its own force field: give the file of its positions, such "
                "as --positions x.rst7"
            )
        return prepare_in_own_field(Path(source), positions, parameters, each_chain=each_chain)
    if positions is not None or parameters:
        raise MDGenError(
            f"{source}: --positions and --parameters go with AMBER's .prmtop and CHARMM's .psf files alone"
        )
    if kind_of(Path(source)) is None:
        return _built(str(source), ph, seed)
    draft, notes = read_draft(Path(source))
    notes += keep_protein(draft)
    notes += standard_names(draft)
    notes += join_bonded(draft)
    notes += split_chains(draft)
    notes += replace_at_starts(draft)
    if not each_chain:
        require_one_chain(draft, notes)
    notes += missing_residues(draft)
    notes += make_whole(draft)
    check_chains(draft)
    notes += add_heavy_atoms(draft, seed)
    topology, xyz, more = protonate(draft, ph=ph, seed=seed)
    require_parameters(topology)
    return Prepared(topology, xyz, (*notes, *more))


def _refuse_other_files(source: str) -> None:
    """Refuse what is a file or a folder, but no structure file by its name."""
    path = Path(source)
    if source and path.is_dir():
        raise MDGenError(f"{source} is a folder: name a structure file in it, or a sequence such as AKLV")
    if path.suffix.lower() in _TRAJECTORIES:
        raise MDGenError(
            f"{source} is neither a PDB file nor a sequence, but a trajectory by its name: give one structure, such as "
            "the PDB file of its topology"
        )
    if path.suffix.lower() in _POSITIONS:
        raise MDGenError(
            f"{source} holds positions without a topology: give the topology, with this file as --positions {source}"
        )
    if path.suffix or (source and path.is_file()):
        raise MDGenError(f"{source}: its name is not that of a structure file: {_KNOWN}")


def _built(source: str, ph: float, seed: int) -> Prepared:
    try:
        CappedSequence.parse(source)
    except MDGenError as error:
        _refuse_other_files(source)
        raise MDGenError(
            f"{source!r} is neither a PDB file (.pdb), nor another file of a structure (.cif, .gro), nor a sequence of "
            f"one-letter codes such as AKLV or ACE-AKLV-NME ({error})"
        ) from error
    return BuiltPeptide.of(source, ph=ph, seed=seed)
