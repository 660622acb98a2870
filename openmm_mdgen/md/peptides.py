"""Peptides built from their sequences.

Positions are ``(n_atoms, 3)`` quantities in nanometre, angles in degrees.
"""

from __future__ import annotations

import io
import random

import numpy as np
from openmm import app, unit

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.geometry.residues import RESTYPES
from openmm_mdgen.md.protonation import with_hydrogens

# Backbone basins (phi, psi): both sides of the helices, sheet, polyproline, extended, bridge, inverse gamma turn.
_BASINS = ((-63, -42), (-120, 130), (-70, 145), (-140, 160), (-90, 0), (-80, 80))
_PROLINE_PHI = -65
_SPREAD = 12  # standard deviation within a basin


def build_peptide(sequence: str, *, seed: int = 0) -> tuple[app.Topology, unit.Quantity]:
    """Build a peptide with free termini, protonated for pH 7, in a conformation drawn at random.

    Each residue starts in a backbone basin drawn uniformly. Its atoms may still overlap: minimise before use.

    Parameters
    ----------
    sequence : str
        At least two one-letter codes.
    seed : int
        The same sequence and seed give the same structure.

    Returns
    -------
    topology : openmm.app.Topology
    positions : Quantity, (n_atoms, 3)

    Raises
    ------
    MDGenError
        If the sequence is shorter than two residues or has an unknown letter.

    Examples
    --------
    >>> topology, positions = build_peptide("AKLV", seed=7)
    >>> topology.getNumResidues()
    4
    """
    unknown = sorted(set(sequence) - set(RESTYPES))
    if unknown:
        raise MDGenError(f"{''.join(unknown)!r} in {sequence!r}: not among the 20 amino acids {RESTYPES}")
    if len(sequence) < 2:
        raise MDGenError(f"{sequence!r}: a peptide needs at least two residues")
    heavy = app.PDBFile(_heavy_atoms(sequence, random.Random(seed)))
    return with_hydrogens(heavy.topology, heavy.positions, seed)


def _heavy_atoms(sequence: str, rng: random.Random) -> io.StringIO:
    """A PDB text with all heavy atoms of the peptide."""
    import Bio.PDB
    import PeptideBuilder
    from PeptideBuilder import Geometry

    geometries, psi = [], 0.0
    for letter in sequence:
        geometry = Geometry.geometry(letter)
        basin_phi, basin_psi = rng.choice(_BASINS)
        geometry.phi = rng.gauss(_PROLINE_PHI if letter == "P" else basin_phi, _SPREAD)
        geometry.psi_im1 = psi
        psi = rng.gauss(basin_psi, _SPREAD)
        geometries.append(geometry)
    structure = PeptideBuilder.make_structure_from_geos(geometries)
    with np.errstate(invalid="ignore"):  # from a dihedral of exactly 180 degrees, which comes out right
        PeptideBuilder.add_terminal_OXT(structure)
    for residue in structure.get_residues():
        if residue.get_resname() == "LEU":  # PeptideBuilder has the two methyl groups' names the wrong way round
            first, second = residue["CD1"], residue["CD2"]
            positions = first.coord.copy(), second.coord.copy()
            second.set_coord(positions[0])
            first.set_coord(positions[1])
    text = io.StringIO()
    writer = Bio.PDB.PDBIO()
    writer.set_structure(structure)
    writer.save(text)
    text.seek(0)
    return text
