"""Disulfides and rings stay closed in every frame that is handed out, whatever the network gives."""

import math
from functools import cache
from pathlib import Path

import numpy as np
import openmm
import pytest
import torch
from openmm import app, unit

from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.geometry.atom14 import backbone_rigids
from openmm_mdgen.geometry.rigid import Rigid, rotation_from_quaternion
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.nearest import nearest_chain
from openmm_mdgen.molecule.placement import BackboneFitted, BackboneFromTorsions
from openmm_mdgen.molecule.template import AllAtomTemplate
from structures import random_torsions

CGGC = Path(__file__).parent.parent / "data" / "cases" / "cggc.pdb"
N_FRAMES = 40


@cache
def bridged():
    pdb = app.PDBFile(str(CGGC))
    return pdb.topology, np.array(pdb.positions.value_in_unit(unit.nanometer))


@cache
def cyclic():
    """Seven residues closed head to tail, all atoms, minimised with amber14: topology, (N, 3) nm."""
    modeller = app.Modeller(*build_peptide("GAGSGAG", seed=2))
    atoms = list(modeller.topology.atoms())
    last = atoms[-1].residue
    modeller.delete([a for a in atoms if (a.residue.index == 0 and a.name in ("H2", "H3")) or a.name == "OXT"])
    atoms = list(modeller.topology.atoms())
    c = next(a for a in atoms if a.residue.index == last.index and a.name == "C")
    modeller.topology.addBond(c, next(a for a in atoms if a.name == "N"))
    system = app.ForceField("amber14-all.xml").createSystem(modeller.topology, nonbondedMethod=app.NoCutoff)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(modeller.positions)
    openmm.LocalEnergyMinimizer.minimize(context, 1.0, 2000)
    positions = context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    return modeller.topology, np.array(positions)


def template_of(molecule):
    topology, positions = molecule
    return AllAtomTemplate.measure(ProteinChain.from_openmm(topology), positions)


def generated(template, positions, kind, seed=0):
    """Rigids (1, F, L) and torsions as a network may give them: near the structure, or at random."""
    random = torch.Generator().manual_seed(seed)
    own = backbone_rigids(template.chain.atom14(positions))
    shape = (N_FRAMES, len(own.translation), 3)
    angles = torch.atan2(template.torsions[..., 0], template.torsions[..., 1]).expand(N_FRAMES, -1, -1)
    shift = torch.randn(shape, generator=random, dtype=torch.float64)
    turn = torch.randn(shape, generator=random, dtype=torch.float64)
    if kind == "near":
        quaternion = torch.cat([torch.ones_like(turn[..., :1]), math.radians(5) * turn], dim=-1)
        rigids = own.expand(*shape[:2]) @ Rigid(rotation_from_quaternion(quaternion), 0.3 * shift)
        angles = angles + 0.3 * torch.randn(angles.shape, generator=random, dtype=torch.float64)
        return rigids[None], torch.stack([angles.sin(), angles.cos()], dim=-1)[None]
    quaternion = torch.randn(*shape[:2], 4, generator=random, dtype=torch.float64)
    rigids = own.expand(*shape[:2]) @ Rigid(rotation_from_quaternion(quaternion), shift)
    return rigids[None], random_torsions(N_FRAMES, shape[1], seed).double()[None]


def assert_bonds(template, positions, atoms):
    """All bonds, those that close the chain among them, within 0.01 nm of the structure's."""
    bonds, own = template.chain.graph.bonds, positions[template.chain.atom_indices]
    lengths = np.linalg.norm(atoms[:, bonds[:, 0]] - atoms[:, bonds[:, 1]], axis=-1)
    expected = np.linalg.norm(own[bonds[:, 0]] - own[bonds[:, 1]], axis=-1)
    assert np.abs(lengths - expected).max() < 0.01


@pytest.mark.parametrize("backbone", [BackboneFitted(), BackboneFromTorsions()], ids=["fitted", "torsions"])
@pytest.mark.parametrize("kind", ["near", "random"])
@pytest.mark.parametrize("molecule", [bridged, cyclic])
def test_every_valid_frame_is_closed(molecule, kind, backbone):
    topology, positions = molecule()
    template = template_of((topology, positions))
    assert not template.chain.is_open
    placed = backbone.place(template, *generated(template, positions, kind))
    is_valid = placed.is_valid[0].numpy()
    assert is_valid.all()
    assert_bonds(template, positions, placed.atoms[0].numpy()[is_valid])


def test_the_angles_at_sulfur_stay_those_of_the_structure():
    topology, positions = bridged()
    template = template_of((topology, positions))
    placed = BackboneFitted().place(template, *generated(template, positions, "near"))
    named = {(atom.residue.index, atom.name): atom.index for atom in topology.atoms()}
    triples = [[named[a, "CB"], named[a, "SG"], named[b, "SG"]] for a, b in ((0, 3), (3, 0))]
    atoms = placed.atoms[0].numpy()[placed.is_valid[0].numpy()]

    def angle(xyz, triple):
        one, other = (xyz[..., triple[k], :] - xyz[..., triple[1], :] for k in (0, 2))
        cosine = (one * other).sum(-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(other, axis=-1)
        return np.degrees(np.arccos(cosine))

    for triple in triples:
        assert np.abs(angle(atoms, triple) - angle(positions, triple)).max() < 15


@pytest.mark.parametrize("molecule", [bridged, cyclic])
def test_the_structure_itself_is_given_back(molecule):
    topology, positions = molecule()
    template = template_of((topology, positions))
    own = backbone_rigids(template.chain.atom14(positions))[None]
    found = nearest_chain(template, own, template.torsions[None])
    assert found.is_valid.all()
    atoms = template.place(found.rigids, found.torsions)[0].numpy()
    # A peptide bond that the structure bends by more than 15 degrees is drawn back to these in open chains.
    assert np.abs(atoms - positions[template.chain.atom_indices]).max() < (0.001 if template.chain.is_cyclic else 0.01)


def test_a_template_that_was_stored_closes_its_chain():
    topology, positions = cyclic()
    template = template_of((topology, positions))
    again = AllAtomTemplate.from_state(template.chain, template.state())
    asked = generated(template, positions, "near")
    torch.testing.assert_close(
        BackboneFitted().place(again, *asked).atoms, BackboneFitted().place(template, *asked).atoms
    )


def test_bundled_weights_keep_a_disulfide_closed():
    """These place by torsions, and know nothing of the bond."""
    topology, positions = bridged()
    generator = TrajectoryGenerator.load(topology=topology, device="cpu")
    with pytest.warns(UserWarning, match="told nothing of disulfides .*CYS 1 to .*CYS 4"):
        trajectory = generator.rollout(topology, positions, 30, seed=1)
    first, second = (atom.index for atom in trajectory.topology.atoms if atom.name == "SG")
    length = np.linalg.norm(positions[first] - positions[second])
    assert np.abs(np.linalg.norm(trajectory.xyz[:, first] - trajectory.xyz[:, second], axis=-1) - length).max() < 0.02
