"""Potential energies of frames, in kJ/mol."""

from __future__ import annotations

import mdtraj
import numpy as np
import openmm
from openmm import unit

from openmm_mdgen.errors import MDGenError


def potential_energies(
    trajectory: mdtraj.Trajectory, system: openmm.System, *, platform: str | None = None
) -> np.ndarray:
    """(n_frames,) kJ/mol, of the frames as they are.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
        All atoms of the System, in its order.
    system : openmm.System
    platform : str, optional
        Of OpenMM; its own choice if absent.

    Raises
    ------
    MDGenError
        If the System has another number of particles.
    """
    if system.getNumParticles() != trajectory.n_atoms:
        raise MDGenError(
            f"the System has {system.getNumParticles()} particles and the trajectory {trajectory.n_atoms} atoms: pass "
            "frames with all atoms, and the System made from their topology"
        )
    integrator = openmm.VerletIntegrator(0.001)
    if platform is None:
        context = openmm.Context(system, integrator)
    else:
        context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(platform))
    energies = np.empty(trajectory.n_frames)
    for k, frame in enumerate(trajectory.xyz):
        context.setPositions(frame.astype(float))
        energy = context.getState(energy=True).getPotentialEnergy()
        energies[k] = energy.value_in_unit(unit.kilojoule_per_mole)
    return energies
