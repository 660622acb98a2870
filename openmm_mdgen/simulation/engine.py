"""What OpenMM holds of one simulation: read, and set to a generated frame, in one place.

Positions are ``(n_atoms, 3)`` in nm, times in ps, temperatures in K.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.errors import StateError
from openmm_mdgen.molecule.positions import BondedAtoms, usable
from openmm_mdgen.molecule.strand import describe
from openmm_mdgen.simulation.integrators import temperature_of
from openmm_mdgen.simulation.starts import Minimised, Start
from openmm_mdgen.simulation.states import box_in, positions_in
from openmm_mdgen.simulation.velocities import ThermalVelocities

# Their Contexts hold positions as they were set, in double precision; those of others may round them.
_EXACT_PLATFORMS = ("Reference", "CPU")
_ANDERSEN = openmm.AndersenThermostat.Temperature()  # the parameter's name


@dataclass(frozen=True, eq=False)
class Here:
    """Where a simulation stands."""

    step: int  # step count
    positions: np.ndarray  # (n_atoms, 3) nm

    def is_at(self, other: Here) -> bool:
        """Whether both are the same step count and, bit for bit, the same positions."""
        return self.step == other.step and np.array_equal(self.positions, other.positions)


@dataclass(frozen=True, eq=False)
class Engine:
    """System, integrator and Context of one simulation.

    It knows nothing of the simulation's reporters, so that they are let go with it.
    """

    topology: app.Topology
    system: openmm.System
    integrator: openmm.Integrator
    context: openmm.Context
    properties: dict[str, str]  # of the platform
    start: Start = Minimised()  # how the structure that a run starts from is relaxed

    @cached_property
    def _is_exact(self) -> bool:
        """Whether the Context holds positions bit for bit as they were set."""
        return self.context.getPlatform().getName() in _EXACT_PLATFORMS

    @cached_property
    def _velocities(self) -> ThermalVelocities:
        return ThermalVelocities(self.system, self.integrator, self.context)

    @cached_property
    def _has_andersen_thermostat(self) -> bool:
        return any(isinstance(force, openmm.AndersenThermostat) for force in self.system.getForces())

    @property
    def step(self) -> int:
        return self.context.getStepCount()

    @property
    def step_size(self) -> float:
        """Ps."""
        return self.integrator.getStepSize().value_in_unit(unit.picosecond)

    def temperature(self) -> float | None:
        """The temperature that integrator or thermostat keep, in K; None where none is kept."""
        own = temperature_of(self.integrator)
        return self.context.getParameter(_ANDERSEN) if own is None and self._has_andersen_thermostat else own

    def here(self) -> Here:
        """Where the simulation stands; reads all positions from the Context."""
        return Here(self.step, positions_in(self.context.getState(positions=True)))

    def place(self, frame: np.ndarray, steps: int, *, step_size: float, temperature: float, seed: int) -> Here:
        """Set the Context to a frame that is some steps ahead, with thermal velocities.

        Parameters
        ----------
        frame : (n_atoms, 3) nm
        steps : int
            Steps that the frame is ahead of the present.
        step_size : float, ps
        temperature : float, K
        seed : int
            Decides the velocities.

        Returns
        -------
        Here
            The new place, with positions as the Context holds them.
        """
        context, step = self.context, self.step + steps
        now = context.getTime().value_in_unit(unit.picosecond)
        context.setPositions(frame)
        context.setStepCount(step)
        context.setTime(now + steps * step_size)
        self._velocities.draw(temperature, seed)
        return Here(step, frame) if self._is_exact else self.here()

    def relaxed(self) -> np.ndarray:
        """The present structure as a run starts from it, (n_atoms, 3) nm."""
        return self.start.relaxed(self.topology, self.system, self.context, self.properties)

    @cached_property
    def _protein(self) -> BondedAtoms:
        return BondedAtoms(self.topology)

    def usable(self, here: Here) -> Here:
        """Where the simulation stands, its protein whole: set so in the Context if it was torn over the periodic box.

        Raises
        ------
        MDGenError
            If positions are not set, not finite or in ångström, or the protein is torn or lacks residues.
        """
        remedy = "give the structure to simulation.context.setPositions(positions), or load a state"
        bad = np.flatnonzero(~np.isfinite(here.positions).all(axis=1))
        if len(bad):
            atom = list(self.topology.atoms())[bad[0]]
            first = f"the first is {describe(atom.residue)}, atom {atom.name}, atom index {atom.index}"
            raise StateError(f"positions of {len(bad)} atoms are not finite, {first}: {remedy}")
        try:
            self.context.getState(energy=True)  # the Context tells only here whether it has positions
        except openmm.OpenMMException as error:
            if "positions have not been set" in str(error):
                raise StateError(f"the simulation has no positions: {remedy}") from error
            raise
        box = box_in(self.context) if self.system.usesPeriodicBoundaryConditions() else None
        whole = usable("the simulation's positions", self._protein, here.positions, box)
        if whole is here.positions:
            return here
        self.context.setPositions(whole)
        return self.here()
