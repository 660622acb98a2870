"""From prepared structures to the state that recorded MD begins with: minimised, heated if asked for, equilibrated.

What came of a structure is compared with what it was to be: a peptide whose residue was turned into its mirror image is
built anew, and all that it is packed with begins again with it. Times in picosecond, positions in nanometre.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.md.conditions import MDProtocol
from openmm_mdgen.md.engines import Engine, advance
from openmm_mdgen.md.heating import HOT, restrained
from openmm_mdgen.md.prepared import Prepared
from openmm_mdgen.md.systems import langevin, positions_of


@dataclass(frozen=True)
class Equilibration:
    """How engines are equilibrated.

    Parameters
    ----------
    protocol : MDProtocol
    platform : str
        Name of OpenMM's platform.
    threads : int
        Of the CPU platform.
    seed : int
        Of velocities and random forces.
    """

    protocol: MDProtocol
    platform: str
    threads: int
    seed: int

    def started(
        self, prepared: Sequence[Prepared], engine_of: Callable[[Sequence[Prepared]], Engine]
    ) -> tuple[list[Prepared], Engine, openmm.State]:
        """Equilibrate structures together.

        Parameters
        ----------
        prepared : sequence of Prepared
        engine_of : callable
            Makes an engine of them.

        Returns
        -------
        prepared : list of Prepared
            Those that were built anew in place of others that came out wrong.
        engine : Engine
            Of these.
        state : openmm.State
            Positions and velocities.

        Raises
        ------
        StateError
            If MD breaks down, or a structure comes out wrong that was not built, or was built in vain too often.
        """
        structures = list(prepared)
        while True:
            engine = engine_of(structures)
            simulation = self._minimised(engine)
            faults = _faults(structures, engine, positions_of(simulation.context))
            if not faults:
                state = self._equilibrated(engine, simulation)
                positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
                faults = _faults(structures, engine, positions)
            if not faults:
                return structures, engine, state
            structures = [one.drawn_anew(faults[k]) if k in faults else one for k, one in enumerate(structures)]

    def simulation(self, engine: Engine, system: openmm.System, *, temperature: float | None = None) -> app.Simulation:
        """A simulation of one of the engine's Systems, by default at the protocol's temperature."""
        protocol = self.protocol
        integrator = langevin(
            temperature=temperature or protocol.temperature,
            friction=protocol.friction,
            step_size=protocol.step_size,
            seed=self.seed,
        )
        properties = {"Threads": str(self.threads)} if self.platform == "CPU" else {}
        return app.Simulation(
            engine.topology, system, integrator, openmm.Platform.getPlatformByName(self.platform), properties
        )

    def _minimised(self, engine: Engine) -> app.Simulation:
        simulation = self.simulation(engine, engine.stages[0])
        simulation.context.setPositions(engine.positions)
        simulation.minimizeEnergy()
        return simulation

    def _equilibrated(self, engine: Engine, simulation: app.Simulation) -> openmm.State:
        """The state after all stages, from a minimised one."""
        steps = round(self.protocol.equilibration / self.protocol.step_size)
        simulation.context.setVelocitiesToTemperature(self.protocol.temperature, self.seed)
        if self.protocol.heating:
            self._heat(engine, simulation)
        advance(engine, simulation.context, steps)
        for system in engine.stages[1:]:
            # Without parameters, those of a barostat among them, which the stage before may not have.
            state = simulation.context.getState(positions=True, velocities=True)
            simulation = self.simulation(engine, system)
            simulation.context.setState(state)
            advance(engine, simulation.context, steps)
        return simulation.context.getState(positions=True, velocities=True)

    def _heat(self, engine: Engine, simulation: app.Simulation) -> None:
        """Heat what was minimised, then let it settle at the protocol's temperature."""
        steps = round(self.protocol.heating / self.protocol.step_size)
        minimised = positions_of(simulation.context)
        hot = self.simulation(engine, restrained(engine.stages[0], engine.topology, minimised), temperature=HOT)
        hot.context.setPositions(minimised)
        hot.context.setVelocitiesToTemperature(HOT, self.seed)
        advance(engine, hot.context, steps)
        simulation.context.setPositions(positions_of(hot.context))
        simulation.context.setVelocitiesToTemperature(self.protocol.temperature, self.seed)
        advance(engine, simulation.context, steps)


def _faults(prepared: Sequence[Prepared], engine: Engine, positions: np.ndarray) -> dict[int, str]:
    """What is wrong with each structure of an engine, by its number, where something is."""
    found = (one.fault(positions[atoms]) for one, atoms in zip(prepared, engine.slices, strict=True))
    return {k: fault for k, fault in enumerate(found) if fault}
