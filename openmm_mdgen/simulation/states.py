"""Numbers out of OpenMM's States: lengths in nm, velocities in nm/ps, energies in kJ/mol, masses in Da."""

from __future__ import annotations

import numpy as np
import openmm
from openmm import unit


def positions_in(state: openmm.State) -> np.ndarray:
    """(n_atoms, 3) nm."""
    return np.asarray(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer))


def box_in(context: openmm.Context) -> np.ndarray:
    """(3, 3) nm, the vectors of the periodic box."""
    vectors = context.getState().getPeriodicBoxVectors(asNumpy=True)
    return np.asarray(vectors.value_in_unit(unit.nanometer))


def velocities_in(state: openmm.State) -> np.ndarray:
    """(n_atoms, 3) nm/ps."""
    return np.asarray(state.getVelocities(asNumpy=True).value_in_unit(unit.nanometer / unit.picosecond))


def forces_in(state: openmm.State) -> np.ndarray:
    """(n_atoms, 3) kJ/mol/nm."""
    forces = state.getForces(asNumpy=True)
    return np.asarray(forces.value_in_unit(unit.kilojoule_per_mole / unit.nanometer))


def potential_energy_in(state: openmm.State) -> float:
    """Potential energy in kJ/mol."""
    return state.getPotentialEnergy().value_in_unit(unit.kilojoules_per_mole)


def masses_of(system: openmm.System) -> np.ndarray:
    """(n_particles,) Da."""
    masses = (system.getParticleMass(i) for i in range(system.getNumParticles()))
    return np.array([mass.value_in_unit(unit.dalton) for mass in masses])
