"""Placing all atoms from rigids and torsions: what must not change does not, and what is asked for is what one gets."""

import mdtraj
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from openmm_mdgen.errors import CheckpointError
from openmm_mdgen.geometry import residues
from openmm_mdgen.geometry.atom14 import backbone_rigids, torsion_mask, torsions
from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.template import AllAtomTemplate
from structures import (
    ALL_RESIDUES,
    exchanged_methyls,
    ideal_structure,
    peptide,
    random_rigids,
    random_torsions,
    template_of,
)

SEEDS = st.integers(0, 10_000)


def decomposed(chain, positions):
    atoms = chain.atom14(positions)
    return backbone_rigids(atoms), torsions(torch.as_tensor(chain.aatype), atoms)


@settings(max_examples=20, deadline=None)
@given(st.text(ALL_RESIDUES, min_size=1, max_size=8), SEEDS)
def test_ideal_residues_give_back_the_ideal_tables(sequence, seed):
    topology, positions = ideal_structure(sequence, seed)
    template = AllAtomTemplate.measure(ProteinChain.from_openmm(topology), positions)
    aatype = template.chain.aatype
    exists = np.concatenate([np.ones((len(sequence), 4)), residues.CHI_MASK[aatype]], axis=1) > 0
    expected = residues.DEFAULT_FRAME[aatype][exists]
    np.testing.assert_allclose(template.default.rotation[exists], expected[:, :3, :3], atol=2e-3)
    np.testing.assert_allclose(template.default.translation[exists], expected[:, :3, 3], atol=2e-3)
    filled = template.chain.atom14_index >= 0
    ideal = residues.ATOM14_POSITION[aatype][filled]
    np.testing.assert_allclose(template.positions[:-1], ideal, atol=5e-3)  # without OXT
    np.testing.assert_allclose(template.place(*decomposed(template.chain, positions)), positions, atol=1e-6)


@pytest.mark.parametrize("sequence", [ALL_RESIDUES, "PGP", "AKLP"])
def test_the_structure_itself_is_given_back(sequence):
    template = template_of(sequence)
    _, positions = peptide(sequence)
    rigids, found = decomposed(template.chain, positions)
    np.testing.assert_allclose(template.place(rigids, found), positions, atol=1e-7)
    single = template.place(rigids.to(torch.float32), found.float())
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single, positions, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_mdtraj_measures_the_torsions_that_were_asked_for(seed):
    topology, _ = peptide(ALL_RESIDUES)
    template = template_of(ALL_RESIDUES)
    n = len(ALL_RESIDUES)
    asked = random_torsions(3, n, seed)
    placed = template.place(random_rigids(3, n, seed), asked)
    trajectory = mdtraj.Trajectory(placed.numpy(), mdtraj.Topology.from_openmm(topology))
    angle = torch.atan2(asked[..., 0], asked[..., 1]).numpy()
    for k, compute in enumerate((mdtraj.compute_chi1, mdtraj.compute_chi2, mdtraj.compute_chi3, mdtraj.compute_chi4)):
        atoms, measured = compute(trajectory)
        numbers = [trajectory.topology.atom(quadruple[1]).residue.index for quadruple in atoms]
        assert set(np.flatnonzero(residues.CHI_MASK[template.chain.aatype, k])) <= set(numbers)
        for column, i in enumerate(numbers):
            if residues.CHI_MASK[template.chain.aatype[i], k]:
                assert np.abs(np.sin((measured[:, column] - angle[:, i, 3 + k]) / 2)).max() < 5e-4  # mdtraj is float32
    backbone = template.chain.atom14_index[:, [0, 1, 2, 3]]
    psi = mdtraj.compute_dihedrals(trajectory, backbone) + np.pi
    assert np.abs(np.sin((psi - angle[..., 2]) / 2)).max() < 5e-4


def internal_pairs(topology):
    """Atom pairs one or two bonds apart, both bonds inside one residue; without the ring of PRO."""
    neighbours = {}
    bonds = []
    for a, b in topology.bonds():
        if a.residue is b.residue and not (a.residue.name == "PRO" and {a.name, b.name} == {"N", "CD"}):
            neighbours.setdefault(a, []).append(b)
            neighbours.setdefault(b, []).append(a)
            bonds.append((a.index, b.index))
    angles = [
        (a.index, c.index)
        for centre, around in neighbours.items()
        if centre.residue.name != "PRO"
        for a in around
        for c in around
        if a.index < c.index
    ]
    return np.array(bonds), np.array(angles)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_bond_lengths_and_angles_in_a_residue_do_not_depend_on_rigids_and_torsions(seed):
    topology, positions = peptide(ALL_RESIDUES)
    placed = template_of(ALL_RESIDUES).place(random_rigids(4, 20, seed), random_torsions(4, 20, seed)).numpy()
    for pairs in internal_pairs(topology):
        distances = [
            np.linalg.norm(x[..., pairs[:, 0], :] - x[..., pairs[:, 1], :], axis=-1) for x in (placed, positions)
        ]
        np.testing.assert_allclose(distances[0], np.broadcast_to(distances[1], distances[0].shape), atol=1e-7)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_every_placed_residue_is_the_l_amino_acid(seed):
    template = template_of(ALL_RESIDUES)
    chain = template.chain
    placed = template.place(random_rigids(3, 20, seed), random_torsions(3, 20, seed)).numpy()
    ends = placed[:, chain.atom14_index[0, 0]] - placed[:, chain.atom14_index[-1, 2]]  # N and C
    assume(np.linalg.norm(ends, axis=-1).min() > 0.2)  # nm; nearer, they are refused as ends that may be bonded
    for frame in placed:
        np.testing.assert_array_equal(chain.resolved(frame).atom14_index, chain.atom14_index)  # raises if mirrored
        n, ca, c, cb = (frame[chain.atom14_index[:, k]] for k in (0, 1, 2, 4))
        not_gly = chain.atom14_index[:, 4] >= 0
        improper = np.einsum("li,li->l", np.cross(n - ca, c - ca), cb - ca)[not_gly]
        assert (improper > 0).all()  # the CORN rule, seen from the side of CB


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.floats(0, 6))
def test_rings_of_proline_are_closed_and_keep_their_torsions(seed, degrees):
    template = template_of("PGP")
    _, positions = peptide("PGP")
    rigids, found = decomposed(template.chain, positions)
    generator = torch.Generator().manual_seed(seed)
    angle = torch.atan2(found[..., 0], found[..., 1])
    angle = angle + np.deg2rad(degrees) * (
        2 * torch.rand(5, *angle.shape, generator=generator, dtype=torch.float64) - 1
    )
    asked = torch.stack([angle.sin(), angle.cos()], dim=-1)
    rigids = Rigid(rigids.rotation.expand(5, 3, 3, 3), rigids.translation.expand(5, 3, 3))
    atoms = template.chain.atom14(template.place(rigids, asked).numpy())
    ring = atoms[:, [0, 2]]
    reference = template.chain.atom14(positions)[[0, 2]]
    for first, second in ((0, 6), (6, 5), (5, 4), (4, 1), (1, 0)):
        length = (reference[:, first] - reference[:, second]).norm(dim=-1)
        np.testing.assert_allclose(
            (ring[:, :, first] - ring[:, :, second]).norm(dim=-1), length.expand(5, 2), atol=1e-5
        )
    measured = torsions(torch.as_tensor(template.chain.aatype), atoms)
    np.testing.assert_allclose(measured[:, [0, 2], 3:5], asked[:, [0, 2], 3:5], atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_placed_atoms_move_with_the_rigids(seed):
    template = template_of("AKLP")
    rigids, asked = random_rigids(3, 4, seed), random_torsions(3, 4, seed)
    motion = random_rigids(1, 1, seed + 1)
    moved = motion[0].apply(10 * template.place(rigids, asked)) / 10
    np.testing.assert_allclose(template.place(motion @ rigids, asked), moved, atol=1e-9)


def test_pairs_without_direction_become_the_structures_own_and_undefined_ones_are_not_read():
    template = template_of("AKLP")
    rigids, asked = random_rigids(2, 4, 0), random_torsions(2, 4, 0)
    exists = torsion_mask(torch.as_tensor(template.chain.aatype))[..., None] > 0
    nothing = torch.where(exists, torch.zeros_like(asked), torch.full_like(asked, torch.nan))
    own = template.torsions.expand_as(asked)
    np.testing.assert_allclose(template.place(rigids, nothing), template.place(rigids, own), atol=1e-12)
    np.testing.assert_allclose(template.place(rigids, 7 * asked), template.place(rigids, asked), atol=1e-9)


def test_a_generated_nan_is_not_hidden():
    template = template_of("AKLP")
    asked = random_torsions(1, 4, 0)
    asked[0, 1, 3] = torch.nan
    lost = template.place(random_rigids(1, 4, 0), asked).isnan().any(-1)[0].numpy()
    assert set(template.chain.atom_residue[lost]) == {1}


def test_a_restored_template_places_bit_for_bit(tmp_path):
    topology, positions = peptide("AKLP")
    chain = ProteinChain.from_openmm(topology)
    template = AllAtomTemplate.measure(chain, positions)
    np.savez(tmp_path / "state.npz", **template.state())
    with np.load(tmp_path / "state.npz") as stored:
        restored = AllAtomTemplate.from_state(chain, dict(stored))
    rigids, asked = random_rigids(5, 4, 0).to(torch.float32), random_torsions(5, 4, 0).float()
    np.testing.assert_array_equal(restored.place(rigids, asked), template.place(rigids, asked))
    other = ProteinChain.from_openmm(peptide("PGP")[0])
    with pytest.raises(CheckpointError, match="another molecule"):
        AllAtomTemplate.from_state(other, template.state())


def test_files_that_swap_methyl_names_get_the_same_molecule_back():
    topology, positions = peptide("LV")
    exchange = exchanged_methyls(topology, [0, 1])
    chain = ProteinChain.from_openmm(topology)
    right = AllAtomTemplate.measure(chain, positions)
    swapped = AllAtomTemplate.measure(chain, positions[exchange])
    torch.testing.assert_close(swapped.torsions, right.torsions, rtol=0, atol=0)
    rigids, asked = random_rigids(3, 2, 0), random_torsions(3, 2, 0)
    np.testing.assert_allclose(swapped.place(rigids, asked), right.place(rigids, asked)[:, exchange], atol=1e-12)


@pytest.mark.parametrize("sequence", ["DPET", "PGA", "APP"])
def test_hydrogens_on_rings_of_proline_stay_in_their_places_in_the_other_pucker(sequence):
    template = template_of(sequence)
    chain, own = template.chain, template.torsions
    mirrored = own.clone()
    prolines = [k for k, letter in enumerate(sequence) if letter == "P"]
    mirrored[prolines, 3:5, 0] *= -1  # chi1 and chi2
    rigids = template.chain_rigids(own)
    names = {(int(r), name): k for k, (r, name) in enumerate(zip(chain.atom_residue, chain.atom_names, strict=True))}

    def angles(turned, residue):
        at = {
            name: template.place(rigids, turned)[names[residue, name]].numpy()
            for name in ("N", "CG", "CD", "HD2", "HD3")
        }
        arms = {name: (x - at["CD"]) / np.linalg.norm(x - at["CD"]) for name, x in at.items() if name != "CD"}
        pairs = [("N", "HD2"), ("N", "HD3"), ("CG", "HD2"), ("CG", "HD3")]
        return np.degrees([np.arccos(arms[a] @ arms[b]) for a, b in pairs])

    for residue in prolines:
        np.testing.assert_allclose(angles(mirrored, residue), angles(own, residue), atol=15)


@pytest.mark.parametrize("sequence", ["PGP", "PPA"])
def test_hydrogens_on_n_of_a_first_proline_follow_its_pucker(sequence):
    template = template_of(sequence)
    chain, own = template.chain, template.torsions
    phase = torch.arange(0, 2 * np.pi, np.pi / 10, dtype=torch.float64)
    puckers = torch.deg2rad(torch.stack([32 * phase.cos(), 37 * (phase + 0.8 * np.pi).cos()], dim=-1))  # chi1, chi2
    asked = own.repeat(len(phase), 1, 1, 1)
    asked[:, 0, 3:5] = torch.stack([puckers.sin(), puckers.cos()], dim=-1)
    names = [name if k == 0 else "" for k, name in zip(chain.atom_residue, chain.atom_names, strict=True)]
    corner = [names.index(name) for name in ("N", "CA", "CD", "H2", "H3")]

    def around_n(turned):
        n, *others = template.place(template.chain_rigids(turned), turned).numpy()[..., corner, :].swapaxes(0, -2)
        arms = np.stack(others) - n
        return np.linalg.norm(arms, axis=-1), arms / np.linalg.norm(arms, axis=-1, keepdims=True)

    lengths, found = around_n(asked)
    own_lengths, expected = around_n(own[None])
    np.testing.assert_allclose(lengths, np.broadcast_to(own_lengths, lengths.shape), atol=1e-4)
    for first, second, tolerance in ((0, 2, 1e-4), (0, 3, 1e-4), (2, 3, 1e-4), (1, 2, 6), (1, 3, 6)):  # degree
        angles, angle = (np.degrees(np.arccos((x[first] * x[second]).sum(-1))) for x in (found, expected))
        np.testing.assert_allclose(angles, np.broadcast_to(angle, angles.shape), atol=tolerance)
    for x in (found, expected):  # which hydrogen is on which side of the ring
        assert (
            np.sign(np.linalg.det(np.moveaxis(x[[1, 2, 3]], 0, -2))) == np.sign(np.linalg.det(expected[1:, 0]))
        ).all()
