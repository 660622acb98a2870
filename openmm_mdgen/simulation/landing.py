"""From a generated frame to a state that real MD goes on from, in Contexts beside the simulation's own.

A *frame* is all atoms' positions, ``(n_atoms, 3)`` nm; *moved* atoms are those that the generator places, the others
are solvent and ions. A generated frame is cold: its bonds, angles and hydrogens stand still. A *landing* relaxes it
with the heavy moved atoms held, gives it velocities, lets it warm up held, and then free. In explicit solvent the last
state of real MD is brought to the frame instead: targeted MD lowers the deviation of the solute's heavy atoms while
the solvent is free. The simulation's own Context is read, never written: what fails here has changed nothing. Barostats
and thermostats of the System are left out; the box is the simulation's. Energies in kJ/mol, times in ps, temperatures
in K.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import openmm
from openmm import unit

from openmm_mdgen.errors import LandingError
from openmm_mdgen.seeds import openmm_seed
from openmm_mdgen.simulation.landing_settings import LandingSettings
from openmm_mdgen.simulation.side_systems import (
    HOLD,
    constraints_of,
    platform_beside,
    restraint,
    solute_alone,
    without_couplings,
)
from openmm_mdgen.simulation.states import masses_of, positions_in, potential_energy_in, velocities_in

# Global parameters of targeted MD: its stiffness for each atom, kJ/mol/nm², and the deviation it aims at, nm.
_PULL, _DEVIATION = "openmm_mdgen_lead", "openmm_mdgen_deviation"
_NOTHING_REAL = (
    "a short MD from the present structure ended in values that are not finite, so there is nothing to compare "
    "generated frames with: mend or minimise the structure, or take a smaller step size"
)


@dataclass(frozen=True, eq=False)
class Landed:
    """A state that real MD goes on from."""

    positions: np.ndarray  # (n_atoms, 3) nm
    velocities: np.ndarray  # (n_atoms, 3) nm/ps
    potential_energy: float  # kJ/mol, mean over the second half of the MD with nothing held


class Lander:
    """Relaxes and lands frames of one simulation.

    Parameters
    ----------
    context : openmm.Context
        The simulation's: its box and parameters are taken at each use.
    system : openmm.System
        The simulation's.
    moved : (n_moved,) int
        The atoms that the generator places.
    heavy : (n_heavy,) int
        Those of them that are held: no hydrogens.
    temperature : float, K
    step_size : float, ps
        Time step of the simulation's integrator.
    properties : dict of str to str
        The simulation's platform properties.
    settings : LandingSettings, optional
        Durations, stiffnesses and tolerances; the defaults where left out.

    Raises
    ------
    LandingError
        If a moved atom is a virtual site or has no mass, or if the solute's energy cannot be told from the solvent's.
    """

    def __init__(
        self,
        context: openmm.Context,
        system: openmm.System,
        moved: np.ndarray,
        heavy: np.ndarray,
        *,
        temperature: float,
        step_size: float,
        properties: dict[str, str],
        settings: LandingSettings | None = None,
    ) -> None:
        self._main, self._moved, self._heavy = context, moved, heavy
        self._temperature, self._step_size = temperature, step_size
        self._settings = settings or LandingSettings()
        masses = masses_of(system)
        weightless = [int(i) for i in moved if system.isVirtualSite(int(i)) or not masses[i]]
        if weightless:
            raise LandingError(
                f"atoms {weightless[:5]} are placed by the generator but are virtual sites or have no mass, so MD "
                "cannot move them: use a force field without virtual sites in the protein, and give each atom its mass"
            )
        self._constraints = constraints_of(system)
        self._is_periodic = system.usesPeriodicBoundaryConditions()
        self._in_solvent = len(moved) < system.getNumParticles()
        self._system = without_couplings(system)
        self._solute = solute_alone(self._system, moved) if self._in_solvent else copy.deepcopy(self._system)
        self._restraint, self._solute_restraint = (restraint(heavy, is_periodic=self._is_periodic) for _ in range(2))
        self._system.addForce(self._restraint)
        self._solute.addForce(self._solute_restraint)
        self._platform, self._properties = platform_beside(context.getPlatform(), properties)
        self._relaxing: openmm.Context | None = None

    def relaxed(self, frame: np.ndarray) -> tuple[np.ndarray, float]:
        """Relax bonds, angles and hydrogens of a frame while heavy atoms are held.

        Parameters
        ----------
        frame : (n_atoms, 3) nm

        Returns
        -------
        positions : (n_atoms, 3) nm
        energy : float, kJ/mol
            Without that of the restraints. In explicit solvent it is the solute's own energy, without the solvent's.

        Raises
        ------
        LandingError
            If the minimisation fails.
        """
        if self._relaxing is None:
            integrator = openmm.VerletIntegrator(0.001)  # never used: a Context asks for one
            self._relaxing = openmm.Context(self._solute, integrator, self._platform, self._properties)
        context = self._relaxing
        self._place(context, frame, self._solute_restraint)
        context.setParameter(HOLD, self._settings.restraint_stiffness)
        try:
            openmm.LocalEnergyMinimizer.minimize(context, maxIterations=self._settings.minimizer_iterations)
        except openmm.OpenMMException as error:  # the engine's own words for atoms that went astray
            raise LandingError(str(error)) from error
        context.setParameter(HOLD, 0.0)
        state = context.getState(positions=True, energy=True)
        return positions_in(state), potential_energy_in(state)

    def land(self, frame: np.ndarray, last_real: np.ndarray, seed: int) -> Landed:
        """Relax a frame, warm it up held, then free; in explicit solvent, bring the last real state to it instead.

        Parameters
        ----------
        frame : (n_atoms, 3) nm
            The generated frame.
        last_real : (n_atoms, 3) nm
            The last state of real MD; its solvent is the landed state's.
        seed : int
            Decides velocities and thermal noise.

        Returns
        -------
        Landed

        Raises
        ------
        LandingError
            If the energy is not finite on the way, constraints are not met at the end, or the frame is not reached.
        """
        try:
            context = self._targeted(frame, last_real, seed) if self._in_solvent else self._warmed(frame, seed)
            return self._freed(context)
        except openmm.OpenMMException as error:  # the engine's own words for coordinates that went astray
            raise LandingError(str(error)) from error

    def _warmed(self, frame: np.ndarray, seed: int) -> openmm.Context:
        """Relax the frame and warm it up with heavy atoms held."""
        relaxed, energy = self.relaxed(frame)
        if not (np.isfinite(energy) and np.isfinite(relaxed).all()):
            raise LandingError("relaxation gave an energy that is not finite")
        step_size = min(self._settings.restrained_step, self._step_size)
        context = self._thermal_context(step_size, self._settings.friction, relaxed, seed)
        context.setParameter(HOLD, self._settings.restraint_stiffness)
        context.getIntegrator().step(round(self._settings.restrained_time / step_size))
        context.setParameter(HOLD, 0.0)
        return context

    def _targeted(self, frame: np.ndarray, last_real: np.ndarray, seed: int) -> openmm.Context:
        """Bring the solute from the last real state to the frame by targeted MD, the solvent free."""
        settings = self._settings
        deviation = openmm.RMSDForce(frame * unit.nanometer, self._heavy.tolist())
        pull = openmm.CustomCVForce(f"0.5*{_PULL}*{len(self._heavy)}*(deviation-{_DEVIATION})^2")
        pull.addCollectiveVariable("deviation", deviation)
        pull.addGlobalParameter(_PULL, 0.0)
        pull.addGlobalParameter(_DEVIATION, 0.0)
        system = copy.deepcopy(self._system)
        system.addForce(pull)
        step_size, stages = min(settings.targeting_step, self._step_size), settings.targeting_stages
        context = self._thermal_context(step_size, settings.reference_friction, last_real, seed, system)
        integrator = context.getIntegrator()
        start = pull.getCollectiveVariableValues(context)[0]
        context.setParameter(_PULL, settings.targeting_stiffness)
        for stage in range(stages):
            context.setParameter(_DEVIATION, start * (1 - (stage + 1) / stages))
            integrator.step(max(1, round(settings.targeting_time / step_size / stages)))
        (left,) = pull.getCollectiveVariableValues(context)
        if not left <= settings.targeting_tolerance:
            raise LandingError(f"the solute was not led to the frame: {left:.3f} nm of {start:.3f} are left")
        context.setParameter(_PULL, 0.0)
        return context

    def _freed(self, context: openmm.Context) -> Landed:
        """Run a little more MD with nothing held, and take the state at its end."""
        integrator = context.getIntegrator()
        integrator.setFriction(self._settings.friction)
        integrator.setStepSize(self._step_size)
        n_steps = round(self._settings.free_time / self._step_size)
        integrator.step(n_steps // 2)
        energies = []
        for _ in range(10):
            integrator.step(max(1, n_steps // 20))
            energies.append(potential_energy_in(context.getState(energy=True)))
        state = context.getState(positions=True, velocities=True)
        positions, velocities = positions_in(state), velocities_in(state)
        if not (np.isfinite(energies).all() and np.isfinite(positions).all() and np.isfinite(velocities).all()):
            raise LandingError("the short MD after relaxation ended in values that are not finite")
        pairs, lengths = self._constraints
        off = np.abs(_lengths(positions, pairs) / lengths - 1).max(initial=0.0)
        if off > self._settings.constraint_tolerance:
            raise LandingError(f"a constraint is off by {off:.2g} of its length after landing")
        return Landed(positions, velocities, float(np.mean(energies)))

    def real_frame(self, frame: np.ndarray) -> tuple[np.ndarray, float]:
        """The simulation's present frame (n_atoms, 3) nm, which is real MD's, with its potential energy, kJ/mol."""
        return frame, potential_energy_in(self._main.getState(energy=True))

    def real_frames(self, start: np.ndarray, seed: int) -> list[tuple[np.ndarray, float]]:
        """Run a short real MD from here, for frames to compare generated ones with.

        Parameters
        ----------
        start : (n_atoms, 3) nm
        seed : int

        Returns
        -------
        list of (frame, energy)
            Positions (n_atoms, 3) in nm and potential energy in kJ/mol.

        Raises
        ------
        LandingError
            If positions or energies are not finite.
        """
        # Relaxed without their solvent, hydrogens of a solute turn to where water stands.
        begin = start if self._in_solvent else self.relaxed(start)[0]
        try:
            frames = self._simulated(begin, seed)
        except openmm.OpenMMException as error:
            raise LandingError(_NOTHING_REAL) from error
        if not np.isfinite([energy for _, energy in frames]).all():
            raise LandingError(_NOTHING_REAL)
        return frames

    def _simulated(self, begin: np.ndarray, seed: int) -> list[tuple[np.ndarray, float]]:
        """Frames and potential energies of a short real MD from here."""
        settings, step_size = self._settings, self._step_size
        context = self._thermal_context(step_size, settings.reference_friction, begin, seed)
        integrator = context.getIntegrator()
        integrator.step(round(settings.reference_delay / step_size))
        frames = []
        for _ in range(settings.reference_frames):
            integrator.step(round(settings.reference_interval / step_size))
            state = context.getState(positions=True, energy=True)
            frames.append((positions_in(state), potential_energy_in(state)))
        return frames

    def _thermal_context(
        self, step_size: float, friction: float, frame: np.ndarray, seed: int, system: openmm.System | None = None
    ) -> openmm.Context:
        """A Context that stands at the frame with thermal velocities; of the System with restraints by default."""
        integrator = openmm.LangevinMiddleIntegrator(self._temperature, friction, step_size)
        integrator.setRandomNumberSeed(openmm_seed(seed))
        context = openmm.Context(system or self._system, integrator, self._platform, self._properties)
        if system:
            self._surround(context)
            context.setPositions(frame)
        else:
            self._place(context, frame, self._restraint)
        context.applyConstraints(integrator.getConstraintTolerance())
        context.setVelocitiesToTemperature(self._temperature, openmm_seed(seed))
        return context

    def _place(self, context: openmm.Context, frame: np.ndarray, force: openmm.CustomExternalForce) -> None:
        """Put a frame into a Context, and let the restraints hold it where it is."""
        self._surround(context)
        for k, i in enumerate(self._heavy):
            force.setParticleParameters(k, int(i), frame[i])
        force.updateParametersInContext(context)
        context.setPositions(frame)
        context.computeVirtualSites()

    def _surround(self, context: openmm.Context) -> None:
        """Give a Context the simulation's box and parameters, and hold nothing."""
        main = self._main.getParameters()
        for name in context.getParameters():
            if name in main:
                context.setParameter(name, main[name])
        if self._is_periodic:
            context.setPeriodicBoxVectors(*self._main.getState().getPeriodicBoxVectors())
        context.setParameter(HOLD, 0.0)


def _lengths(frame: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return np.linalg.norm(frame[pairs[:, 0]] - frame[pairs[:, 1]], axis=-1)


def require_constraints_met(
    system: openmm.System, positions: np.ndarray, tolerance: float, atoms: np.ndarray | None = None
) -> None:
    """Refuse positions of real MD that are far from what constraints ask of some atoms.

    Parameters
    ----------
    system : openmm.System
    positions : (n_atoms, 3) nm
    tolerance : float, nm
    atoms : (n,) int, optional
        Constraints with one of these are looked at; by default all are.

    Raises
    ------
    LandingError
        Naming the first constraint.
    """
    pairs, lengths = constraints_of(system)
    off = np.abs(_lengths(positions, pairs) - lengths)
    looked_at = np.full(len(pairs), True) if atoms is None else np.isin(pairs, atoms).any(axis=1)
    bad = np.flatnonzero((off > tolerance) & looked_at)
    if len(bad):
        (i, j), k = pairs[bad[0]], bad[0]
        raise LandingError(
            f"atoms {i} and {j} are constrained to {lengths[k]:.3f} nm, and the present positions have them "
            f"{off[k]:.3f} nm from that: a landing cannot meet it. Remove the constraint (a restraint force does "
            "the same softly), or set positions that meet it"
        )
