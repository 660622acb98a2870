"""Real MD through tokens and back, with chains built from their torsions."""

import numpy as np
import pytest
import torch
from openmm import LangevinMiddleIntegrator, LocalEnergyMinimizer, Platform, app, unit

from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import implicit_system
from openmm_mdgen.model.tokens import Frames, Tokenizer
from openmm_mdgen.molecule.backbone import laid_over
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.proline import limit_puckers
from openmm_mdgen.molecule.template import AllAtomTemplate


@pytest.fixture(scope="module", params=["ARNDC", "QEGHI", "LKMFP", "STWYV", "PPGP"])
def real_md(request):
    """A topology, its minimised positions, and 8 frames of 350 K dynamics, nm."""
    topology, positions = build_peptide(request.param, seed=3)
    integrator = LangevinMiddleIntegrator(350 * unit.kelvin, 5 / unit.picosecond, 0.002 * unit.picosecond)
    integrator.setRandomNumberSeed(1)
    platform = Platform.getPlatformByName("CPU")
    simulation = app.Simulation(topology, implicit_system(topology), integrator, platform, {"Threads": "1"})
    simulation.context.setPositions(positions)
    LocalEnergyMinimizer.minimize(simulation.context)
    frames = [_positions(simulation)]
    simulation.context.setVelocitiesToTemperature(350, 1)
    for _ in range(8):
        simulation.step(50)
        frames.append(_positions(simulation))
    return topology, frames[0], np.array(frames[1:])


def _positions(simulation):
    return simulation.context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.nanometer)


def round_trip(topology, minimised, frames):
    template = AllAtomTemplate.measure(ProteinChain.from_openmm(topology), minimised)
    chain = template.chain
    aatype = torch.as_tensor(chain.aatype)[None]
    original = Frames.from_atom14(aatype, chain.atom14(frames)[None])
    tokenizer = Tokenizer(shift=(0.1,) * 21, scale=(0.7,) * 21)
    rigids, torsions = tokenizer.decode(tokenizer.encode(original), original.rigids[:, 0])
    rigids = laid_over(template.chain_rigids(torsions), rigids)
    placed = np.zeros_like(frames)
    placed[:, chain.atom_indices] = template.place(rigids, limit_puckers(template, torsions))[0].numpy()
    return chain, original, Frames.from_atom14(aatype, chain.atom14(placed)[None]), placed


def test_every_torsion_of_real_md_survives(real_md):
    _, original, again, _ = round_trip(*real_md)
    exists = original.torsion_mask[0].bool()

    def angles(frames):
        return torch.atan2(frames.torsions[0, ..., 0], frames.torsions[0, ..., 1])[:, exists]

    difference = angles(again) - angles(original)
    assert torch.remainder(difference + torch.pi, 2 * torch.pi).sub(torch.pi).abs().max() < 1e-4


def test_heavy_atoms_of_real_md_come_back_near(real_md):
    chain, _, _, placed = round_trip(*real_md)
    heavy = chain.atom14_index[chain.atom14_index >= 0]
    rmsd = np.sqrt(((placed - real_md[2])[:, heavy] ** 2).sum(-1).mean(-1))
    assert rmsd.mean() < 0.07 and rmsd.max() < 0.15  # bond angles of one structure stand for those of all


def test_every_bond_has_the_length_of_the_structure(real_md):
    topology, minimised, _ = real_md
    *_, placed = round_trip(*real_md)
    for bond in topology.bonds():
        i, j = bond.atom1.index, bond.atom2.index
        length = np.linalg.norm(placed[:, i] - placed[:, j], axis=-1)
        assert np.abs(length - np.linalg.norm(minimised[i] - minimised[j])).max() < 0.002, bond
