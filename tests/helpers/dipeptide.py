"""ALA-ALA in implicit solvent on the Reference platform, the small real system of the simulation tests."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import implicit_system
from openmm_mdgen.simulation.drop_in import MDGenSimulation
from tumbling import TumblingGenerator

REFERENCE = openmm.Platform.getPlatform("Reference")
STEP_SIZE = 0.002  # ps
FRAME = 10  # steps of TumblingGenerator's frame


@cache
def peptide():
    """(topology, positions, System)."""
    topology, positions = build_peptide("AA")
    return topology, positions, implicit_system(topology)


def langevin(step_size=STEP_SIZE, temperature=300.0):
    integrator = openmm.LangevinMiddleIntegrator(temperature, 1.0, step_size)
    integrator.setRandomNumberSeed(5)
    return integrator


def plain_simulation(integrator=None):
    """OpenMM's own, with positions."""
    topology, positions, system = peptide()
    simulation = app.Simulation(topology, system, integrator or langevin(), REFERENCE)
    simulation.context.setPositions(positions)
    return simulation


def simulation_of(generator=None, *, integrator=None, positions=True, seed=7, **options):
    """Ours, with positions unless told otherwise."""
    topology, start, system = peptide()
    generator = generator or TumblingGenerator()
    simulation = MDGenSimulation(
        topology, system, integrator or langevin(), REFERENCE, generator=generator, seed=seed, **options
    )
    if positions:
        simulation.context.setPositions(start)
    return simulation


def state_of(simulation):
    """Step count, time in ps, positions in nm, velocities in nm/ps."""
    state = simulation.context.getState(positions=True, velocities=True)
    return (
        state.getStepCount(),
        state.getTime().value_in_unit(unit.picosecond),
        np.asarray(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)),
        np.asarray(state.getVelocities(asNumpy=True).value_in_unit(unit.nanometer / unit.picosecond)),
    )


def assert_same_state(first, second):
    """Bit for bit."""
    for one, other in zip(state_of(first), state_of(second), strict=True):
        np.testing.assert_array_equal(one, other)


class Recorder:
    """A reporter of everything, at an interval; `of_frames` are copies."""

    def __init__(self, interval, *, include=("positions", "velocities", "energy", "forces")):
        self.interval, self.include, self.frames = interval, list(include), []

    def describeNextReport(self, simulation):
        steps = self.interval - simulation.currentStep % self.interval
        return {"steps": steps, "periodic": None, "include": self.include}

    def report(self, simulation, state):
        self.frames.append(state)

    def positions(self):
        """(n_frames, n_atoms, 3) nm."""
        return np.array([s.getPositions(asNumpy=True).value_in_unit(unit.nanometer) for s in self.frames])


def python(code, folder):
    """Run `code` in a process of its own, in `folder`, with these helpers and the package at hand."""
    paths = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
    return subprocess.run([sys.executable, "-c", paths + code], cwd=folder, capture_output=True, text=True, check=False)
