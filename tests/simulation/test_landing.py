"""From generated frames back to real MD: in implicit solvent and in a box of water."""

import copy
from functools import cache

import numpy as np
import openmm
import pytest
from openmm import app, unit

from hybrids import Says
from openmm_mdgen.errors import LandingError
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import implicit_system, langevin, relaxed
from openmm_mdgen.simulation.drop_in import MDGenSimulation
from openmm_mdgen.simulation.landing import Lander
from openmm_mdgen.simulation.landing_settings import LandingSettings
from openmm_mdgen.simulation.schedule import Alternate
from structures import about
from tumbling import TumblingGenerator

CPU = openmm.Platform.getPlatform("CPU")
KB = unit.MOLAR_GAS_CONSTANT_R.value_in_unit(unit.kilojoules_per_mole / unit.kelvin)


@cache
def dipeptide():
    """Topology, System with constraints and heavy hydrogens, relaxed positions (n, 3) nm."""
    topology, positions = build_peptide("AA", seed=2)
    return topology, implicit_system(topology), np.asarray(relaxed(topology, positions))


@cache
def boxed():
    """The same in TIP3P-FB at constant pressure: topology, System, positions, indices of the peptide."""
    topology, _, positions = dipeptide()
    field = app.ForceField("amber14-all.xml", "amber14/tip3pfb.xml")
    modeller = app.Modeller(topology, positions * unit.nanometer)
    modeller.addSolvent(field, model="tip3p", boxSize=openmm.Vec3(1.9, 1.9, 1.9) * unit.nanometer)
    system = field.createSystem(
        modeller.topology, nonbondedMethod=app.PME, nonbondedCutoff=0.7 * unit.nanometer, constraints=app.HBonds
    )
    system.addForce(openmm.MonteCarloBarostat(1.0, 350.0, 10))
    simulation = app.Simulation(modeller.topology, system, langevin(step_size=0.002, seed=3), CPU, {"Threads": "1"})
    simulation.context.setPositions(modeller.positions)
    simulation.minimizeEnergy(maxIterations=100)
    simulation.step(500)
    state = simulation.context.getState(positions=True)
    modeller.topology.setPeriodicBoxVectors(state.getPeriodicBoxVectors())
    system.setDefaultPeriodicBoxVectors(*state.getPeriodicBoxVectors())
    moved = np.arange(topology.getNumAtoms())
    return modeller.topology, system, np.asarray(state.getPositions(asNumpy=True)._value), moved


def lander_of(topology, system, positions, moved, *, step_size=0.004, settings=None):
    integrator = langevin(step_size=step_size, seed=1)
    context = openmm.Context(system, integrator, CPU, {"Threads": "1"})
    context.setPositions(positions)
    atoms = list(topology.atoms())
    heavy = np.array([i for i in moved if atoms[i].element.symbol != "H"])
    options = {"temperature": 350.0, "step_size": step_size, "properties": {"Threads": "1"}}
    return Lander(context, system, moved, heavy, settings=settings, **options), context, heavy


def turned(topology, positions):
    """The first residue turned about the peptide unit: another psi."""
    named = {(a.residue.index, a.name): a.index for a in topology.atoms() if a.residue.index < 2}
    after = [i for (r, name), i in named.items() if r == 1 or name == "O"]
    origin, axis = positions[named[0, "CA"]], positions[named[0, "C"]] - positions[named[0, "CA"]]
    return about(positions, origin, axis, 2.6, after)


def deviation(first, second):
    """Root mean square deviation of two sets of points after superposition (Kabsch)."""
    a, b = first - first.mean(axis=0), second - second.mean(axis=0)
    u, s, vt = np.linalg.svd(a.T @ b)
    s[-1] *= np.sign(np.linalg.det(u @ vt))
    return np.sqrt(max(0.0, ((a**2).sum() + (b**2).sum() - 2 * s.sum()) / len(a)))


def constraint_errors(system, positions):
    found = [system.getConstraintParameters(k) for k in range(system.getNumConstraints())]
    return max(abs(np.linalg.norm(positions[i] - positions[j]) / d._value - 1) for i, j, d in found)


def bond_lengths(topology, positions):
    return np.array([np.linalg.norm(positions[i.index] - positions[j.index]) for i, j in topology.bonds()])


def test_a_landed_state_is_warm_whole_and_near_its_frame():
    topology, system, positions = dipeptide()
    lander, context, heavy = lander_of(topology, system, positions, np.arange(len(positions)))
    before = context.createCheckpoint()
    landings = [lander.land(positions, positions, seed) for seed in range(12)]
    assert context.createCheckpoint() == before  # the simulation's own Context is only read
    masses = np.array([system.getParticleMass(i)._value for i in range(len(positions))])
    degrees = 3 * len(positions) - system.getNumConstraints()
    temperatures = [(masses[:, None] * x.velocities**2).sum() / degrees / KB for x in landings]
    spread = 350 * np.sqrt(2 / degrees / len(landings))
    assert np.mean(temperatures) == pytest.approx(350, abs=4 * spread)
    for landed in landings:
        assert constraint_errors(system, landed.positions) < 1e-4
        np.testing.assert_allclose(
            bond_lengths(topology, landed.positions), bond_lengths(topology, positions), atol=0.03
        )
    assert len({landed.potential_energy for landed in landings}) == 12
    # Warm: bonds, angles and torsions hold about kT/2 each above the relaxed structure.
    rise = np.mean([landed.potential_energy for landed in landings]) - lander.relaxed(positions)[1]
    assert 0.3 * degrees * KB * 350 / 2 < rise < 1.5 * degrees * KB * 350 / 2


def test_equal_seeds_land_equally_and_others_do_not():
    topology, system, positions = dipeptide()
    lander, _, _ = lander_of(topology, system, positions, np.arange(len(positions)))
    other, _, _ = lander_of(topology, system, positions, np.arange(len(positions)))
    first, again, different = (
        lander.land(positions, positions, 5),
        other.land(positions, positions, 5),
        lander.land(positions, positions, 6),
    )
    np.testing.assert_array_equal(first.positions, again.positions)
    np.testing.assert_array_equal(first.velocities, again.velocities)
    assert not np.array_equal(first.positions, different.positions)


def test_a_relaxed_energy_is_the_systems_own_and_heavy_atoms_stay():
    topology, system, positions = dipeptide()
    lander, _, heavy = lander_of(topology, system, positions, np.arange(len(positions)))
    frame = positions + np.random.default_rng(0).normal(scale=0.003, size=positions.shape)
    found, energy = lander.relaxed(frame)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatform("Reference"))
    context.setPositions(found)
    alone = context.getState(energy=True).getPotentialEnergy()._value
    context.setPositions(frame)
    assert energy == pytest.approx(alone, abs=0.05)
    assert energy < context.getState(energy=True).getPotentialEnergy()._value - 5
    assert np.abs(found[heavy] - frame[heavy]).max() < 0.02


def test_frames_that_md_cannot_go_on_from_are_told():
    topology, system, positions = dipeptide()
    lander, _, _ = lander_of(topology, system, positions, np.arange(len(positions)))
    lost = positions.copy()
    lost[3] = np.nan
    with pytest.raises(LandingError):
        lander.land(lost, positions, 1)


def test_a_moved_virtual_site_is_refused():
    topology, system, positions = dipeptide()
    system = copy.deepcopy(system)
    system.setParticleMass(next(a.index for a in topology.atoms() if a.name == "O"), 0.0)
    with pytest.raises(LandingError, match="no mass"):
        lander_of(topology, system, positions, np.arange(len(positions)))


def test_the_solutes_energy_in_water_is_that_of_the_solute_alone():
    topology, system, positions, moved = boxed()
    lander, _, _ = lander_of(topology, system, positions, moved, step_size=0.002)
    elsewhere = positions.copy()
    elsewhere[len(moved) :] = np.random.default_rng(0).permutation(elsewhere[len(moved) :])  # the water in disorder
    first, second = (lander.relaxed(frame)[1] for frame in (positions, elsewhere))
    assert first == pytest.approx(second, abs=0.1)
    strained = positions.copy()
    strained[0] += 0.03
    assert lander.relaxed(positions)[1] - lander.relaxed(strained)[1] != 0


def test_in_water_the_solute_is_led_to_the_frame_and_the_water_stays_water():
    topology, system, positions, moved = boxed()
    settings = LandingSettings(targeting_time=2.0, free_time=0.2)
    lander, context, heavy = lander_of(topology, system, positions, moved, step_size=0.002, settings=settings)
    before = context.createCheckpoint()
    frame = turned(topology, positions)
    landed = lander.land(frame, positions, 3)
    assert context.createCheckpoint() == before

    start = deviation(positions[heavy], frame[heavy])
    assert start > 0.08
    left = deviation(landed.positions[heavy], frame[heavy])
    assert left < 0.09 and left < 0.7 * deviation(landed.positions[heavy], positions[heavy])
    assert constraint_errors(system, landed.positions) < 1e-4
    np.testing.assert_allclose(bond_lengths(topology, landed.positions), bond_lengths(topology, positions), atol=0.04)
    assert np.isfinite(landed.velocities).all()


def test_a_frame_that_is_not_reached_is_told():
    topology, system, positions, moved = boxed()
    settings = LandingSettings(targeting_time=0.2, targeting_stiffness=1e-3, targeting_tolerance=0.01)
    lander, _, _ = lander_of(topology, system, positions, moved, step_size=0.002, settings=settings)
    with pytest.raises(LandingError, match="not led to the frame"):
        lander.land(turned(topology, positions), positions, 3)


@pytest.mark.filterwarnings("ignore:the generator does not move")
def test_a_hybrid_run_in_a_box_of_water_at_constant_pressure():
    quick = {"reference_frames": 3, "reference_delay": 0.1, "reference_interval": 0.04, "energy_deviations": 1e6}
    topology, system, positions, moved = boxed()
    simulation = MDGenSimulation(
        topology,
        system,
        langevin(step_size=0.002, seed=3),
        CPU,
        {"Threads": "1"},
        generator=TumblingGenerator(frame_interval=0.1, temperature=350.0, n_moved=len(moved)),
        schedule=Alternate(integrate=0.2, generate=0.8),
        gate=Says(True),
        landing=LandingSettings(targeting_time=0.5, free_time=0.1, **quick),
        seed=2,
    )
    simulation.context.setPositions(positions)
    simulation.step(2 * 500 + 100)
    assert [s.kind for s in simulation.segments] == ["integrated", "generated", "generated"] * 2 + ["integrated"]
    state = simulation.context.getState(positions=True, energy=True)
    now = np.asarray(state.getPositions(asNumpy=True)._value)
    assert constraint_errors(system, now) < 1e-4
    np.testing.assert_allclose(bond_lengths(topology, now), bond_lengths(topology, positions), atol=0.04)
    volume = np.linalg.det(np.array(state.getPeriodicBoxVectors()._value))
    start = np.linalg.det(np.array(topology.getPeriodicBoxVectors()._value))
    assert volume != start and volume == pytest.approx(start, rel=0.15)
