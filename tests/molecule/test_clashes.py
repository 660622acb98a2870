"""Overlaps of atoms are lifted, and nothing else is changed."""

import numpy as np
import pytest
import torch

from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import relaxed
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.clashes import relieve_clashes, relieve_side_chains
from openmm_mdgen.molecule.contacts import ALLOWED, contacts
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
    contact = contacts(template.chain).numpy()
    gaps = np.linalg.norm(atoms[:, :, None] - atoms[:, None], axis=-1)
    return (contact - gaps).reshape(len(atoms), -1).max(axis=1)


def test_frames_without_overlap_are_not_touched(template):
    torsions = noisy(template, 0.3)
    free_of_it = deepest(template, torsions) <= ALLOWED - 0.01
    assert 3 < free_of_it.sum() < len(torsions)
    assert torch.equal(relieve_clashes(template, torsions)[free_of_it], torsions[free_of_it])


def test_most_overlaps_are_lifted(template):
    torsions = noisy(template, 0.5)
    before = deepest(template, torsions)
    after = deepest(template, relieve_clashes(template, torsions))
    clashed = before > ALLOWED
    assert clashed.sum() > 15
    assert (after[clashed] <= 2 * ALLOWED).mean() > 0.7
    assert after[clashed].mean() < 0.5 * before[clashed].mean()


def test_omega_and_the_ring_of_proline_stay(template):
    torsions = noisy(template, 0.8)
    relieved = relieve_clashes(template, torsions)
    torch.testing.assert_close(relieved[..., 0, :], torsions[..., 0, :], atol=1e-5, rtol=0)
    if template.chain.sequence[0] == "P":
        torch.testing.assert_close(relieved[:, 0, 3:5], torsions[:, 0, 3:5], atol=1e-5, rtol=0)


def test_pairs_within_three_bonds_do_not_count(template):
    contact = contacts(template.chain).numpy()
    for i, j in template.chain.bonds:
        assert contact[i, j] == contact[j, i] == 0
    assert (np.diag(contact) == 0).all() and (contact == contact.T).all() and contact.max() == 2.6


def test_rounding_of_torsions_does_not_grow(template):
    """Steps that swing about the place where an overlap ends take a small difference along."""
    torsions = noisy(template, 0.8)
    other = torsions + 1e-7 * torch.randn(torsions.shape, generator=torch.Generator().manual_seed(1))
    apart = (relieve_clashes(template, torsions) - relieve_clashes(template, other)).abs().flatten(1).amax(1)
    assert float(apart.quantile(0.9)) < 5e-6 and float(apart.max()) < 5e-5


def at_rigids(template, rigids, torsions):
    return (template.place(rigids, torsions) * 10).double().numpy()


def overlap(template, atoms):
    """(F,) ångström: the deepest overlap, measured with numpy."""
    gaps = np.linalg.norm(atoms[:, :, None] - atoms[:, None], axis=-1)
    return (contacts(template.chain).numpy() - gaps).reshape(len(atoms), -1).max(axis=1)


def test_side_chains_give_way_on_a_backbone_that_stays(template, monkeypatch):
    # Noise on the side chains alone: only overlaps that they can lift.
    torsions = noisy(template, 0.8)
    torsions[:, :, :3] = template.torsions[:, :3].to(torsions)
    rigids = template.chain_rigids(torsions)
    relieved = relieve_side_chains(template, rigids, torsions)
    torch.testing.assert_close(relieved[:, :, :3], torsions[:, :, :3], atol=1e-6, rtol=0)
    before, after = (overlap(template, at_rigids(template, rigids, t)) for t in (torsions, relieved))
    clashed = before > ALLOWED
    assert clashed.sum() > 10
    assert (after[clashed] <= 2 * ALLOWED).mean() > 0.6 and after[clashed].mean() < 0.5 * before[clashed].mean()
    assert torch.equal(relieved[torch.from_numpy(~clashed)], torsions[torch.from_numpy(~clashed)])
    if template.chain.sequence[0] == "P":
        torch.testing.assert_close(relieved[:, 0, 3:5], torsions[:, 0, 3:5], atol=1e-6, rtol=0)
    # A long chain is gone through a few frames at a time.
    monkeypatch.setattr("openmm_mdgen.molecule.contacts.PAIRS_AT_ONCE", 7 * template.chain.n_atoms**2)
    pieces = relieve_side_chains(template, rigids[:, None], torsions[:, None])
    torch.testing.assert_close(pieces[:, 0], relieved, atol=1e-4, rtol=0)
