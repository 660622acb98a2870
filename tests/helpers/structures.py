"""Topologies and structures for the tests: from lists of atom names, from ideal geometry, and real peptides."""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from openmm import Vec3, unit
from openmm.app import Element, Modeller, PDBFile, Topology
from scipy.spatial.transform import Rotation

from openmm_mdgen.geometry import residues
from openmm_mdgen.geometry.atom14 import atom14_from_rigids
from openmm_mdgen.geometry.rigid import Rigid, rotation_from_quaternion
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.template import AllAtomTemplate

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


# From an alanine at either end: atoms kept under a new name, and those that become hydrogens of that atom.
_CAP_ATOMS = {
    "ACE": ({"CA": "CH3", "C": "C", "O": "O"}, {"HA": "CH3", "CB": "CH3", "N": "CH3"}),
    "FOR": ({"C": "C", "O": "O"}, {"CA": "C"}),
    "NME": ({"N": "N", "H": "H", "CA": "C"}, {"HA": "C", "CB": "C", "C": "C"}),
    "NH2": ({"N": "N", "H": "HN1"}, {"CA": "N"}),
}


@cache
def capped_peptide(sequence, n_cap="ACE", c_cap="NME", *, seed=1):
    """Topology with hydrogens and positions (n, 3) nm: a peptide whose end residues were cut down to caps.

    Either cap may be None. Not to be changed.
    """
    built = ("A" if n_cap else "") + sequence + ("A" if c_cap else "")
    topology, positions = build_peptide(built, seed=seed)
    positions = positions.value_in_unit(unit.nanometer)
    members = list(topology.residues())
    new, place, xyz = Topology(), {}, []
    chain = new.addChain("A")
    for residue in members:
        cap = n_cap if residue is members[0] else c_cap if residue is members[-1] else None
        target = new.addResidue(cap or residue.name, chain)
        if cap is None:
            for atom in residue.atoms():
                place[atom] = new.addAtom(atom.name, atom.element, target)
                xyz.append(positions[atom.index])
            continue
        kept, turned = _CAP_ATOMS[cap]
        atoms = {atom.name: atom for atom in residue.atoms()}
        for old, name in kept.items():
            place[atoms[old]] = new.addAtom(name, atoms[old].element, target)
            xyz.append(positions[atoms[old].index])
        for number, (old, parent) in enumerate(turned.items(), start=1):
            carrier = next(atoms[k] for k, name in kept.items() if name == parent)
            start, away = positions[carrier.index], positions[atoms[old].index]
            place[atoms[old]] = new.addAtom(f"H{number}", Element.getBySymbol("H"), target)
            xyz.append(start + 0.109 * (away - start) / np.linalg.norm(away - start))
    for a, b in topology.bonds():
        if a in place and b in place:
            new.addBond(place[a], place[b])
    return new, np.array(xyz)


def dihedrals(positions, quadruples):
    """(..., k) radian by atan2 of the two normals, of atoms (k, 4) in positions (..., n, 3): Blondel, Karplus 1996."""
    a, b, c, d = (positions[..., np.array(quadruples)[:, k], :] for k in range(4))
    first, axis, last = a - b, b - c, d - c
    left, right = np.cross(first, axis), np.cross(last, axis)
    sin = (np.cross(right, left) * axis).sum(-1) / np.linalg.norm(axis, axis=-1)
    return np.arctan2(sin, (left * right).sum(-1))


def about(frame, origin, axis, angle, atoms):
    """Some atoms of a frame (n, 3) turned by `angle` radian about an axis through the origin given."""
    frame = frame.copy()
    turn = Rotation.from_rotvec(angle * axis / np.linalg.norm(axis))
    frame[atoms] = turn.apply(frame[atoms] - origin) + origin
    return frame


AWAY = np.array([3.0, 0.0, 0.0])  # nm


def molecules(*sequences, apart=AWAY, waters=0):
    """Topology and positions (N, 3) nm of peptides side by side, in chains A, B and so on, then waters."""
    modeller = Modeller(peptide(sequences[0])[0], peptide(sequences[0])[1] * unit.nanometer)
    for k, sequence in enumerate(sequences[1:], start=1):
        topology, positions = peptide(sequence)
        modeller.add(topology, (positions + k * np.asarray(apart)) * unit.nanometer)
    if waters:
        members = [("HOH", ["O", ("H1", "H"), ("H2", "H")])] * waters
        modeller.add(topology_of(members, "W"), [Vec3(-3, k, 0) for k in range(3 * waters)] * unit.nanometer)
    for letter, chain in zip("ABC", modeller.topology.chains(), strict=False):
        chain.id = letter
    return modeller.topology, np.array(modeller.positions.value_in_unit(unit.nanometer))


@cache
def villin():
    """Template and positions of villin's headpiece, 35 residues."""
    pdb = PDBFile(str(Path(__file__).parent.parent / "data" / "proteins" / "villin_hp35.pdb"))
    positions = np.array(pdb.positions.value_in_unit(unit.nanometer))
    return AllAtomTemplate.measure(ProteinChain.from_openmm(pdb.topology), positions), positions


def template_of(sequence):
    """The template of a peptide that is built and relaxed."""
    topology, positions = peptide(sequence)
    return AllAtomTemplate.measure(ProteinChain.from_openmm(topology), positions)
