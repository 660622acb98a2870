"""Forces along a path, pulls, free energies and committors, against finite differences and solvable cases."""

import importlib.util
import math

import mdtraj
import numpy as np
import openmm
import pytest
import torch
from openmm import app, unit

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.swarm import Swarm
from openmm_mdgen.steering import (
    CoordinateSpace,
    TorsionSpace,
    TransitionPath,
    free_energy,
    path_force,
    pull,
    sample_windows,
    shoot,
)
from openmm_mdgen.steering.force import CENTRE, bias_energy
from structures import peptide
from torsion_walks import place

REFERENCE = openmm.Platform.getPlatformByName("Reference")
KT = unit.MOLAR_GAS_CONSTANT_R.value_in_unit(unit.kilojoule_per_mole / unit.kelvin) * 300


def turning(sequence="AGV", *, n_frames=40, to=2.5):
    """A path in which two torsions turn, one after the other, with a detour."""
    rise = np.concatenate([np.linspace(0, 1, n_frames // 2), np.ones(n_frames - n_frames // 2)])
    late = np.concatenate([np.zeros(n_frames // 2), np.linspace(0, 1, n_frames - n_frames // 2)])
    return place(sequence, {(0, "PSI"): to * rise - 1, (1, "PSI"): to * late - 1})


def spaces():
    trajectory = turning()
    heavy = trajectory.topology.select("element != H")
    return {
        "torsions": TorsionSpace.backbone(trajectory.topology),
        "coordinates": CoordinateSpace(heavy, trajectory.xyz[0, heavy]),
    }


@pytest.fixture(params=["torsions", "coordinates"])
def path(request):
    return TransitionPath.through(spaces()[request.param], [turning()], n_nodes=8)


def test_progress_rises_from_one_end_to_the_other_and_distance_grows_off_the_path(path):
    progress, distance = path.along(turning().xyz)
    assert progress[0] < 0.05 and progress[-1] > 0.95
    assert (np.diff(progress) > -0.02).all()
    away, far = path.along(place("AGV", {(0, "PSI"): np.linspace(-1, -3, 5), (1, "PSI"): np.zeros(5)}).xyz)
    assert (far[2:] > distance.max()).all(), away


def test_neither_changes_when_the_molecule_is_moved_and_turned(path):
    frames = turning().xyz.astype(float)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    for before, after in zip(path.along(frames), path.along(frames @ turn.T + [3.0, -2.0, 1.0]), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-9)


def test_a_detour_is_left_out():
    there = turning(n_frames=30)
    detour = mdtraj.join([there[:15], there[:15][::-1], there])
    space = spaces()["torsions"]
    straight, found = (TransitionPath.through(space, [t], n_nodes=8) for t in (there, detour))
    torch.testing.assert_close(found.nodes, straight.nodes, atol=1e-6, rtol=0)


def test_nodes_of_many_paths_go_from_the_first_one_s_start_to_its_end():
    first, second = turning(n_frames=20), turning(n_frames=30)
    one, both = (TransitionPath.through(spaces()["torsions"], list(t)) for t in ([first], [first, second]))
    torch.testing.assert_close(both.nodes[[0, -1]], one.nodes[[0, -1]])


def two_states():
    """AGV in two states of PSI 1 and PHI 3, while PSI 2 turns as it likes."""
    rng = np.random.default_rng(0)
    others = {(1, "PSI"): rng.uniform(-np.pi, np.pi, 50), (2, "CHI1"): rng.normal(1.0, 0.3, 50)}
    return [
        place("AGV", {(0, "PSI"): rng.normal(psi, 0.2, 50), (2, "PHI"): rng.normal(phi, 0.2, 50)} | others)
        for psi, phi in ((-0.7, -1.2), (2.4, 1.0))
    ]


def test_the_torsions_that_tell_two_states_apart_are_found_and_no_others():
    start, end = two_states()
    space = TorsionSpace.between(start, end)
    found = {frozenset(quadruple) for quadruple in space.atoms[space.quadruples].tolist()}
    phi, psi = (compute(start, periodic=False)[0].tolist() for compute in (mdtraj.compute_phi, mdtraj.compute_psi))
    assert found == {frozenset(psi[0]), frozenset(phi[1])}


def test_the_typical_frame_of_a_state_is_that_nearest_its_middle():
    start, end = two_states()
    space = TorsionSpace.between(start, end)
    _, psi = mdtraj.compute_psi(space.typical(start), periodic=False)
    _, phi = mdtraj.compute_phi(space.typical(start), periodic=False)
    np.testing.assert_allclose([psi[0, 0], phi[0, 1]], [-0.7, -1.2], atol=0.2)


def test_states_that_no_torsion_tells_apart_are_refused():
    start, _ = two_states()
    with pytest.raises(MDGenError, match="no torsion tells the two states apart"):
        TorsionSpace.between(start, start)
    with pytest.raises(MDGenError, match="one molecule"):
        TorsionSpace.between(start, turning("AGA"))


def context_with(force, positions):
    system = openmm.System()
    for _ in positions:
        system.addParticle(12.0)
    system.addForce(force)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), REFERENCE)
    context.setPositions(positions)
    return context


def test_forces_are_those_of_finite_differences(path):
    trajectory = turning()
    positions = trajectory.xyz[17].astype(float) + np.random.default_rng(1).normal(
        scale=0.01, size=(trajectory.n_atoms, 3)
    )
    force = path_force(path, centre=0.2, spring=500.0, width=0.001, wall=300.0, engine="openmm")
    context = context_with(force, positions)
    forces = context.getState(forces=True).getForces(asNumpy=True)._value
    assert np.abs(forces).max() > 1
    numeric, step = np.zeros_like(positions), 1e-5
    for atom in path.atoms:
        for axis in range(3):
            ends = []
            for sign in (1, -1):
                moved = positions.copy()
                moved[atom, axis] += sign * step
                context.setPositions(moved)
                ends.append(bias_energy(context))
            numeric[atom, axis] = -(ends[0] - ends[1]) / (2 * step)
    assert np.abs(forces - numeric).max() < 1e-5 * np.abs(forces).max()


@pytest.mark.skipif(importlib.util.find_spec("openmmtorch") is None, reason="openmm-torch is not installed")
def test_openmm_torch_gives_the_same_energies_and_forces(path):
    trajectory, found = turning(), []
    for engine in ("openmm", "openmm-torch"):
        force = path_force(path, centre=0.2, spring=500.0, width=0.001, wall=300.0, engine=engine)
        context = context_with(force, trajectory.xyz[17])
        context.setParameter(CENTRE, 0.9)
        state = context.getState(forces=True)
        found.append((bias_energy(context), state.getForces(asNumpy=True)._value))
    (energy, forces), (other, others) = found
    assert other == pytest.approx(energy, rel=1e-6)
    np.testing.assert_allclose(others, forces, atol=1e-5 * np.abs(forces).max())


def test_an_engine_that_is_not_there_is_refused(path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MDGenError, match="not installed"):
        path_force(path, engine="openmm-torch")


def test_the_force_survives_serialisation(path):
    trajectory = turning()
    force = path_force(path, centre=0.3, engine="openmm")
    again = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(force))
    energies = [bias_energy(context_with(f, trajectory.xyz[30])) for f in (force, again)]
    assert energies[0] == energies[1] > 1


def four_particles(barrier):
    """A chain whose only soft motion is its torsion, in a potential of two wells; with a path over the barrier."""
    system = openmm.System()
    for _ in range(4):
        system.addParticle(12.0)
    bonds, angles = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce()
    for k in range(3):
        bonds.addBond(k, k + 1, 0.15, 2e5)
    for k in range(2):
        angles.addAngle(k, k + 1, k + 2, math.pi / 2, 2e3)
    torsion = openmm.PeriodicTorsionForce()
    torsion.addTorsion(0, 1, 2, 3, 2, math.pi, barrier / 2)  # wells at 0 and pi, barriers at +- pi / 2
    for force in (bonds, angles, torsion):
        system.addForce(force)
    topology = app.Topology()
    residue = topology.addResidue("X", topology.addChain())
    for k in range(4):
        topology.addAtom(f"C{k}", app.Element.getBySymbol("C"), residue)
    return topology, system


def chain_at(angles):
    """(n, 4, 3) nm."""
    angles = np.atleast_1d(angles)
    a, b, c = [0.15, 0, 0], [0.0, 0, 0], [0, 0, 0.15]
    d = np.stack([0.15 * np.cos(angles), 0.15 * np.sin(angles), np.full(len(angles), 0.15)], axis=-1)
    return np.stack([*(np.broadcast_to(x, d.shape) for x in (a, b, c)), d], axis=1)


def led_chain(barrier=12.0, *, spring=400.0, turn=3.0):
    topology, system = four_particles(barrier)
    space = TorsionSpace(np.array([[0, 1, 2, 3]]))
    way = mdtraj.Trajectory(chain_at(np.linspace(0.05, turn, 60)), mdtraj.Topology.from_openmm(topology))
    path = TransitionPath.through(space, [way], n_nodes=10)
    system.addForce(path_force(path, spring=spring, engine="openmm"))
    integrator = openmm.LangevinMiddleIntegrator(300, 5, 0.004)
    integrator.setRandomNumberSeed(3)
    simulation = app.Simulation(topology, system, integrator, REFERENCE)
    simulation.context.setPositions(chain_at(0.05)[0])
    return simulation, path


def test_a_pull_takes_the_molecule_along_and_counts_the_work():
    simulation, path = led_chain(barrier=0.0, spring=2000.0)
    found = pull(simulation, path, time=40.0, frame_interval=0.4)
    assert found.trajectory.n_frames == len(found.work) == 100
    assert np.abs(found.progress - found.centre).max() < 0.2 and found.progress[-1] > 0.9
    assert abs(found.work[-1]) < 4 * KT  # a slow pull through a flat land costs nothing but at its ends
    assert found.trajectory.time[-1] == pytest.approx(40.0)


@pytest.mark.slow
def test_the_profile_of_windows_is_that_of_the_potential():
    barrier = 12.0
    simulation, path = led_chain(barrier)
    centres = np.linspace(0, 1, 9)
    windows = sample_windows(
        simulation, path, chain_at(np.linspace(0.05, 3.0, 60)), centres=centres, time=15.0, equilibration=1.0, seed=0
    )
    profile = free_energy(windows, spring=400.0, temperature=300.0, n_bins=20)
    # The density of the angle is exp(-U / kT): binned by the angle's progress, it is the profile without any sampling.
    angles = np.linspace(-math.pi, math.pi, 4001)
    places, off = path.along(chain_at(angles))
    on_path = off < float(np.log(10)) / path.sharpness
    weights = np.exp(-barrier / 2 * (1 - np.cos(2 * angles)) / KT) * on_path
    half = (profile.progress[1] - profile.progress[0]) / 2
    edges = np.append(profile.progress - half, profile.progress[-1] + half)
    exact = -KT * np.log(np.histogram(places, edges, weights=weights)[0])
    inner = np.isfinite(profile.energy) & (profile.progress > 0.1) & (profile.progress < 0.9)
    assert inner.sum() > 12 and (profile.overlap > 0.05).all()
    difference = (profile.energy - exact)[inner]
    assert np.abs(difference - difference.mean()).max() < 1.2  # of 12 kJ/mol
    assert np.nanmax(profile.energy[inner]) - np.nanmin(profile.energy[inner]) == pytest.approx(barrier, abs=2.0)


class Walkers:
    """Symmetric random walks of one particle along x, in steps of 0.1 nm: the gambler's ruin."""

    def run(self, starts, *, n_frames, is_over, **_):
        rng = np.random.default_rng(0)
        for run, start in enumerate(np.array(starts)):
            for _ in range(n_frames):
                start[0, 0] += rng.choice([-0.1, 0.1])
                if is_over(run, start):
                    break


def test_committors_are_those_of_the_gamblers_ruin():
    starts = np.array([[[0.1 * k, 0, 0]] for k in (1, 3, 5, 9)])
    found = shoot(
        Walkers(), starts, lambda f: f[0, 0] < 0.05, lambda f: f[0, 0] > 0.95, n_shots=400, longest=400.0, seed=0
    )
    exact = np.array([0.1, 0.3, 0.5, 0.9])
    np.testing.assert_allclose(found.probability, exact, atol=4 * 0.5 / 20)
    low, high = found.interval
    assert ((low < exact) & (exact < high)).sum() >= 3 and (high - low < 0.12).all()
    assert (found.n_end + found.n_start + found.n_undecided == 400).all()


def test_shots_that_reach_nothing_are_undecided_and_states_must_not_overlap():
    starts = np.array([[[0.5, 0, 0]]])
    found = shoot(Walkers(), starts, lambda f: False, lambda f: False, n_shots=5, longest=2.0)
    assert found.n_undecided.tolist() == [5] and np.isnan(found.probability).all()
    with pytest.raises(MDGenError, match="at once"):
        shoot(Walkers(), starts, lambda f: True, lambda f: True, n_shots=1)


def test_mistakes_are_told():
    trajectory, space = turning(), spaces()["torsions"]
    with pytest.raises(MDGenError, match="three frames"):
        TransitionPath.through(space, [])
    with pytest.raises(MDGenError, match="one molecule"):
        TransitionPath.through(space, [trajectory, turning("AGVA")])
    with pytest.raises(MDGenError, match="stands still"):
        TransitionPath.through(space, [trajectory[[0, 0, 0]]])
    with pytest.raises(MDGenError, match="no phi or psi"):
        TorsionSpace.backbone(trajectory.topology.subset([0, 1, 2]))
    topology, system = four_particles(1.0)
    simulation = app.Simulation(topology, system, openmm.VerletIntegrator(0.001), REFERENCE)
    path = TransitionPath.through(space, [trajectory])
    with pytest.raises(MDGenError, match="path_force"):
        pull(simulation, path, time=1.0)
    simulation, path = led_chain()
    with pytest.raises(MDGenError, match="whole"):
        pull(simulation, path, time=1.0, frame_interval=0.0025)
    with pytest.raises(MDGenError, match="whole"):
        sample_windows(simulation, path, chain_at([0.1]), centres=[0.5], time=1.0, interval=0.001)


@pytest.fixture(scope="module")
def swarm():
    topology, positions = peptide("AG")
    return Swarm(topology, positions, n_places=2, platform="Reference", seed=4)


def test_runs_of_a_swarm_are_as_long_as_asked_and_differ(swarm):
    _, positions = peptide("AG")
    start = swarm.relaxed(positions[None])[0]
    ended = []
    found = swarm.run(
        [start] * 5,
        n_frames=3,
        frame_interval=0.04,
        is_over=lambda run, frame: run == 3,
        progress=ended.append,
    )
    assert [len(run) for run in found] == [3, 3, 3, 1, 3] and sum(ended) == 5
    centred = start - start.mean(0)
    away = [np.abs(run[0] - centred).max() for run in found]
    assert max(away) < 0.1, "a run does not begin where it should"
    assert min(np.abs(a[0] - b[0]).max() for k, a in enumerate(found) for b in found[:k]) > 1e-4


def test_runs_of_a_swarm_have_the_temperature_asked_for(swarm):
    _, positions = peptide("AG")
    system, context = swarm._packed.system, swarm._context
    rng = np.random.default_rng(0)
    freedom = 3 * system.getNumParticles() - system.getNumConstraints()
    energies = []
    for _ in range(40):
        swarm._begin({0: (positions, rng), 1: (positions, rng)})
        energies.append(context.getState(energy=True).getKineticEnergy().value_in_unit(unit.kilojoule_per_mole))
    expected = 0.5 * freedom * KT * 350 / 300
    assert np.mean(energies) == pytest.approx(expected, rel=4 * math.sqrt(2 / freedom / 40))


def test_what_a_swarm_cannot_run_is_refused(swarm):
    _, positions = peptide("AG")
    with pytest.raises(MDGenError, match="whole number of steps"):
        swarm.run([positions], n_frames=1, frame_interval=0.001)
    with pytest.raises(MDGenError, match="shape"):
        swarm.run([positions[:3]], n_frames=1)


def test_the_centre_is_a_parameter_of_the_context():
    simulation, _ = led_chain()
    energies = []
    for centre in (0.0, 1.0):
        simulation.context.setParameter(CENTRE, centre)
        energies.append(bias_energy(simulation.context))
    assert energies[1] > 50 + energies[0]
