"""Systems that are simulated, with the molecules whose motion is recorded.

An *engine* is a System with the molecules that are recorded: a `PackedSystem` of many molecules in implicit solvent,
a `SolvatedSystem` of one molecule in a box of water, or an `OwnFieldSystem`. Positions are ``(n_atoms, 3)`` in
nanometre.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.errors import StateError
from openmm_mdgen.md.conditions import MDProtocol
from openmm_mdgen.md.own_fields import PreparedInOwnField
from openmm_mdgen.md.packed_system import Molecule
from openmm_mdgen.md.systems import positions_of, solvated
from openmm_mdgen.seeds import openmm_seed

_STEPS_BETWEEN_LOOKS = 1250  # 5 ps of 4 fs, in which a tetrapeptide diffuses well under a nanometre


class Engine(Protocol):
    """A System and what is recorded of it."""

    topology: app.Topology
    system: openmm.System
    positions: np.ndarray  # (n_atoms, 3), nm: the start
    stages: list[openmm.System]  # equilibrated in one after the other; the last is `system`

    @property
    def slices(self) -> Sequence[slice | np.ndarray]:
        """Atoms of each molecule that is recorded."""
        ...

    def has_drifted(self, positions: np.ndarray) -> bool:
        """Whether molecules have to be brought back with `recentred`."""
        ...

    def recentred(self, positions: np.ndarray) -> np.ndarray:
        """Positions with each molecule brought back to its place."""
        ...


class SolvatedSystem:
    """One molecule in a box of water with ions that neutralise it, as `systems.solvated` makes it.

    Parameters
    ----------
    molecule : Molecule
    protocol : MDProtocol
        Gives the temperature and the mass of hydrogens.
    seed : int
        Seed of the barostat.
    """

    def __init__(self, molecule: Molecule, protocol: MDProtocol, *, seed: int) -> None:
        self.topology, self.system, positions = solvated(
            molecule.topology,
            molecule.positions,
            temperature=protocol.temperature,
            hydrogen_mass=protocol.hydrogen_mass,
            seed=seed,
        )
        self.positions = np.array(positions.value_in_unit(unit.nanometer))
        self.slices: list[slice] = [slice(0, molecule.topology.getNumAtoms())]
        constant_volume = openmm.XmlSerializer.clone(self.system)
        constant_volume.removeForce(constant_volume.getNumForces() - 1)  # the barostat
        self.stages = [constant_volume, self.system]

    def has_drifted(self, positions: np.ndarray) -> bool:
        """Never: a molecule may go anywhere in its periodic box."""
        return False

    def recentred(self, positions: np.ndarray) -> np.ndarray:
        """Return the positions as they are."""
        return positions


class OwnFieldSystem:
    """A protein with all that its files hold, in the force field that they bring.

    Parameters
    ----------
    prepared : PreparedInOwnField
    protocol : MDProtocol
        Gives the temperature and the mass of hydrogens.
    seed : int
        Seed of the barostat.

    Raises
    ------
    MDGenError
        If there is water and no periodic box, or neither water nor radii for implicit solvent.
    """

    def __init__(self, prepared: PreparedInOwnField, protocol: MDProtocol, *, seed: int) -> None:
        field = prepared.field
        field.require_dynamics()
        constant_volume = field.system(
            **field.solvent(), constraints=app.HBonds, hydrogenMass=protocol.hydrogen_mass * unit.amu
        )
        self.topology, self.system = field.topology, openmm.XmlSerializer.clone(constant_volume)
        self.positions = prepared.whole_positions
        self.slices: list[np.ndarray] = [prepared.atoms]
        self.stages = [self.system]
        if field.has_water:
            barostat = openmm.MonteCarloBarostat(1 * unit.bar, protocol.temperature * unit.kelvin)
            barostat.setRandomNumberSeed(openmm_seed(seed))
            self.system.addForce(barostat)
            self.stages = [constant_volume, self.system]

    def has_drifted(self, positions: np.ndarray) -> bool:
        """Never: a molecule may go anywhere."""
        return False

    def recentred(self, positions: np.ndarray) -> np.ndarray:
        """Return the positions as they are."""
        return positions


def advance(engine: Engine, context: openmm.Context, steps: int) -> None:
    """Integrate a number of steps, bringing molecules back when they have drifted."""
    while steps > 0:
        n = min(steps, _STEPS_BETWEEN_LOOKS)
        try:
            context.getIntegrator().step(n)
        except openmm.OpenMMException as error:
            if "NaN" not in str(error):
                raise
            raise StateError(
                "MD broke down, its positions are no longer finite: take a shorter step, a lower temperature, or a "
                "relaxed start"
            ) from error
        steps -= n
        positions = positions_of(context)
        if engine.has_drifted(positions):
            context.setPositions(engine.recentred(positions))
