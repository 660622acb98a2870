"""Chains fitted to rigids: what is known comes back, each step is least squares', and wild rigids give chains too."""

import math

import numpy as np
import pytest
import torch

from openmm_mdgen.geometry.atom14 import backbone_rigids
from openmm_mdgen.geometry.rigid import Rigid, rotation_from_quaternion
from openmm_mdgen.molecule import fitting
from openmm_mdgen.molecule.backbone import laid_over
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.fitting import OMEGA_REACH, Problem
from openmm_mdgen.molecule.hinges import Articulated, Poses, wrapped
from openmm_mdgen.molecule.nearest import nearest_between, nearest_chain
from openmm_mdgen.molecule.placement import BackboneFitted, backbone_named
from openmm_mdgen.molecule.skeleton import Skeleton, planar_omega
from openmm_mdgen.molecule.template import AllAtomTemplate
from structures import ideal_structure, peptide, random_rigids, random_torsions, template_of, villin

OMEGA, PHI, PSI = range(3)


def angles_of(torsions):
    return torch.atan2(torsions[..., 0], torsions[..., 1])


def pairs_of(angles):
    return torch.stack([angles.sin(), angles.cos()], dim=-1)


def other_conformers(template, n, degrees, seed=0):
    """(n, L, 7, 2) torsions of the structure, phi and psi changed by so many degrees, omega planar to 10 degrees."""
    random = torch.Generator().manual_seed(seed)
    angles = angles_of(template.torsions).expand(n, -1, -1).clone()
    turns = torch.randn(n, len(template.torsions), 3, generator=random, dtype=torch.float64)
    angles[..., PHI : PSI + 1] += math.radians(degrees) * turns[..., 1:]
    planar = torch.where(angles[..., OMEGA].cos() > 0, 0.0, math.pi)
    angles[..., OMEGA] = planar + math.radians(5) * turns[..., 0].clamp(-2, 2)
    return pairs_of(angles)


def noised(rigids, length, degrees, seed=0):
    """Rigids moved by so many ångström and turned by so many degrees, in each direction."""
    random = torch.Generator().manual_seed(seed)
    shape = (*rigids.shape, 3)
    shift = length * torch.randn(shape, generator=random, dtype=torch.float64)
    half = math.radians(degrees) / 2 * torch.randn(shape, generator=random, dtype=torch.float64)
    return rigids @ Rigid(rotation_from_quaternion(torch.cat([torch.ones_like(half[..., :1]), half], -1)), shift)


def assert_is_chain(template, found):
    """The rigids follow from the torsions, and omega is planar."""
    expected = laid_over(template.chain_rigids(found.torsions), found.rigids)
    torch.testing.assert_close(found.rigids.translation, expected.translation, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.rigids.rotation, expected.rotation, rtol=0, atol=1e-5)
    omega = angles_of(found.torsions)[..., 1:, OMEGA]
    assert wrapped(omega - planar_omega(template)).abs().max() < OMEGA_REACH + 1e-9


@pytest.mark.parametrize("degrees", [0, 20, 90])
def test_torsions_of_a_conformer_are_found_from_its_rigids_alone(degrees):
    """Those that are handed over as generated are the structure's own, not the conformer's."""
    template, _ = villin()
    right = other_conformers(template, 6, degrees)
    rigids = template.chain_rigids(right)
    asked = right.clone()
    asked[..., :3, :] = template.torsions[:, :3]
    found = nearest_chain(template, rigids, asked)
    assert found.is_valid.all() and found.distance.max() < 0.01
    difference = wrapped(angles_of(found.torsions) - angles_of(right))
    assert difference[..., 1:, OMEGA].abs().max() < 0.02 and difference[..., 1:, PHI].abs().max() < 0.02
    assert difference[..., :-1, PSI].abs().max() < 0.02
    torch.testing.assert_close(found.torsions[..., 3:, :], asked[..., 3:, :], rtol=0, atol=0)


def test_a_chain_fitted_to_its_own_rigids_and_torsions_is_that_chain():
    template, _ = villin()
    right = other_conformers(template, 4, 30)
    rigids = template.chain_rigids(right)
    found = nearest_chain(template, rigids, right)
    exists = template.chain.torsion_mask[..., None] > 0
    torch.testing.assert_close(found.torsions * exists, right * exists, rtol=0, atol=1e-6)
    torch.testing.assert_close(found.rigids.translation, rigids.translation, rtol=0, atol=1e-5)


@pytest.mark.parametrize("is_chain", [True, False])
def test_each_step_is_that_of_damped_least_squares(is_chain):
    """The two runs along the chain solve the same equations as a matrix of finite differences does."""
    template = template_of("AKLVGW")
    length = 6
    rigids = random_rigids(2, length, 3)
    rigids = Rigid(rigids.rotation, 0.3 * rigids.translation)
    geometry = problem_geometry(template)
    bodies = Poses.of(noised(template.chain_rigids(random_torsions(2, length, 1).double()), 0.4, 10))
    aims = Poses.of(rigids.to(torch.float64))
    torsions = torch.zeros(length - 1, 3, 2, dtype=torch.float64)
    problem = Problem.of(
        geometry, aims, torsions, planar_omega(template)[:, None], torch.full((length - 1, 1), OMEGA_REACH)
    )
    chain = Articulated.through(bodies, geometry, problem.allowed, problem.sides)
    damping = torch.full((2,), 5.0, dtype=torch.float64)
    if is_chain:
        chain = fitting._stepped(problem, chain, damping)
    rules = fitting._rules(problem, chain, damping)
    # What the rules plan: to first order, each hinge moves all that is behind it, and a gap moves it too.
    axes, twist, planned = chain.axes(), rules.first, []
    for link in range(length - 1):
        for hinge in (0, 1, 2):
            angle = rules.turn[link, hinge] - (rules.gain[link, hinge] * twist).sum(0)
            planned.append(angle)
            twist = twist + axes[link, hinge] * angle
        twist = twist + chain.misses[link]
    step = torch.cat([rules.first, torch.stack(planned)])
    held = (rules.gain.abs().sum(2) == 0).flatten(0, 1)
    for frame in range(2):
        expected = dense_step(problem, chain, damping, held[:, frame], frame)
        torch.testing.assert_close(step[:, frame], expected, rtol=1e-5, atol=1e-5)


def problem_geometry(template):
    own = Skeleton.of(template)
    return fitting.Geometry(Poses.of(own.steps[None]), own.atoms[..., None])


def dense_step(problem, chain, damping, held, frame):
    """The same step of one frame from a matrix: (6 + 3 K,)."""
    n_hinges = chain.angles[..., 0].numel()
    small = 1e-6

    def points(twists, angles):
        """Each body of the chain as it is, moved by the twist of the first and by the hinges before it."""
        motions, moved = [twists], twists
        for link in range(len(chain.angles)):
            for hinge in range(3):
                moved = moved + chain.axes()[link, hinge, :, frame] * angles[3 * link + hinge]
            moved = moved + chain.misses[link, :, frame]
            motions.append(moved)
        own = problem.geometry.points(chain.bodies)[..., frame]  # (L, 3, 3)
        twist = torch.stack(motions)[:, None]
        return own + torch.linalg.cross(twist[..., :3].expand_as(own), own) + twist[..., 3:]

    zero = torch.zeros(6 + n_hinges, dtype=torch.float64)
    there = points(zero[:6], zero[6:])
    columns = []
    for k in range(6 + n_hinges):
        changed = zero.clone()
        changed[k] = small
        columns.append((points(changed[:6], changed[6:]) - there).flatten() / small)
    jacobian = torch.stack(columns, dim=1)
    is_free = torch.cat([torch.ones(6, dtype=torch.bool), ~held])
    jacobian = jacobian[:, is_free]
    weight = torch.tensor(fitting._PULL, dtype=torch.float64).repeat(n_hinges // 3)
    pull = weight * problem.pulls(chain)[..., frame].flatten()
    stiffness = torch.cat([torch.zeros(6, dtype=torch.float64), weight + damping[frame]])[is_free]
    load = jacobian.T @ (problem.points[..., frame] - there).flatten()
    load = load + torch.cat([torch.zeros(6, dtype=torch.float64), pull])[is_free]
    step = zero.clone()
    step[is_free] = torch.linalg.solve(jacobian.T @ jacobian + torch.diag(stiffness), load)
    return step


def test_the_twist_of_a_hinge_is_how_its_turn_moves_atoms():
    """Axes against finite differences of the chain itself."""
    template = template_of("AKLVG")
    torsions = other_conformers(template, 1, 60)
    here = Poses.of(template.chain_rigids(torsions))
    geometry = problem_geometry(template)
    chain = Articulated.through(here, geometry, lambda angles: angles, torch.zeros(0, 1).double())
    small = 1e-6
    for link, hinge, (residue, kind) in ((0, 0, (0, PSI)), (1, 1, (2, OMEGA)), (2, 2, (3, PHI))):
        angles = angles_of(torsions).clone()
        angles[:, residue, kind] += small
        there = Poses.of(template.chain_rigids(pairs_of(angles)))
        moved = (geometry.points(there) - geometry.points(here)) / small
        twist = chain.axes()[link, hinge]
        own = geometry.points(here)[link + 1 :]
        expected = torch.linalg.cross(twist[:3].expand_as(own), own, dim=2) + twist[3:]
        torch.testing.assert_close(moved[link + 1 :], expected, rtol=0, atol=1e-4)
        assert moved[: link + 1].abs().max() < 1e-9


def test_noise_in_rigids_is_followed_to_its_own_size():
    template, positions = villin()
    own = backbone_rigids(template.chain.atom14(positions))
    rigids = noised(own.expand(20, 35), 0.3, 5)
    found = nearest_chain(template, rigids, template.torsions.expand(20, -1, -1, -1))
    assert_is_chain(template, found)
    assert found.is_valid.all() and found.distance.max() < 0.6  # the noise itself is 0.53 Å


@pytest.mark.parametrize("size", [1.0, 10.0, 100.0])
def test_rigids_that_no_chain_is_near_still_give_chains(size):
    """Turned at random, and shifted by that many ångström from the structure's own."""
    template, positions = villin()
    random = torch.Generator().manual_seed(1)
    turn = rotation_from_quaternion(torch.randn(10, 35, 4, generator=random))
    shift = size * torch.randn(10, 35, 3, generator=random)
    own = backbone_rigids(template.chain.atom14(positions)).to(torch.float32)
    rigids = own.expand(10, 35) @ Rigid(turn, shift)
    found = nearest_chain(template, rigids.to(torch.float64), random_torsions(10, 35, 2).double())
    assert_is_chain(template, found)
    assert found.is_valid.all()
    placed = BackboneFitted().place(template, rigids[None], random_torsions(10, 35, 2).float()[None])
    assert placed.is_valid.all() and placed.atoms.dtype == torch.float32
    atoms, chain = placed.atoms[0].double().numpy(), template.chain
    bonds = chain.graph.bonds
    lengths = np.linalg.norm(atoms[:, bonds[:, 0]] - atoms[:, bonds[:, 1]], axis=-1)
    given = positions[chain.atom_indices]
    own_lengths = np.linalg.norm(given[bonds[:, 0]] - given[bonds[:, 1]], axis=-1)
    is_ring = np.array([{chain.atom_names[a], chain.atom_names[b]} & {"CD", "CG"} != set() for a, b in bonds])
    is_ring &= np.array([chain.sequence[chain.atom_residue[a]] == "P" for a, _ in bonds])
    assert np.abs(lengths - own_lengths)[:, ~is_ring].max() < 0.001
    ca = np.searchsorted(chain.atom_indices, chain.atom14_index[:, 1])
    assert np.abs(np.linalg.norm(np.diff(atoms[:, ca], axis=1), axis=-1) - 0.38).max() < 0.02


def test_frames_are_fitted_each_by_itself():
    template, positions = villin()
    own = backbone_rigids(template.chain.atom14(positions))
    rigids = noised(own.expand(7, 35), 0.5, 20)
    torsions = template.torsions.expand(7, -1, -1, -1)
    together = nearest_chain(template, rigids, torsions)
    alone = nearest_chain(template, rigids[3:4], torsions[3:4])
    torch.testing.assert_close(together.rigids.translation[3:4], alone.rigids.translation, rtol=0, atol=1e-3)


def test_rigids_that_are_no_numbers_are_not_valid_and_leave_the_others_alone():
    template = template_of("AKLVG")
    rigids = template.chain_rigids(other_conformers(template, 3, 20))
    broken = rigids.translation.clone()
    broken[1, 2, 0] = math.nan
    torsions = template.torsions.expand(3, -1, -1, -1)
    found = nearest_chain(template, Rigid(rigids.rotation, broken), torsions)
    assert found.is_valid.tolist() == [True, False, True]
    assert found.distance[[0, 2]].max() < 0.01


def test_one_residue_is_placed_by_its_rigid():
    topology, positions = ideal_structure("A", 1)
    template = AllAtomTemplate.measure(ProteinChain.from_openmm(topology), positions)
    rigids, torsions = random_rigids(4, 1, 0), random_torsions(4, 1, 0)
    placed = BackboneFitted().place(template, rigids[None], torsions[None])
    torch.testing.assert_close(placed.atoms[0], template.place(rigids, torsions))
    assert placed.is_valid.all()


def test_between_two_structures_the_geometry_goes_over():
    """With share 0 the chain is one of the first structure, with share 1 of the second, and both ends are exact."""
    sequence = "AKLVG"
    first = template_of(sequence)
    topology, positions = peptide(sequence)
    bent = positions + 0.004 * np.random.default_rng(0).normal(size=positions.shape)
    second = AllAtomTemplate.measure(ProteinChain.from_openmm(topology), bent)
    atoms = torch.stack([t.chain.atom14(p) for t, p in ((first, positions), (second, bent))])
    rigids = backbone_rigids(atoms)
    # Planar omega is in reach of both, so that the structures themselves are.
    torsions = torch.stack([first.torsions, second.torsions])
    assert wrapped(angles_of(torsions)[:, 1:, OMEGA] - math.pi).abs().max() < OMEGA_REACH
    share = torch.tensor([0.0, 1.0], dtype=torch.float64)
    found = nearest_between(first, second, rigids[None], torsions[None], share)
    torch.testing.assert_close(found.rigids.translation[0], rigids.translation, rtol=0, atol=1e-5)
    placed = BackboneFitted().place_between(first, second, rigids[None], torsions[None], share)
    np.testing.assert_allclose(placed.atoms[0], np.stack([positions, bent])[:, first.chain.atom_indices], atol=1e-5)


def test_a_backbone_is_known_by_its_name():
    assert isinstance(backbone_named("fitted"), BackboneFitted)
    with pytest.raises(ValueError, match="'tight'.*'torsions' or 'fitted' or 'rigids'"):
        backbone_named("tight")
