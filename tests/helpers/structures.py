"""Topologies and structures for the tests: from lists of atom names, from ideal geometry, and real peptides."""

from functools import cache

import numpy as np
import torch
from openmm import unit
from openmm.app import Element, Topology

from openmm_mdgen.geometry import residues
from openmm_mdgen.geometry.atom14 import atom14_from_rigids
from openmm_mdgen.geometry.rigid import Rigid, rotation_from_quaternion
from openmm_mdgen.md.peptides import build_peptide

ALL_RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def heavy_names(sequence):
    """[(residue name, [heavy atom names])] of a chain with OXT."""
    names = [residues.ONE_TO_THREE[letter] for letter in sequence]
    chain = [(name, [atom for atom in residues.ATOM14_NAMES[name] if atom]) for name in names]
    chain[-1][1].append("OXT")
    return chain


def add_chain(topology, members, chain_id="A"):
    """Append a chain given as [(residue name, [atom names])]; an atom may be (name, element symbol or None)."""
    chain = topology.addChain(chain_id)
    for number, (name, atoms) in enumerate(members, start=1):
        residue = topology.addResidue(name, chain, str(number))
        for atom in atoms:
            atom, symbol = atom if isinstance(atom, tuple) else (atom, atom[0])
            topology.addAtom(atom, Element.getBySymbol(symbol) if symbol else None, residue)
    return chain


def topology_of(members, chain_id="A", *, bonds=True):
    topology = Topology()
    add_chain(topology, members, chain_id)
    if bonds:
        topology.createStandardBonds()
    return topology


def atom_named(topology, residue_number, name):
    """The atom of that name in the n-th residue (from 0) of the topology."""
    return next(atom for atom in list(topology.residues())[residue_number].atoms() if atom.name == name)


def exchanged_methyls(topology, numbers):
    """(n,) order of atoms in which the two methyl groups of some LEU and VAL (residue numbers from 0) change places."""
    order = np.arange(topology.getNumAtoms())
    for number in numbers:
        residue = list(topology.residues())[number]
        atoms = {atom.name: atom.index for atom in residue.atoms()}
        letter = {"LEU": "D", "VAL": "G"}[residue.name]
        for first, second in (("C{}1", "C{}2"), ("H{}11", "H{}21"), ("H{}12", "H{}22"), ("H{}13", "H{}23")):
            a, b = atoms[first.format(letter)], atoms[second.format(letter)]
            order[[a, b]] = b, a
    return order


def random_rigids(n_frames, n_residues, seed):
    generator = torch.Generator().manual_seed(seed)
    rotation = rotation_from_quaternion(torch.randn(n_frames, n_residues, 4, generator=generator, dtype=torch.float64))
    return Rigid(rotation, 10 * torch.randn(n_frames, n_residues, 3, generator=generator, dtype=torch.float64))


def random_torsions(n_frames, n_residues, seed):
    generator = torch.Generator().manual_seed(seed)
    angle = 2 * torch.pi * torch.rand(n_frames, n_residues, 7, generator=generator, dtype=torch.float64)
    return torch.stack([angle.sin(), angle.cos()], dim=-1)


def ideal_structure(sequence, seed):
    """Topology of heavy atoms and positions (n, 3) nm: ideal residues, each anywhere in space, random torsions."""
    aatype = torch.as_tensor(residues.aatype_from_sequence(sequence))
    rigids, torsions = random_rigids(1, len(sequence), seed), random_torsions(1, len(sequence), seed + 1)
    atoms = atom14_from_rigids(aatype, rigids, torsions)[0].numpy() / 10
    filled = residues.ATOM14_MASK[aatype.numpy()] > 0
    oxt = np.array([[1.0, 2.0, 3.0]])
    return topology_of(heavy_names(sequence)), np.concatenate([atoms[filled], oxt])


@cache
def peptide(sequence):
    """Topology with hydrogens and positions (n, 3) nm of a real peptide; not to be changed."""
    topology, positions = build_peptide(sequence, seed=1)
    return topology, np.array(positions.value_in_unit(unit.nanometer))
