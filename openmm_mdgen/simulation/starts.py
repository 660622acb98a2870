"""How the structure is relaxed that a run of generated frames starts from.

Generated frames have the bond lengths, angles and hydrogens of that structure. The simulation's Context is read and
never written. Positions are ``(n_atoms, 3)`` in nm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import openmm
from openmm import app

from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.md.minimisation import (
    Iterations,
    Lines,
    Minimiser,
    is_peptide,
    minimise_context,
    require_sound,
    without_constraints,
)
from openmm_mdgen.md.stereochemistry import Stereochemistry
from openmm_mdgen.simulation.side_systems import same_every_time
from openmm_mdgen.simulation.states import positions_in
from openmm_mdgen.simulation.warn import warn


@runtime_checkable
class Start(Protocol):
    """What relaxes the present structure of a simulation."""

    def relaxed(
        self, topology: app.Topology, system: openmm.System, context: openmm.Context, properties: dict[str, str]
    ) -> np.ndarray:
        """The relaxed structure.

        Parameters
        ----------
        topology, system, context
            The simulation's.
        properties : dict of str to str
            The simulation's platform properties.

        Returns
        -------
        (n_atoms, 3) nm

        Raises
        ------
        StateError
            If it cannot be relaxed.
        """
        ...


@dataclass(frozen=True)
class AsGiven:
    """The present structure as it stands, for one that was minimised before.

    Examples
    --------
    >>> simulation = MDGenSimulation(topology, system, integrator, generator="protein.ckpt", start=AsGiven())
    >>> simulation.context.setPositions(positions)
    >>> simulation.minimizeEnergy()
    """

    def relaxed(
        self, topology: app.Topology, system: openmm.System, context: openmm.Context, properties: dict[str, str]
    ) -> np.ndarray:
        """The present structure."""
        return positions_in(context.getState(positions=True))


@dataclass(frozen=True)
class Minimised:
    """The present structure minimised in the simulation's own System.

    Peptides of up to ten residues are minimised on one thread, so that one seed and one structure give one run, bit for
    bit. Longer chains are minimised on all threads of the simulation's platform, whose forces are rounded differently
    from call to call; the error stream tells how it goes on. Name ``{"Threads": "1"}`` as the platform's properties, or
    minimise before and take `AsGiven`, where a protein's run has to be repeated bit for bit.

    Parameters
    ----------
    max_iterations : int
        Largest number of iterations.
    """

    max_iterations: int = 500

    def __post_init__(self) -> None:
        if self.max_iterations < 1:
            raise MDGenError(f"max_iterations {self.max_iterations}: allow at least one")

    def relaxed(
        self, topology: app.Topology, system: openmm.System, context: openmm.Context, properties: dict[str, str]
    ) -> np.ndarray:
        """The minimised structure."""
        if is_peptide(topology):
            found = self._to_the_end(system, context, properties)
        else:
            found = self._watched(topology, system, context, properties)
        Stereochemistry.of(topology).require_kept(positions_in(context.getState(positions=True)), found)
        return found

    def _to_the_end(self, system: openmm.System, context: openmm.Context, properties: dict[str, str]) -> np.ndarray:
        platform = context.getPlatform()
        copied = openmm.Context(system, openmm.VerletIntegrator(0.001), platform, same_every_time(platform, properties))
        copied.setState(context.getState(positions=True, parameters=True))
        told = Iterations(Lines("minimising the start"))  # which takes long with much water
        openmm.LocalEnergyMinimizer.minimize(copied, maxIterations=self.max_iterations, reporter=told)
        relaxed = positions_in(copied.getState(positions=True))
        if not np.isfinite(relaxed).all():
            raise StateError("energy minimisation of the start failed: mend the structure, then set its positions")
        return relaxed

    def _watched(
        self, topology: app.Topology, system: openmm.System, context: openmm.Context, properties: dict[str, str]
    ) -> np.ndarray:
        platform, minimiser = context.getPlatform(), Minimiser(self.max_iterations)
        free = openmm.Context(without_constraints(system), openmm.VerletIntegrator(0.001), platform, properties)
        free.setState(context.getState(positions=True, parameters=True))
        start = minimise_context(free, minimiser, watch=Lines("minimising the start", self.max_iterations))
        require_sound(topology, system, start, np.arange(topology.getNumAtoms()))
        if not start.has_converged:
            warn(f"{start}; bonds and contacts are sound, so the start is used")
        constrained = openmm.Context(system, openmm.VerletIntegrator(0.001), platform, properties)
        constrained.setState(free.getState(positions=True, parameters=True))
        constrained.applyConstraints(constrained.getIntegrator().getConstraintTolerance())
        return positions_in(constrained.getState(positions=True))
