"""From a generated frame to a state that real MD goes on from, in Contexts beside the simulation's own.

A *frame* is all atoms' positions, ``(n_atoms, 3)`` nm; *moved* atoms are those that the generator places, the others
are solvent and ions. A generated frame is cold: its bonds, angles and hydrogens stand still. Landing relaxes it
with the heavy moved atoms held, gives it velocities, lets it warm up held, and then free. In solvent the latest real
state, the *ground*, is led to the frame instead: targeted MD lowers the deviation of the solute's heavy atoms while
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

from openmm_mdgen.errors import LandingError, StateError

_HELD = "openmm_mdgen_hold"  # global parameter: kJ/mol/nm² of the restraints
_STIFF = 1000.0  # kJ/mol/nm²
_ITERATIONS = 50  # of a relaxation
_START_ITERATIONS = 500  # of the structure that a run starts from
_FRICTION = 10.0  # 1/ps, while it warms up
_GENTLE_STEP = 0.001  # ps, at most, while atoms are held
_LED_STEP = 0.002  # ps, at most, while they are led
_HELD_TIME, _FREE_TIME = 0.2, 2.0  # ps
_LED, _LED_DEVIATION = "openmm_mdgen_lead", "openmm_mdgen_deviation"  # kJ/mol/nm² an atom; nm
_LEAD = 5000.0  # kJ/mol/nm² for each held atom: softer ones stop at the barriers of torsions
_LED_TIME, _LED_STAGES = 20.0, 100  # ps of targeted MD, and in how many stages the deviation is lowered
_REACHED = 0.06  # nm of deviation at the end of it, at most
_SAMPLES, _SAMPLE_INTERVAL, _SAMPLE_DELAY = 20, 1.0, 5.0  # real MD for comparison: how many, ps apart, ps before them
_SAMPLE_FRICTION = 1.0  # 1/ps
_CONSTRAINT_TOLERANCE = 1e-3  # of a constraint's length, in a landed state
_LOOSE_CONSTRAINT = 0.05  # nm that the start may differ from a constraint's length

_COUPLINGS = (
    openmm.MonteCarloBarostat,
    openmm.MonteCarloAnisotropicBarostat,
    openmm.MonteCarloMembraneBarostat,
    openmm.MonteCarloFlexibleBarostat,
    openmm.AndersenThermostat,
)
_BETWEEN_ALL = (
    openmm.CustomNonbondedForce,
    openmm.GBSAOBCForce,
    openmm.CustomGBForce,
    openmm.CustomManyParticleForce,
    openmm.AmoebaMultipoleForce,
    openmm.AmoebaVdwForce,
)
# Contexts beside the simulation's repeat themselves bit for bit: the same seed has to give the same run.
_SAME_EVERY_TIME = {"DeterministicForces": "true", "Threads": "1"}


@dataclass(frozen=True, eq=False)
class Landed:
    """A state that real MD goes on from."""

    positions: np.ndarray  # (n_atoms, 3) nm
    velocities: np.ndarray  # (n_atoms, 3) nm/ps
    potential_energy: float  # kJ/mol, mean over the second half of the free warming up


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
        The simulation's integrator's.
    properties : dict of str to str
        The simulation's platform properties.

    Raises
    ------
    LandingError
        If a moved atom is a virtual site, or has no mass.
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
    ) -> None:
        self._main, self._moved, self._heavy = context, moved, heavy
        self._temperature, self._step_size = temperature, step_size
        weightless = [
            int(i) for i in moved if system.isVirtualSite(int(i)) or not system.getParticleMass(int(i))._value
        ]
        if weightless:
            raise LandingError(
                f"atoms {weightless[:5]} are placed by the generator but are virtual sites or have no mass, so MD "
                "cannot move them: use a force field without virtual sites in the protein, and give each atom its mass"
            )
        self._constraints = _constraints(system)
        self._is_periodic = system.usesPeriodicBoundaryConditions()
        self._in_solvent = len(moved) < system.getNumParticles()
        self._system = _without_couplings(system)
        self._solute = _solute_alone(self._system, moved) if self._in_solvent else copy.deepcopy(self._system)
        self._restraint, self._solute_restraint = (_restraint(self._heavy, self._is_periodic) for _ in range(2))
        self._system.addForce(self._restraint)
        self._solute.addForce(self._solute_restraint)
        self._platform, self._properties = _beside(context.getPlatform(), properties)
        self._relaxing: openmm.Context | None = None

    def check_constraints(self, frame: np.ndarray) -> None:
        """Raise `LandingError` if a frame of real MD is far from what constraints ask of moved atoms."""
        pairs, lengths = self._constraints
        off = np.abs(_lengths(frame, pairs) - lengths)
        bad = np.flatnonzero((off > _LOOSE_CONSTRAINT) & np.isin(pairs, self._moved).any(axis=1))
        if len(bad):
            (i, j), k = pairs[bad[0]], bad[0]
            raise LandingError(
                f"atoms {i} and {j} are constrained to {lengths[k]:.3f} nm, and the present positions have them "
                f"{off[k]:.3f} nm from that: a landing cannot meet it. Remove the constraint (a restraint force does "
                "the same softly), or set positions that meet it"
            )

    def relaxed(self, frame: np.ndarray) -> tuple[np.ndarray, float]:
        """Bonds, angles and hydrogens relaxed around held heavy atoms; the frame and its energy without the holding.

        In solvent it is the solute's own energy, without the solvent's.
        """
        if self._relaxing is None:
            integrator = openmm.VerletIntegrator(_GENTLE_STEP)
            self._relaxing = openmm.Context(self._solute, integrator, self._platform, self._properties)
        context = self._relaxing
        self._place(context, frame, self._solute_restraint)
        context.setParameter(_HELD, _STIFF)
        try:
            openmm.LocalEnergyMinimizer.minimize(context, maxIterations=_ITERATIONS)
        except openmm.OpenMMException as error:  # the engine's own words for atoms that went astray
            raise LandingError(str(error)) from error
        context.setParameter(_HELD, 0.0)
        state = context.getState(positions=True, energy=True)
        return _positions(state), _energy(state)

    def land(self, frame: np.ndarray, ground: np.ndarray, seed: int) -> Landed:
        """Relax, warm up held, warm up free; in solvent, lead the ground to the frame, and let it go.

        Parameters
        ----------
        frame, ground : (n_atoms, 3) nm
            Where to, and the latest state of real MD.
        seed : int

        Raises
        ------
        LandingError
            If the energy is not finite on the way, constraints are not met at the end, or the frame is not reached.
        """
        try:
            context = self._led(frame, ground, seed) if self._in_solvent else self._warmed(frame, seed)
            return self._freed(context)
        except openmm.OpenMMException as error:  # the engine's own words for coordinates that went astray
            raise LandingError(str(error)) from error

    def _warmed(self, frame: np.ndarray, seed: int) -> openmm.Context:
        """The frame relaxed and warm, still held."""
        relaxed, energy = self.relaxed(frame)
        if not (np.isfinite(energy) and np.isfinite(relaxed).all()):
            raise LandingError("relaxation gave an energy that is not finite")
        gentle = min(_GENTLE_STEP, self._step_size)
        context = self._thermal_context(gentle, _FRICTION, relaxed, seed)
        context.setParameter(_HELD, _STIFF)
        context.getIntegrator().step(round(_HELD_TIME / gentle))
        context.setParameter(_HELD, 0.0)
        return context

    def _led(self, frame: np.ndarray, ground: np.ndarray, seed: int) -> openmm.Context:
        """Targeted MD from the ground to the frame, the solvent free."""
        deviation = openmm.RMSDForce(frame * unit.nanometer, self._heavy.tolist())
        lead = openmm.CustomCVForce(f"0.5*{_LED}*{len(self._heavy)}*(deviation-{_LED_DEVIATION})^2")
        lead.addCollectiveVariable("deviation", deviation)
        lead.addGlobalParameter(_LED, 0.0)
        lead.addGlobalParameter(_LED_DEVIATION, 0.0)
        system = copy.deepcopy(self._system)
        system.addForce(lead)
        step_size = min(_LED_STEP, self._step_size)
        context = self._thermal_context(step_size, _SAMPLE_FRICTION, ground, seed, system)
        integrator = context.getIntegrator()
        start = lead.getCollectiveVariableValues(context)[0]
        context.setParameter(_LED, _LEAD)
        for stage in range(_LED_STAGES):
            context.setParameter(_LED_DEVIATION, start * (1 - (stage + 1) / _LED_STAGES))
            integrator.step(max(1, round(_LED_TIME / step_size / _LED_STAGES)))
        (left,) = lead.getCollectiveVariableValues(context)
        if not left <= _REACHED:
            raise LandingError(f"the solute was not led to the frame: {left:.3f} nm of {start:.3f} are left")
        context.setParameter(_LED, 0.0)
        return context

    def _freed(self, context: openmm.Context) -> Landed:
        """The state after a little more MD with nothing held."""
        integrator = context.getIntegrator()
        integrator.setFriction(_FRICTION)
        integrator.setStepSize(self._step_size)
        n_steps = round(_FREE_TIME / self._step_size)
        integrator.step(n_steps // 2)
        energies = []
        for _ in range(10):
            integrator.step(max(1, n_steps // 20))
            energies.append(_energy(context.getState(energy=True)))
        state = context.getState(positions=True, velocities=True)
        positions, velocities = _positions(state), np.asarray(state.getVelocities(asNumpy=True)._value)
        if not (np.isfinite(energies).all() and np.isfinite(positions).all() and np.isfinite(velocities).all()):
            raise LandingError("the short MD after relaxation ended in values that are not finite")
        pairs, lengths = self._constraints
        if len(pairs) and (off := np.abs(_lengths(positions, pairs) / lengths - 1).max()) > _CONSTRAINT_TOLERANCE:
            raise LandingError(f"a constraint is off by {off:.2g} of its length after landing")
        return Landed(positions, velocities, float(np.mean(energies)))

    def real_frame(self, frame: np.ndarray) -> tuple[np.ndarray, float]:
        """A frame of the simulation's own MD and its potential energy."""
        return frame, _energy(self._main.getState(energy=True))

    def real_frames(self, start: np.ndarray, seed: int) -> list[tuple[np.ndarray, float]]:
        """Frames of a short real MD from here and their potential energies, to compare generated ones with."""
        context = self._thermal_context(self._step_size, _SAMPLE_FRICTION, self.relaxed(start)[0], seed)
        integrator = context.getIntegrator()
        integrator.step(round(_SAMPLE_DELAY / self._step_size))
        frames = []
        for _ in range(_SAMPLES):
            integrator.step(round(_SAMPLE_INTERVAL / self._step_size))
            state = context.getState(positions=True, energy=True)
            frames.append((_positions(state), _energy(state)))
        if not np.isfinite([energy for _, energy in frames]).all():
            raise LandingError(
                "a short MD from the present structure ended in energies that are not finite, so there is nothing to "
                "compare generated frames with: mend or minimise the structure, or take a smaller step size"
            )
        return frames

    def _thermal_context(
        self, step_size: float, friction: float, frame: np.ndarray, seed: int, system: openmm.System | None = None
    ) -> openmm.Context:
        integrator = openmm.LangevinMiddleIntegrator(self._temperature, friction, step_size)
        integrator.setRandomNumberSeed(seed % (2**31 - 1) + 1)  # zero would draw one
        context = openmm.Context(system or self._system, integrator, self._platform, self._properties)
        if system:
            self._surround(context)
            context.setPositions(frame)
        else:
            self._place(context, frame, self._restraint)
        context.applyConstraints(integrator.getConstraintTolerance())
        context.setVelocitiesToTemperature(self._temperature, seed % (2**31 - 1) + 1)
        return context

    def _place(self, context: openmm.Context, frame: np.ndarray, restraint: openmm.CustomExternalForce) -> None:
        """The frame, ready to be held where it is."""
        self._surround(context)
        for k, i in enumerate(self._heavy):
            restraint.setParticleParameters(k, int(i), frame[i])
        restraint.updateParametersInContext(context)
        context.setPositions(frame)
        context.computeVirtualSites()

    def _surround(self, context: openmm.Context) -> None:
        """The simulation's box and parameters, and nothing held."""
        main = self._main.getParameters()
        for name in context.getParameters():
            if name in main:
                context.setParameter(name, main[name])
        if self._is_periodic:
            context.setPeriodicBoxVectors(*self._main.getState().getPeriodicBoxVectors())
        context.setParameter(_HELD, 0.0)


def relaxed_copy(context: openmm.Context, system: openmm.System, properties: dict[str, str]) -> np.ndarray:
    """(n_atoms, 3) nm: the present structure of a simulation, minimised in a Context of its own.

    Raises
    ------
    StateError
        If that fails.
    """
    platform = context.getPlatform()
    copied = openmm.Context(system, openmm.VerletIntegrator(0.001), platform, _same_every_time(platform, properties))
    copied.setState(context.getState(positions=True, parameters=True))
    openmm.LocalEnergyMinimizer.minimize(copied, maxIterations=_START_ITERATIONS)
    relaxed = _positions(copied.getState(positions=True))
    if not np.isfinite(relaxed).all():
        raise StateError("energy minimisation of the start failed: mend the structure, then set its positions")
    return relaxed


def _without_couplings(system: openmm.System) -> openmm.System:
    system = copy.deepcopy(system)
    for index in reversed(range(system.getNumForces())):
        if isinstance(system.getForce(index), _COUPLINGS):
            system.removeForce(index)
    return system


def _solute_alone(system: openmm.System, moved: np.ndarray) -> openmm.System:
    """A System in which the other atoms neither move nor act."""
    system, is_moved = copy.deepcopy(system), np.zeros(system.getNumParticles(), dtype=bool)
    is_moved[moved] = True
    for k in reversed(range(system.getNumConstraints())):
        i, j, _ = system.getConstraintParameters(k)
        if not (is_moved[i] and is_moved[j]):
            system.removeConstraint(k)
    for i in np.flatnonzero(~is_moved):
        system.setParticleMass(int(i), 0.0)
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            _silence(force, is_moved)
        elif isinstance(force, _BETWEEN_ALL):
            raise LandingError(
                f"{type(force).__name__} joins the solute with its solvent, and the solute's own energy cannot be told "
                "from it: use a force field whose nonbonded terms are all in NonbondedForce, or implicit solvent"
            )
    return system


def _silence(force: openmm.NonbondedForce, is_moved: np.ndarray) -> None:
    for i in np.flatnonzero(~is_moved):
        force.setParticleParameters(int(i), 0.0, 0.1, 0.0)
    for k in range(force.getNumExceptions()):
        i, j, *_ = force.getExceptionParameters(k)
        if not (is_moved[i] and is_moved[j]):
            force.setExceptionParameters(k, i, j, 0.0, 0.1, 0.0)


def _restraint(atoms: np.ndarray, is_periodic: bool) -> openmm.CustomExternalForce:
    square = "periodicdistance(x,y,z,x0,y0,z0)^2" if is_periodic else "(x-x0)^2+(y-y0)^2+(z-z0)^2"
    force = openmm.CustomExternalForce(f"0.5*{_HELD}*({square})")
    force.addGlobalParameter(_HELD, 0.0)
    for name in ("x0", "y0", "z0"):
        force.addPerParticleParameter(name)
    for i in atoms:
        force.addParticle(int(i), (0.0, 0.0, 0.0))
    return force


def _beside(platform: openmm.Platform, properties: dict[str, str]) -> tuple[openmm.Platform, dict[str, str]]:
    """The platform of Contexts beside the simulation's.

    Contexts of the Reference platform share one stream of random numbers, so those beside it are of the CPU platform:
    a segment that was tried and rejected must not change the real MD.
    """
    if platform.getName() == "Reference":
        platform, properties = openmm.Platform.getPlatform("CPU"), {}
    return platform, _same_every_time(platform, properties)


def _same_every_time(platform: openmm.Platform, properties: dict[str, str]) -> dict[str, str]:
    return properties | {k: value for k, value in _SAME_EVERY_TIME.items() if k in platform.getPropertyNames()}


def _constraints(system: openmm.System) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (n, 2) and lengths (n,) nm."""
    found = [system.getConstraintParameters(k) for k in range(system.getNumConstraints())]
    pairs = np.array([(i, j) for i, j, _ in found], dtype=int).reshape(-1, 2)
    return pairs, np.array([length.value_in_unit(unit.nanometer) for _, _, length in found])


def _lengths(frame: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return np.linalg.norm(frame[pairs[:, 0]] - frame[pairs[:, 1]], axis=-1)


def _positions(state: openmm.State) -> np.ndarray:
    return np.asarray(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer))


def _energy(state: openmm.State) -> float:
    return state.getPotentialEnergy().value_in_unit(unit.kilojoules_per_mole)
