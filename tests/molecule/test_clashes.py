"""Overlaps of atoms are lifted, and nothing else is changed."""

import numpy as np
import pytest
import torch

from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import relaxed
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.clashes import _ALLOWED, _contacts, _distances, relieve_clashes
from openmm_mdgen.molecule.template import AllAtomTemplate


@pytest.fixture(scope="module", params=["NWWG", "PIRY"])
def template(request):
    topology, positions = build_peptide(request.param, seed=1)
    return AllAtomTemplate.measure(ProteinChain.from_openmm(topology), relaxed(topology, positions))


def noisy(template, spread, n=60):
    """The structure's torsions with Gaussian noise (radian) on phi, psi and chi."""
    angles = torch.atan2(template.torsions[..., 0], template.torsions[..., 1]).float()
    noise = spread * torch.randn(n, *angles.shape, generator=torch.Generator().manual_seed(0))
    noise[..., 0] = 0
    noise[:, [letter == "P" for letter in template.chain.sequence], 3:] = 0  # rings are another module's matter
    return torch.stack([(angles + noise).sin(), (angles + noise).cos()], dim=-1)


def deepest(template, torsions):
    """(F,) ångström, measured atom by atom with numpy."""
    atoms = (template.place(template.chain_rigids(torsions), torsions) * 10).double().numpy()
    contact = _contacts(template).numpy()
    gaps = np.linalg.norm(atoms[:, :, None] - atoms[:, None], axis=-1)
    return (contact - gaps).reshape(len(atoms), -1).max(axis=1)


def test_frames_without_overlap_are_not_touched(template):
    torsions = noisy(template, 0.3)
    free_of_it = deepest(template, torsions) <= _ALLOWED - 0.01
    assert 3 < free_of_it.sum() < len(torsions)
    assert torch.equal(relieve_clashes(template, torsions)[free_of_it], torsions[free_of_it])


def test_most_overlaps_are_lifted(template):
    torsions = noisy(template, 0.5)
    before = deepest(template, torsions)
    after = deepest(template, relieve_clashes(template, torsions))
    clashed = before > _ALLOWED
    assert clashed.sum() > 15
    assert (after[clashed] <= 2 * _ALLOWED).mean() > 0.7
    assert after[clashed].mean() < 0.5 * before[clashed].mean()


def test_omega_and_the_ring_of_proline_stay(template):
    torsions = noisy(template, 0.8)
    relieved = relieve_clashes(template, torsions)
    torch.testing.assert_close(relieved[..., 0, :], torsions[..., 0, :], atol=1e-5, rtol=0)
    if template.chain.sequence[0] == "P":
        torch.testing.assert_close(relieved[:, 0, 3:5], torsions[:, 0, 3:5], atol=1e-5, rtol=0)


def test_pairs_within_three_bonds_do_not_count(template):
    contact = _contacts(template).numpy()
    for i, j in template.chain.bonds:
        assert contact[i, j] == contact[j, i] == 0
    assert (np.diag(contact) == 0).all() and (contact == contact.T).all() and contact.max() == 2.6


def test_the_relaxed_structure_and_its_distances(template):
    torsions = template.torsions.float()[None]
    distances = _distances(template, torsions)[0]
    assert float(distances.diagonal().max()) < 2e-3
    bonded = template.chain.bonds
    assert 0.9 < float(distances[bonded[:, 0], bonded[:, 1]].min())
