"""Backbones of fitted chains give way where atoms overlap, by little, and hold together."""

import math

import numpy as np
import pytest
import torch

from openmm_mdgen.geometry.atom14 import backbone_rigids
from openmm_mdgen.geometry.bonds import TOO_CLOSE
from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.molecule.backbone import laid_over
from openmm_mdgen.molecule.blending import Geometries
from openmm_mdgen.molecule.contacts import close_pairs, contacts
from openmm_mdgen.molecule.fitting import OMEGA_REACH
from openmm_mdgen.molecule.hinges import Articulated, Geometry, Poses, wrapped
from openmm_mdgen.molecule.nearest import nearest_apart, nearest_between, nearest_chain
from openmm_mdgen.molecule.overlaps import Overlaps, nodes_of
from openmm_mdgen.molecule.placement import BackboneFitted
from openmm_mdgen.molecule.skeleton import Skeleton, planar_omega
from openmm_mdgen.molecule.template import AllAtomTemplate
from structures import template_of, villin

OMEGA, PHI, PSI = range(3)


def articulated(template, rigids, torsions):
    """The chain with its hinges."""
    own = Skeleton.of(template).each(None)
    geometry = Geometry(Poses.of(own.steps), own.atoms.movedim(0, -1))
    return Articulated.through(Poses.of(rigids), geometry, lambda angles: angles, torsions.new_zeros(0, len(torsions)))


def turned(template, degrees, n, seed=0):
    """(n, L, 7, 2) torsions of the structure with noise on those of the backbone."""
    random = torch.Generator().manual_seed(seed)
    angles = torch.atan2(template.torsions[..., 0], template.torsions[..., 1]).expand(n, -1, -1).clone()
    angles[..., :3] += math.radians(degrees) * torch.randn(*angles.shape[:2], 3, generator=random, dtype=torch.float64)
    return torch.stack([angles.sin(), angles.cos()], dim=-1)


def squeezed(share, n=12):
    """Villin's rigids, each frame drawn together about its middle and shaken."""
    template, positions = villin()
    own = backbone_rigids(template.chain.atom14(positions))
    centre = own.translation.mean(0)
    noise = 0.2 * torch.randn(n, 35, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return Rigid(own.rotation.expand(n, -1, -1, -1), centre + share * (own.translation - centre) + noise)


def deepest(template, near):
    """(F,) nm by which atoms are nearer than the gate allows, measured with numpy."""
    return deepest_of(template.place(near.rigids, near.torsions), template.chain)


def deepest_of(placed, chain):
    """The same of atoms (F, n, 3) in nm."""
    atoms = placed.numpy()
    limit = np.array(TOO_CLOSE)[chain.is_hydrogen[:, None].astype(int) + chain.is_hydrogen[None]]
    limit[chain.graph.near()] = 0
    return np.array([(limit - np.linalg.norm(x[:, None] - x[None], axis=-1)).max() for x in atoms])


@pytest.mark.parametrize("sequence", ["AKPVGW", "ACE-PIRY-NME"])
def test_atoms_stay_where_they_are_in_their_nodes(sequence):
    """Of two chains that differ in the backbone alone, one is placed by the nodes of the other's atoms."""
    template = template_of(sequence)
    length = len(template.chain.sequence)
    torsions = turned(template, 40, 2)
    # The last psi, and what a cap before the first residue turns by, are no hinges.
    torsions[:, -1, PSI], torsions[:, 0, : PHI + 1] = template.torsions[-1, PSI], template.torsions[0, : PHI + 1]
    rigids = template.chain_rigids(torsions)
    atoms = template.place(rigids, torsions) * 10
    one, other = (articulated(template, rigids[k : k + 1], torsions[k : k + 1]) for k in range(2))
    nodes = nodes_of(template.chain)
    assert nodes.max() == 3 * (length - 1) and {k % 3 for k in nodes.tolist()} == {0, 1, 2}
    contact = contacts(template.chain)
    overlaps = Overlaps.of(nodes, one, atoms[:1], close_pairs(atoms[:1], contact, 100.0)[1])
    poses = other.nodes()
    placed = Poses(poses.rotation[nodes], poses.position[nodes]).apply(overlaps.atoms)[..., 0]
    torch.testing.assert_close(placed, atoms[1], rtol=0, atol=1e-5)


def test_pushes_are_the_slope_of_the_overlaps_and_bound_them():
    template, _ = villin()
    rigids = squeezed(0.8)
    near = nearest_chain(template, rigids, template.torsions.expand(12, -1, -1, -1))
    atoms = template.place(near.rigids, near.torsions) * 10
    chain, nodes = articulated(template, near.rigids, near.torsions), nodes_of(template.chain)
    _, pairs = close_pairs(atoms, contacts(template.chain), 1.0)
    overlaps = Overlaps.of(nodes, chain, atoms, pairs)
    inertia, load = overlaps.pushes(chain)
    twist = torch.randn(*load.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def cost(size):
        """(F,) of atoms moved by the twists of their nodes, to first order, and all pairs that overlapped counted."""
        turn, shift = (size * twist[nodes, part].movedim(-1, 0) for part in (slice(3), slice(3, 6)))
        moved = atoms + torch.linalg.cross(turn, atoms) + shift
        met = overlaps.pairs.overlapping(atoms)
        apart = (moved[met.frame, met.first] - moved[met.frame, met.second]).norm(dim=-1)
        return torch.zeros(12, dtype=torch.float64).index_add_(0, met.frame, 30 * (met.limit - apart).square())

    torch.testing.assert_close(cost(0.0), overlaps.cost(chain), rtol=1e-4, atol=0)
    assert cost(0.0).min() > 1
    slope = (cost(1e-6) - cost(-1e-6)) / 2e-6
    torch.testing.assert_close(slope, -2 * (load * twist).sum((0, 1)), rtol=1e-4, atol=1e-3)
    curved = (cost(1e-3) + cost(-1e-3) - 2 * cost(0.0)) / 2e-6
    assert (curved < 1.01 * (twist[:, :, None] * inertia * twist[:, None]).sum((0, 1, 2))).all()


def test_backbones_give_way_and_stay_near():
    template, _ = villin()
    rigids, asked = squeezed(0.93), template.torsions.expand(12, -1, -1, -1)
    before, after = nearest_chain(template, rigids, asked), nearest_apart(template, rigids, asked)
    assert (deepest(template, before) > 0.005).all() and (deepest(template, after) <= 0).mean() > 0.9
    assert after.is_valid.all() and (after.distance < before.distance + 0.15).all()
    expected = laid_over(template.chain_rigids(after.torsions), after.rigids)
    torch.testing.assert_close(after.rigids.translation, expected.translation, rtol=0, atol=1e-5)
    omega = torch.atan2(after.torsions[:, 1:, OMEGA, 0], after.torsions[:, 1:, OMEGA, 1])
    assert wrapped(omega - planar_omega(template)).abs().max() < OMEGA_REACH + 1e-9
    # Each frame by itself.
    alone = nearest_apart(template, rigids[5:6], asked[5:6])
    torch.testing.assert_close(alone.rigids.translation, after.rigids.translation[5:6], rtol=0, atol=1e-4)


def test_between_two_structures_atoms_get_out_of_the_way_too():
    first, positions = villin()
    bent = positions + 0.002 * np.random.default_rng(0).normal(size=positions.shape)
    second = AllAtomTemplate.measure(first.chain, bent)
    rigids, asked = squeezed(0.93), first.torsions.expand(12, -1, -1, -1)
    share = torch.linspace(0, 1, 12, dtype=torch.float64)
    near = nearest_between(first, second, rigids[None], asked[None], share)
    placed = BackboneFitted().place_between(first, second, rigids[None], asked[None], share)
    found = Geometries(first, second, share).place(near.rigids[0], near.torsions[0])
    torch.testing.assert_close(placed.atoms[0], found, rtol=0, atol=1e-6)
    depth = deepest_of(placed.atoms[0], first.chain)
    assert (depth[[0, -1]] > 0.005).all()  # the structures themselves, which are not touched
    assert (depth[1:-1] <= 0).mean() >= 0.9 and placed.is_valid.all()
    before = nearest_chain(first, rigids, asked)
    assert (near.distance[0] < before.distance + 0.15).all()
    # What is placed by itself is what is placed with the others.
    alone = BackboneFitted().place_between(first, second, rigids[None, 5:6], asked[None, 5:6], share[5:6])
    torch.testing.assert_close(alone.atoms[0], placed.atoms[0, 5:6], rtol=0, atol=1e-4)


def test_chains_without_overlap_are_not_touched():
    template, positions = villin()
    own, torsions = backbone_rigids(template.chain.atom14(positions))[None], template.torsions[None]
    fitted = nearest_chain(template, own, torsions)
    atoms = template.place(fitted.rigids, fitted.torsions) * 10
    assert close_pairs(atoms, contacts(template.chain), 0.0)[0] < 0.1
    assert torch.equal(nearest_apart(template, own, torsions).torsions, fitted.torsions)
