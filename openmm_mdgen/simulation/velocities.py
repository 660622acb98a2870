"""Thermal velocities of generated frames: of the Maxwell-Boltzmann distribution, with constraints met.

`openmm.Context.setVelocitiesToTemperature` shifts what it has drawn by half a step of the frame's forces, for
integrators whose velocities lie between the steps. A generated frame is strained beside frames of MD, so that shift is
large; and most of these integrators report the kinetic energy of their velocities as they are. So velocities are drawn
here, and shifted only for the one integrator that takes the shift back when it reports, `VerletIntegrator`: the kinetic
energy that a reporter sees follows the distribution in any case. Where the System removes the motion of its centre of
mass, as MD would, velocities are drawn without it. Nanometre, picosecond, kelvin.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import openmm
from openmm import unit

from openmm_mdgen.simulation.integrators import present_integrator
from openmm_mdgen.simulation.states import forces_in, masses_of

_R = unit.MOLAR_GAS_CONSTANT_R.value_in_unit(unit.kilojoule_per_mole / unit.kelvin)


class ThermalVelocities:
    """Draws velocities for the Context of one simulation.

    Parameters
    ----------
    system : openmm.System
    integrator : openmm.Integrator
        The Context's own.
    context : openmm.Context
    """

    def __init__(self, system: openmm.System, integrator: openmm.Integrator, context: openmm.Context) -> None:
        self._system, self._integrator, self._context = system, integrator, context

    def draw(self, temperature: float, seed: int) -> None:
        """Set the Context to new velocities.

        Parameters
        ----------
        temperature : float, K
        seed : int
            The same seed gives the same velocities.
        """
        if self._has_drude_particles:  # their pairs have two temperatures, which OpenMM knows
            self._context.setVelocitiesToTemperature(temperature, seed)
            return
        velocities = np.random.default_rng(seed).standard_normal((len(self._masses), 3))
        velocities *= np.sqrt(_R * temperature * self._inverse_masses)[:, None]
        if self._keeps_centre:
            velocities[self._masses > 0] -= self._masses @ velocities / self._masses.sum()
        integrator = present_integrator(self._integrator)
        self._set(velocities, integrator)
        if isinstance(integrator, openmm.VerletIntegrator):
            self._set(velocities - self._half_kick(integrator), integrator)

    def _set(self, velocities: np.ndarray, integrator: openmm.Integrator) -> None:
        self._context.setVelocities(velocities)
        self._context.applyVelocityConstraints(integrator.getConstraintTolerance())

    def _half_kick(self, integrator: openmm.Integrator) -> np.ndarray:
        """What the forces do to velocities in half a step, (n_atoms, 3) nm/ps."""
        state = self._context.getState(forces=True, groups=integrator.getIntegrationForceGroups())
        step_size = integrator.getStepSize().value_in_unit(unit.picosecond)
        return 0.5 * step_size * self._inverse_masses[:, None] * forces_in(state)

    @cached_property
    def _masses(self) -> np.ndarray:
        return masses_of(self._system)

    @cached_property
    def _inverse_masses(self) -> np.ndarray:
        """(n_atoms,) 1/Da; zero for atoms that do not move by forces."""
        return np.divide(1.0, self._masses, out=np.zeros_like(self._masses), where=self._masses > 0)

    @cached_property
    def _keeps_centre(self) -> bool:
        return any(isinstance(force, openmm.CMMotionRemover) for force in self._system.getForces())

    @cached_property
    def _has_drude_particles(self) -> bool:
        return any(isinstance(force, openmm.DrudeForce) for force in self._system.getForces())
