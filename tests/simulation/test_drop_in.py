"""The drop-in generates: what is in the Context, what reporters see, where it goes on from, what it refuses."""

import gc
import warnings
import weakref

import mdtraj
import mdtraj.reporters
import numpy as np
import openmm
import pytest
from openmm import app, unit

from dipeptide import (
    FRAME,
    REFERENCE,
    STEP_SIZE,
    Recorder,
    assert_same_state,
    langevin,
    peptide,
    python,
    simulation_of,
    state_of,
)
from openmm_mdgen.errors import CheckpointError, MDGenError, StateError, UnsupportedTopologyError
from openmm_mdgen.simulation.drop_in import MDGenSimulation
from openmm_mdgen.simulation.schedule import Integrate
from tumbling import TumblingGenerator

INTERVAL = FRAME * STEP_SIZE  # ps


def potential_energies(positions):
    """kJ/mol in a Context that the simulation knows nothing of."""
    _, _, system = peptide()
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), REFERENCE)
    energies = []
    for frame in positions:
        context.setPositions(frame)
        energies.append(context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilojoules_per_mole))
    return np.array(energies)


def generated(simulation):
    """All whole segments the simulation has got, (n_frames, n_atoms, 3)."""
    (propagator,) = simulation.generator.propagators
    twin = type(propagator)(propagator.generator, propagator.structure)
    return np.concatenate([twin.segment(positions, seed) for positions, seed in propagator.calls])


@pytest.mark.parametrize("interval", [FRAME, 5 * FRAME])
def test_reporters_write_every_generated_frame_at_its_time(tmp_path, interval):
    topology, _, _ = peptide()
    simulation = simulation_of()
    dcd, xtc, csv, chk = (str(tmp_path / name) for name in ("a.dcd", "a.xtc", "a.csv", "a.chk"))
    simulation.reporters.append(app.DCDReporter(dcd, interval))
    simulation.reporters.append(app.XTCReporter(xtc, interval))
    simulation.reporters.append(
        app.StateDataReporter(csv, interval, step=True, time=True, potentialEnergy=True, temperature=True)
    )
    simulation.reporters.append(app.CheckpointReporter(chk, interval))
    simulation.step(20 * FRAME)
    simulation.reporters.clear()

    frames = generated(simulation)[interval // FRAME - 1 : 20 : interval // FRAME]
    n = 20 * FRAME // interval
    steps = interval * np.arange(1, n + 1)
    top = mdtraj.Topology.from_openmm(topology)
    for trajectory, tolerance in ((mdtraj.load(dcd, top=top), 1e-6), (mdtraj.load(xtc, top=top), 6e-4)):
        np.testing.assert_allclose(trajectory.xyz, frames, atol=tolerance)
    np.testing.assert_allclose(mdtraj.load(xtc, top=top).time, steps * STEP_SIZE, rtol=1e-6)
    rows = np.loadtxt(csv, delimiter=",")
    np.testing.assert_array_equal(rows[:, 0], steps)
    np.testing.assert_allclose(rows[:, 1], steps * STEP_SIZE, rtol=1e-12)
    np.testing.assert_allclose(rows[:, 2], potential_energies(frames), rtol=1e-9)
    assert np.isfinite(rows).all() and (rows[:, 3] > 50).all()
    again = simulation_of(seed=99)
    again.loadCheckpoint(chk)
    assert_same_state(again, simulation)


def test_mdtraj_reporters_work(tmp_path):
    simulation = simulation_of()
    reporter = mdtraj.reporters.XTCReporter(str(tmp_path / "a.xtc"), FRAME)
    simulation.reporters.append(reporter)
    simulation.step(6 * FRAME)
    reporter.close()
    trajectory = mdtraj.load(str(tmp_path / "a.xtc"), top=mdtraj.Topology.from_openmm(peptide()[0]))
    np.testing.assert_allclose(trajectory.xyz, generated(simulation)[:6], atol=6e-4)
    np.testing.assert_allclose(trajectory.time, INTERVAL * np.arange(1, 7), rtol=1e-6)


def test_energies_and_forces_are_those_of_the_frame():
    simulation = simulation_of()
    recorder = Recorder(FRAME)
    simulation.reporters.append(recorder)
    simulation.step(3 * FRAME)
    reported = [s.getPotentialEnergy().value_in_unit(unit.kilojoules_per_mole) for s in recorder.frames]
    np.testing.assert_allclose(reported, potential_energies(generated(simulation)[:3]), rtol=1e-9)
    # Directional derivative of the energy against the reported force.
    frame = recorder.positions()[-1]
    force = recorder.frames[-1].getForces(asNumpy=True).value_in_unit(unit.kilojoules_per_mole / unit.nanometer)
    direction = np.random.default_rng(0).normal(size=frame.shape)
    up, down = potential_energies([frame + 1e-5 * direction, frame - 1e-5 * direction])
    assert (down - up) / 2e-5 == pytest.approx((force * direction).sum(), rel=1e-4, abs=1e-2)


def test_velocities_are_maxwell_boltzmann_at_the_integrators_temperature():
    simulation = simulation_of(TumblingGenerator(temperature=400), integrator=langevin(temperature=400))
    recorder = Recorder(FRAME, include=["velocities"])
    simulation.reporters.append(recorder)
    simulation.step(400 * FRAME)
    _, _, system = peptide()
    masses = np.array([system.getParticleMass(i)._value for i in range(system.getNumParticles())])
    velocities = np.array([s.getVelocities(asNumpy=True)._value for s in recorder.frames])
    degrees = 3 * len(masses) - system.getNumConstraints() - 3  # its CMMotionRemover keeps the centre of mass still
    kinetic = 0.5 * (masses[:, None] * velocities**2).sum(axis=(1, 2))
    temperatures = (
        2 * kinetic / (degrees * unit.MOLAR_GAS_CONSTANT_R.value_in_unit(unit.kilojoules_per_mole / unit.kelvin))
    )
    spread = 400 * np.sqrt(2 / degrees)
    assert temperatures.mean() == pytest.approx(400, abs=4 * spread / np.sqrt(400))
    assert temperatures.std() == pytest.approx(spread, rel=0.2)
    heavy = [i for i in range(len(masses)) if masses[i] > 13.5]  # N and O: no constraint where they bear no hydrogen
    assert abs(velocities[:, heavy].mean()) < 0.02
    # From frame to frame nothing of them is kept.
    assert abs(np.corrcoef(velocities[1:].ravel(), velocities[:-1].ravel())[0, 1]) < 0.03


def test_equal_seeds_give_equal_runs_and_others_differ():
    first, second, other = simulation_of(seed=1), simulation_of(seed=1), simulation_of(seed=2)
    for simulation in (first, second, other):
        simulation.step(7 * FRAME)
    assert_same_state(first, second)
    assert not np.array_equal(state_of(first)[2], state_of(other)[2])


def test_a_drawn_seed_is_told_and_repeats_the_run():
    drawn, drawn_too = simulation_of(seed=None), simulation_of(seed=None)
    assert drawn.seed != drawn_too.seed
    repeated = simulation_of(seed=drawn.seed)
    drawn.step(2 * FRAME)
    repeated.step(2 * FRAME)
    assert_same_state(drawn, repeated)


def test_equal_seeds_give_equal_runs_on_the_cpu_platform_with_threads():
    topology, positions, system = peptide()
    runs = []
    for _ in range(3):
        platform = openmm.Platform.getPlatform("CPU")
        run = MDGenSimulation(
            topology, system, langevin(), platform, {"Threads": "2"}, generator=TumblingGenerator(), seed=3
        )
        run.context.setPositions(positions)
        run.step(6 * FRAME)
        runs.append(run)
    for run in runs[1:]:
        for one, other in zip(state_of(runs[0])[:3], state_of(run)[:3], strict=True):
            np.testing.assert_array_equal(one, other)
        # OpenMM shifts drawn velocities by half a step's force, which threads sum in any order.
        np.testing.assert_allclose(state_of(run)[3], state_of(runs[0])[3], atol=1e-6)


@pytest.mark.parametrize("pieces", [[1] * 9, [4, 5], [3, 0, 6]])
def test_steps_in_pieces_equal_steps_at_once(pieces):
    whole, parts = simulation_of(), simulation_of()
    whole.step(9 * FRAME)
    for piece in pieces:
        parts.step(piece * FRAME)
    assert_same_state(whole, parts)
    assert len(parts.generator.propagators[0].calls) == 3


def test_a_segment_continues_from_the_last_frame_of_the_one_before():
    simulation = simulation_of()
    simulation.step(12 * FRAME)
    calls = simulation.generator.propagators[0].calls
    frames = generated(simulation)
    np.testing.assert_array_equal(calls[0][0], peptide()[1].value_in_unit(unit.nanometer))
    np.testing.assert_array_equal(calls[1][0], frames[3])
    np.testing.assert_array_equal(calls[2][0], frames[7])
    assert len({seed for _, seed in calls}) == 3


def test_the_template_is_a_relaxed_copy_and_the_users_context_is_untouched():
    simulation = simulation_of()
    before = state_of(simulation)
    relaxed = simulation._advance.engine.relaxed()
    for one, other in zip(before, state_of(simulation), strict=True):
        np.testing.assert_array_equal(one, other)
    start, end = potential_energies([before[2], relaxed])
    assert end < start - 10
    np.testing.assert_array_equal(simulation._advance.engine.relaxed(), relaxed)


CHANGES = {
    "setPositions": lambda s: s.context.setPositions(state_of(s)[2] + 0.5),
    "minimizeEnergy": lambda s: s.minimizeEnergy(maxIterations=5),
    "integrator.step": lambda s: s.integrator.step(FRAME),
    "currentStep": lambda s: setattr(s, "currentStep", 0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_in_between_starts_a_segment_from_there(change):
    simulation = simulation_of()
    simulation.step(2 * FRAME)
    change(simulation)
    present = state_of(simulation)[2]
    simulation.step(FRAME)
    calls = simulation.generator.propagators[0].calls
    assert len(calls) == 2
    np.testing.assert_array_equal(calls[1][0], present)


@pytest.mark.parametrize("platform", ["CPU", "Reference"])
def test_looking_and_new_velocities_do_not_start_a_segment(platform):
    topology, positions, system = peptide()
    simulation = MDGenSimulation(
        topology, system, langevin(), openmm.Platform.getPlatform(platform), generator=TumblingGenerator(), seed=7
    )
    simulation.context.setPositions(positions)
    for _ in range(3):
        simulation.step(FRAME)
        simulation.context.setVelocitiesToTemperature(100)
        simulation.context.getState(energy=True, forces=True)
    assert len(simulation.generator.propagators[0].calls) == 1


def test_positions_that_are_not_set_are_asked_for():
    simulation = simulation_of(positions=False)
    with pytest.raises(StateError, match="setPositions"):
        simulation.step(FRAME)
    simulation.context.setPositions(peptide()[1])
    simulation.step(FRAME)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_positions_that_are_not_finite_are_refused(bad):
    simulation = simulation_of()
    simulation.step(FRAME)
    positions = state_of(simulation)[2].copy()
    positions[4, 1] = bad
    simulation.context.setPositions(positions)
    with pytest.raises(StateError, match="1 atoms are not finite"):
        simulation.step(FRAME)
    assert simulation.currentStep == FRAME


@pytest.mark.parametrize("spoil", [lambda f: f * np.nan, lambda f: f[:0], lambda f: f[:, 1:], lambda f: f[0]])
def test_a_useless_segment_leaves_the_simulation_as_it_was(spoil):
    generator = TumblingGenerator()
    simulation = simulation_of(generator)
    simulation.step(4 * FRAME)
    before = state_of(simulation)
    generator.spoil = spoil
    with pytest.raises(MDGenError, match="not finite|shape"):
        simulation.step(FRAME)
    for one, other in zip(before, state_of(simulation), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_refused_topology_is_refused_before_anything_else():
    with pytest.raises(UnsupportedTopologyError, match="not a molecule for me"):
        simulation_of(TumblingGenerator(refuses=True), integrator=openmm.VariableVerletIntegrator(0.001))


def test_a_system_of_another_size_is_refused():
    topology, _, _ = peptide()
    system = openmm.System()
    system.addParticle(1.0)
    with pytest.raises(UnsupportedTopologyError, match="1 particles"):
        MDGenSimulation(topology, system, langevin(), REFERENCE, generator=TumblingGenerator())


def test_unusable_options_are_refused():
    topology, _, system = peptide()
    for options, error, match in (
        ({"generator": "no-such-weights"}, CheckpointError, "no-such-weights"),
        ({"generator": TumblingGenerator(), "seed": -1}, MDGenError, "seed"),
        ({"generator": TumblingGenerator(), "schedule": Integrate}, MDGenError, r"Integrate\(\)"),
        ({"generator": TumblingGenerator(), "sched": 1}, TypeError, "sched"),
    ):
        with pytest.raises(error, match=match):
            MDGenSimulation(topology, system, langevin(), REFERENCE, **options)
    with pytest.raises(ValueError, match="platform"):
        MDGenSimulation(topology, system, langevin(), None, {"Threads": "1"}, generator=TumblingGenerator())


def test_options_of_the_wrong_kind_are_refused_where_types_are_not_checked(tmp_path):
    ran = python("import unchecked; unchecked.give_wrong_kinds()", tmp_path)
    assert ran.returncode == 0, ran.stderr


def test_a_temperature_other_than_the_training_temperature_warns_once():
    with pytest.warns(UserWarning, match="300 K .* 350 K") as caught:
        simulation = simulation_of(TumblingGenerator(temperature=350))
        simulation.step(5 * FRAME)
    assert len(caught) == 1


def test_without_a_thermostat_velocities_are_of_the_generators_temperature():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulation = simulation_of(TumblingGenerator(temperature=1e6), integrator=openmm.VerletIntegrator(STEP_SIZE))
        simulation.step(FRAME)
    kinetic = simulation.context.getState(energy=True).getKineticEnergy().value_in_unit(unit.kilojoules_per_mole)
    assert kinetic > 1e5


def test_atoms_that_the_generator_does_not_move_stay_and_are_warned_of_once():
    with pytest.warns(UserWarning, match="3 atoms .*atomSubset") as caught:
        simulation = simulation_of(TumblingGenerator(n_moved=peptide()[0].getNumAtoms() - 3))
        simulation.step(6 * FRAME)
    assert len(caught) == 1
    start, now = peptide()[1].value_in_unit(unit.nanometer), state_of(simulation)[2]
    np.testing.assert_array_equal(now[-3:], start[-3:])
    assert np.abs(now[:-3] - start[:-3]).max() > 0.01


def test_reporters_are_let_go_with_the_simulation(tmp_path):
    gc.disable()
    try:
        simulation = simulation_of()
        simulation.reporters.append(app.DCDReporter(str(tmp_path / "a.dcd"), FRAME))
        reporter = weakref.ref(simulation.reporters[0])
        simulation.step(2 * FRAME)
        simulation.saveCheckpoint(str(tmp_path / "a.chk"))
        simulation.loadCheckpoint(str(tmp_path / "a.chk"))
        del simulation
        assert reporter() is None
    finally:
        gc.enable()
