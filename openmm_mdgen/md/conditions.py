"""The conditions of a reference simulation, and the Systems that follow them.

An *engine* is a System with the molecules that are recorded: `PackedSystem`, or `SolvatedSystem` for one molecule in a
box of water. Picosecond, kelvin, nanometre.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol as Interface

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.packed_system import Molecule
from openmm_mdgen.md.peptides import positions_of

_FORCE_FIELDS = {
    "implicit": ("amber14-all.xml", "implicit/gbn2.xml"),
    "explicit": ("amber14-all.xml", "amber14/tip3pfb.xml"),
}
_LONGEST_STEP = {1.008: 0.002, 3.0: 0.004}  # ps, by hydrogen mass: what constraints of bonds to hydrogen allow
_STEPS_BETWEEN_LOOKS = 1250  # 5 ps of 4 fs: a tetrapeptide diffuses well under a nanometre


@dataclass(frozen=True)
class MDProtocol:
    """How a system is simulated; by default as the published tetrapeptides were, but for the longer step.

    Parameters
    ----------
    solvent : {"implicit", "explicit"}
        GBn2, or a box of TIP3P-FB water with PME at 1 bar.
    duration, frame_interval, equilibration : float
        ps; what comes before the first frame is not kept.
    temperature, friction, step_size : float
        K, 1/ps, ps.
    hydrogen_mass : float
        Dalton; 1.008 for steps up to 2 fs, 3 for 4 fs.

    Raises
    ------
    MDGenError
        If a frame is not a whole number of steps, the duration not one of frames, or the step too long.
    """

    solvent: str = "implicit"
    duration: float = 1000.0
    frame_interval: float = 1.0
    equilibration: float = 20.0
    temperature: float = 350.0
    friction: float = 0.3
    step_size: float = 0.004
    hydrogen_mass: float = 3.0

    def __post_init__(self) -> None:
        if self.solvent not in _FORCE_FIELDS:
            raise MDGenError(f"solvent {self.solvent!r}: take implicit or explicit")
        longest = max((s for mass, s in _LONGEST_STEP.items() if mass <= self.hydrogen_mass + 1e-6), default=0.001)
        if not 0 < self.step_size <= longest + 1e-9:
            raise MDGenError(
                f"a step of {self.step_size * 1000:g} fs is too long for hydrogens of {self.hydrogen_mass:g} Da: "
                f"take at most {longest * 1000:g} fs, or 4 fs with hydrogens of 3 Da"
            )
        if not _is_whole(self.frame_interval / self.step_size):
            raise MDGenError(
                f"a frame interval of {self.frame_interval:g} ps is not a whole number of steps of "
                f"{self.step_size * 1000:g} fs"
            )
        if not _is_whole(self.duration / self.frame_interval):
            raise MDGenError(f"{self.duration:g} ps are not a whole number of frames of {self.frame_interval:g} ps")

    @property
    def force_field(self) -> tuple[str, ...]:
        return _FORCE_FIELDS[self.solvent]

    @property
    def n_frames(self) -> int:
        return round(self.duration / self.frame_interval)

    @property
    def steps_per_frame(self) -> int:
        return round(self.frame_interval / self.step_size)


class Engine(Interface):
    """A System and what is recorded of it."""

    topology: app.Topology
    system: openmm.System
    positions: np.ndarray  # (n_atoms, 3), nm: the start
    slices: list[slice]  # atoms of each molecule that is recorded
    stages: list[openmm.System]  # equilibrated in one after the other; the last is `system`

    def has_drifted(self, positions: np.ndarray) -> bool:
        """Whether molecules have to be brought back with `recentred`."""
        ...

    def recentred(self, positions: np.ndarray) -> np.ndarray: ...


def whole_steps(time: float, step_size: float) -> int:
    """Steps of `step_size` in a time, both ps; `MDGenError` if they are no whole number."""
    steps = round(time / step_size)
    if steps < 1 or abs(steps * step_size - time) > 1e-6:
        raise MDGenError(f"{time:g} ps are no whole number of steps of {step_size:g} ps")
    return steps


def advance(engine: Engine, context: openmm.Context, steps: int) -> None:
    """Integrate, bringing molecules back when they have drifted."""
    while steps > 0:
        n = min(steps, _STEPS_BETWEEN_LOOKS)
        context.getIntegrator().step(n)
        steps -= n
        positions = positions_of(context)
        if engine.has_drifted(positions):
            context.setPositions(engine.recentred(positions))


class SolvatedSystem:
    """One molecule in a box of water, 1 nm of it on each side, with ions that neutralise it.

    Parameters
    ----------
    molecule : Molecule
    protocol : MDProtocol
    seed : int
        Of the barostat.
    """

    def __init__(self, molecule: Molecule, protocol: MDProtocol, *, seed: int) -> None:
        forces = app.ForceField(*protocol.force_field)
        modeller = app.Modeller(molecule.topology, molecule.positions * unit.nanometer)
        modeller.addSolvent(forces, model="tip3p", padding=1.0 * unit.nanometer)
        self.topology = modeller.topology
        self.positions = np.array(modeller.positions.value_in_unit(unit.nanometer))
        self.slices: list[slice] = [slice(0, molecule.topology.getNumAtoms())]
        self.system = forces.createSystem(
            self.topology,
            nonbondedMethod=app.PME,
            nonbondedCutoff=1.0 * unit.nanometer,
            constraints=app.HBonds,
            hydrogenMass=protocol.hydrogen_mass * unit.amu,
        )
        barostat = openmm.MonteCarloBarostat(1.0 * unit.bar, protocol.temperature * unit.kelvin)
        barostat.setRandomNumberSeed(seed)
        constant_volume = openmm.XmlSerializer.clone(self.system)
        self.system.addForce(barostat)
        self.stages = [constant_volume, self.system]

    def has_drifted(self, positions: np.ndarray) -> bool:
        return False

    def recentred(self, positions: np.ndarray) -> np.ndarray:
        return positions


def _is_whole(number: float) -> bool:
    return number > 0.5 and abs(number - round(number)) < 1e-6 * number
