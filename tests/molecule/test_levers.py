"""Slopes of distances by torsions, against differences of chains that are built anew."""

import pytest
import torch

from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import relaxed
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.contacts import Pairs
from openmm_mdgen.molecule.levers import Levers
from openmm_mdgen.molecule.template import AllAtomTemplate

STEP = 1e-5  # radian


@pytest.mark.parametrize("name", ["RKWM", "ACE-YLP-NME", "ACE-E-NME"])
def test_slopes_are_those_of_finite_differences(name):
    topology, positions = build_peptide(name, seed=1)
    template = AllAtomTemplate.measure(ProteinChain.from_openmm(topology), relaxed(topology, positions))
    chain = template.chain
    free = chain.torsion_mask.double()
    free[:, 0] = 0
    free[[letter == "P" for letter in chain.sequence], 3:] = 0  # its ring is closed by more than torsions
    torsions = torch.stack([template.torsions, template.torsions.roll(1, 0) * 0.2 + template.torsions])
    torsions = torsions / torsions.norm(dim=-1, keepdim=True)

    def placed(torsions):
        return 10 * template.place(template.chain_rigids(torsions), torsions)

    levers = Levers.of(chain, free)
    assert len(levers.torsions) == free.sum()
    atoms = placed(torsions)
    n = atoms.shape[1]
    first, second = torch.triu_indices(n, n, 1)
    frame = torch.arange(2).repeat_interleave(len(first))
    pairs = Pairs(frame, first.repeat(2), second.repeat(2), torch.zeros(2 * len(first)))
    distance, slopes = levers.slopes(atoms, pairs)
    torch.testing.assert_close(distance, (atoms[frame, pairs.first] - atoms[frame, pairs.second]).norm(dim=-1))
    for k in range(len(levers.torsions)):
        turn = torch.zeros(2, len(levers.torsions), dtype=torch.float64)
        turn[:, k] = STEP
        ahead, behind = (levers.slopes(placed(levers.turned(torsions, t)), pairs)[0] for t in (turn, -turn))
        torch.testing.assert_close(slopes[:, k], (ahead - behind) / (2 * STEP), atol=1e-5, rtol=0)
    still = torch.ones(7 * len(chain.sequence), dtype=torch.bool)
    still[levers.torsions] = False
    turned = levers.turned(torsions, torch.full((2, len(levers.torsions)), 0.3, dtype=torch.float64))
    assert torch.equal(turned.flatten(1, 2)[:, still], torsions.flatten(1, 2)[:, still])
