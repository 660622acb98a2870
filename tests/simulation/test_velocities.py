"""Velocities of generated frames: Maxwell-Boltzmann as reporters see them, whatever the strain and the integrator."""

import numpy as np
import openmm
import pytest
from openmm import app, mtsintegrator, unit
from scipy.stats import chi2, kstest

from dipeptide import FRAME, REFERENCE, STEP_SIZE, peptide
from openmm_mdgen import MDGenSimulation
from openmm_mdgen.md.systems import force_field
from openmm_mdgen.simulation.integrators import temperature_of
from tumbling import TumblingGenerator

TEMPERATURE = 350.0
KT = unit.MOLAR_GAS_CONSTANT_R.value_in_unit(unit.kilojoules_per_mole / unit.kelvin) * TEMPERATURE


def compound(*integrators, current):
    made = openmm.CompoundIntegrator()
    for integrator in integrators:
        made.addIntegrator(integrator)
    made.setCurrentIntegrator(current)
    return made


def middle():
    return openmm.LangevinMiddleIntegrator(TEMPERATURE, 1, STEP_SIZE)


def verlet():
    return openmm.VerletIntegrator(STEP_SIZE)


INTEGRATORS = {
    "LangevinMiddle": middle,
    "Verlet": verlet,
    "NoseHoover": lambda: openmm.NoseHooverIntegrator(TEMPERATURE, 1, STEP_SIZE),
    "MTSLangevin": lambda: mtsintegrator.MTSLangevinIntegrator(
        TEMPERATURE * unit.kelvin, 1 / unit.picosecond, STEP_SIZE * unit.picosecond, [(0, 1)]
    ),
    "Verlet in a compound": lambda: compound(middle(), verlet(), current=1),
    "LangevinMiddle in a compound": lambda: compound(verlet(), middle(), current=1),
}


class Kinetic:
    """A reporter of kinetic energy, as `StateDataReporter` asks for it, in kJ/mol, and of positions and velocities."""

    def __init__(self):
        self.energies, self.states = [], []

    def describeNextReport(self, simulation):
        steps = FRAME - simulation.currentStep % FRAME
        return {"steps": steps, "periodic": None, "include": ["energy", "positions", "velocities"]}

    def report(self, simulation, state):
        self.energies.append(state.getKineticEnergy().value_in_unit(unit.kilojoules_per_mole))
        self.states.append(state)


def strained(frames):
    """Forces like those of generated frames, and larger."""
    return frames + np.random.default_rng(0).normal(scale=0.004, size=frames.shape)


def generated(constraints, integrator, *, centre=True, n_frames=300):
    topology, positions, _ = peptide()
    system = force_field().createSystem(topology, constraints=constraints, removeCMMotion=centre)
    simulation = MDGenSimulation(
        topology,
        system,
        integrator,
        REFERENCE,
        generator=TumblingGenerator(temperature=TEMPERATURE, spoil=strained),
        seed=3,
    )
    simulation.context.setPositions(positions)
    reporter = Kinetic()
    simulation.reporters.append(reporter)
    simulation.step(n_frames * FRAME)
    return system, reporter


@pytest.mark.parametrize("integrator", INTEGRATORS.values(), ids=INTEGRATORS.keys())
@pytest.mark.parametrize("constraints", [app.HBonds, None], ids=["HBonds", "no constraints"])
def test_reported_kinetic_energies_follow_their_distribution(constraints, integrator):
    system, reporter = generated(constraints, integrator())
    degrees = 3 * system.getNumParticles() - system.getNumConstraints() - 3  # the CMMotionRemover takes three
    assert kstest(2 * np.array(reporter.energies) / KT, chi2(degrees).cdf).pvalue > 0.01


def test_constraints_are_met_and_the_centre_of_mass_stands_still():
    system, reporter = generated(app.HBonds, middle(), n_frames=20)
    masses = np.array([system.getParticleMass(i).value_in_unit(unit.dalton) for i in range(system.getNumParticles())])
    constraints = [system.getConstraintParameters(k)[:2] for k in range(system.getNumConstraints())]
    assert constraints
    for state in reporter.states:
        x = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        v = state.getVelocities(asNumpy=True).value_in_unit(unit.nanometer / unit.picosecond)
        for i, j in constraints:
            bond = (x[i] - x[j]) / np.linalg.norm(x[i] - x[j])
            assert abs((v[i] - v[j]) @ bond) < 1e-3 * np.linalg.norm(v[i] - v[j])
        assert np.abs(masses @ v).max() < 1e-3 * masses.sum() * np.abs(v).mean()


def test_without_a_remover_of_its_motion_the_centre_of_mass_has_its_share():
    system, reporter = generated(app.HBonds, middle(), centre=False)
    degrees = 3 * system.getNumParticles() - system.getNumConstraints()
    assert kstest(2 * np.array(reporter.energies) / KT, chi2(degrees).cdf).pvalue > 0.01


def chains(*temperatures):
    """Nosé-Hoover chains of 1, 2, ... atoms."""
    integrator, first = openmm.NoseHooverIntegrator(STEP_SIZE), 0
    for k, temperature in enumerate(temperatures):
        integrator.addSubsystemThermostat(list(range(first, first + k + 1)), [], temperature, 1, temperature, 1)
        first += k + 1
    return integrator


@pytest.mark.parametrize(
    ("integrator", "temperature"),
    [
        (middle(), TEMPERATURE),
        (verlet(), None),
        (INTEGRATORS["NoseHoover"](), TEMPERATURE),
        (INTEGRATORS["MTSLangevin"](), TEMPERATURE),
        (chains(), None),
        (chains(300.0, 310.0), 310.0),
        (compound(middle(), verlet(), current=0), TEMPERATURE),
        (compound(middle(), verlet(), current=1), None),
        (compound(verlet(), INTEGRATORS["MTSLangevin"](), current=1), TEMPERATURE),
        (mtsintegrator.MTSIntegrator(STEP_SIZE * unit.picosecond, [(0, 1)]), None),
        (openmm.BrownianIntegrator(300, 1, STEP_SIZE), 300.0),
    ],
)
def test_temperatures_of_integrators_are_read(integrator, temperature):
    assert temperature_of(integrator) == (None if temperature is None else pytest.approx(temperature))
