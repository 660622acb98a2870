"""Structures of peptides from files or sequences, and files of structures.

Positions are ``(n_atoms, 3)`` in nanometre.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from openmm import app, unit

from openmm_mdgen.arguments import require
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import replacing, require_file
from openmm_mdgen.geometry.residues import RESTYPES
from openmm_mdgen.md.hydrogens import with_hydrogens
from openmm_mdgen.md.peptides import BuiltPeptide
from openmm_mdgen.md.prepared import Prepared
from openmm_mdgen.md.systems import force_field, require_parameters
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.positions import as_topology, in_nanometre

_PDB_SUFFIXES = {".pdb", ".ent"}


def load_structure(source: str | Path, *, seed: int = 0) -> tuple[app.Topology, unit.Quantity]:
    """Read a PDB file, or build a peptide from its sequence.

    Parameters
    ----------
    source : str or Path
        A file name that ends in .pdb or .ent, or a sequence of one-letter codes.
    seed : int
        Seed of where missing hydrogens are put, or of `build_peptide`.

    Returns
    -------
    topology : openmm.app.Topology
        Of a file that lacks nothing, its atoms with their names and order.
    positions : Quantity, (n_atoms, 3)

    Raises
    ------
    UnsupportedTopologyError
        If heavy atoms are missing, or the model or the force field does not know what the file holds.
    MDGenError
        If `source` is neither a file nor a sequence.
    """
    found = structure_of(source, seed=seed)
    return found.topology, found.positions * unit.nanometer


def structure_of(source: str | Path, *, seed: int = 0) -> Prepared:
    """What `load_structure` reads or builds, which can be minimised; parameters and errors are the same."""
    require("source", source, isinstance(source, str | Path), "the name of a PDB file, or a sequence such as AKLV")
    if Path(source).suffix.lower() in _PDB_SUFFIXES:
        return _read_pdb(Path(source), seed)
    if isinstance(source, str) and source and set(source) <= set(RESTYPES):
        return BuiltPeptide.of(source, seed=seed)
    raise MDGenError(
        f"{str(source)!r} is neither a PDB file (its name ends in .pdb) nor a sequence of one-letter codes "
        f"out of {RESTYPES}"
    )


def write_pdb(path: str | Path, topology: app.Topology, positions: np.ndarray) -> None:
    """Write one structure as a PDB file that appears whole, with the names and numbers of its residues.

    Parameters
    ----------
    path : str or Path
    topology : openmm.app.Topology or mdtraj.Topology
    positions : (n_atoms, 3) array in nm, or Quantity

    Raises
    ------
    MDGenError
        If there are not as many positions as atoms, or one is not finite.
    """
    topology, positions = as_topology(topology), in_nanometre("positions", positions)
    if positions.shape != (topology.getNumAtoms(), 3) or not np.isfinite(positions).all():
        raise MDGenError(
            f"positions have shape {positions.shape} for {topology.getNumAtoms()} atoms, or are not finite: give "
            "(atoms, 3) finite numbers in nm"
        )
    with replacing(path) as temporary, open(temporary, "w") as file:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file, keepIds=True)


def _read_pdb(path: Path, seed: int) -> Prepared:
    require_file(path)
    try:
        pdb = app.PDBFile(str(path))
    except Exception as error:  # the reader raises whatever the malformed field provokes
        raise MDGenError(f"{path} cannot be read as a PDB file: {error}") from error
    topology, positions = pdb.topology, pdb.getPositions(asNumpy=True)
    ProteinChain.from_openmm(topology)  # names missing heavy atoms, which hydrogens must not be added to
    if force_field().getUnmatchedResidues(topology):
        topology, positions = with_hydrogens(topology, positions, seed)
        require_parameters(topology)
    return Prepared(topology, np.array(positions.value_in_unit(unit.nanometer)), ())
