"""The numbers that landings, and comparisons with real MD, are made with; `LandingSettings` has all of them.

A *landing* makes, from a generated frame, a state that real MD goes on from: `openmm_mdgen.simulation.landing`.
Lengths in nanometre, times in picosecond, energies in kJ/mol.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from numbers import Integral, Real

from openmm import unit

from openmm_mdgen.errors import MDGenError

_UNITS = {
    "restraint_stiffness": unit.kilojoule_per_mole / unit.nanometer**2,
    "targeting_stiffness": unit.kilojoule_per_mole / unit.nanometer**2,
    "friction": unit.picosecond**-1,
    "reference_friction": unit.picosecond**-1,
    "targeting_tolerance": unit.nanometer,
    "start_tolerance": unit.nanometer,
} | {
    name: unit.picosecond
    for name in (
        "restrained_step",
        "restrained_time",
        "free_time",
        "targeting_step",
        "targeting_time",
        "reference_interval",
        "reference_delay",
    )
}


@dataclass(frozen=True, kw_only=True)
class LandingSettings:
    """How generated frames are landed, and how much real MD they are compared with.

    The defaults serve peptides in implicit solvent and in water. Times, lengths, frictions and stiffnesses may be
    given as `openmm.unit.Quantity`.

    Examples
    --------
    >>> MDGenSimulation(topology, system, integrator, schedule=schedule, landing=LandingSettings(free_time=5.0))

    Parameters
    ----------
    restraint_stiffness : float, kJ/mol/nm²
        Stiffness of the harmonic restraints that hold heavy atoms in place during relaxation and the first warming up.
    minimizer_iterations : int
        Largest number of iterations of the energy minimisation that relaxes bonds, angles and hydrogens of a frame.
    friction : float, 1/ps
        Friction of the Langevin integrator while a frame warms up.
    restrained_step : float, ps
        Largest time step while heavy atoms are held; the simulation's own is taken where that is smaller.
    restrained_time : float, ps
        Duration of the warming up with heavy atoms held; implicit solvent and vacuum only.
    free_time : float, ps
        Duration of the MD with nothing held that ends each landing.
    targeting_stiffness : float, kJ/mol/nm²
        Stiffness for each heavy atom of the targeted MD that brings a solute to its frame in explicit solvent. Softer
        targeting stops at the barriers of torsions.
    targeting_step : float, ps
        Largest time step of the targeted MD.
    targeting_time : float, ps
        Duration of the targeted MD.
    targeting_stages : int
        Number of stages in which the targeted MD lowers the deviation from the frame to zero.
    targeting_tolerance : float, nm
        Largest root-mean-square deviation of heavy atoms from the frame that may be left after the targeted MD.
    reference_frames : int
        Number of frames of a short real MD that generated frames are compared with, at least 2.
    reference_interval : float, ps
        Time between these frames.
    reference_delay : float, ps
        Duration of the real MD before the first of these frames.
    reference_friction : float, 1/ps
        Friction of the Langevin integrator in this MD, and in targeted MD.
    constraint_tolerance : float
        Largest error of a constraint in a landed state, as a fraction of its length.
    start_tolerance : float, nm
        Largest error of a constraint in the positions that a simulation starts from. Beyond it no landing is tried.
    energy_deviations : float
        Number of standard deviations of real MD's potential energies by which the mean energy of a landed state may lie
        above their mean.

    Raises
    ------
    MDGenError
        If a value is not finite, below zero, or zero where that has no meaning.
    """

    restraint_stiffness: float = 1000.0
    minimizer_iterations: int = 50
    friction: float = 10.0
    restrained_step: float = 0.001
    restrained_time: float = 0.2
    free_time: float = 2.0
    targeting_stiffness: float = 5000.0
    targeting_step: float = 0.002
    targeting_time: float = 20.0
    targeting_stages: int = 100
    targeting_tolerance: float = 0.06
    reference_frames: int = 20
    reference_interval: float = 1.0
    reference_delay: float = 5.0
    reference_friction: float = 1.0
    constraint_tolerance: float = 1e-3
    start_tolerance: float = 0.05
    energy_deviations: float = 6.0

    def __post_init__(self) -> None:
        for field in fields(self):
            self._convert(field.name)
        self._require_at_least(1, "minimizer_iterations", "targeting_stages")
        self._require_at_least(2, "reference_frames")
        for name in _MAY_BE_ZERO:
            if getattr(self, name) < 0:
                raise MDGenError(f"{name} is {getattr(self, name)}: give a number that is not below zero")
        for field in fields(self):
            if field.name not in _MAY_BE_ZERO and getattr(self, field.name) <= 0:
                raise MDGenError(f"{field.name} is {getattr(self, field.name)}: give a number above zero")

    def _convert(self, name: str) -> None:
        """A quantity to a number in the unit of the field, and a refusal of what is no finite number."""
        given = value = getattr(self, name)
        if unit.is_quantity(given) and name in _UNITS and given.unit.is_compatible(_UNITS[name]):
            value = given.value_in_unit(_UNITS[name])
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            raise MDGenError(f"{name} is {given!r}: give a finite number{_unit_of(name)}")
        object.__setattr__(self, name, value)

    def _require_at_least(self, smallest: int, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < smallest:
                raise MDGenError(f"{name} is {value!r}: give a whole number, at least {smallest}")


_MAY_BE_ZERO = ("restrained_time", "free_time", "targeting_time", "reference_delay", "friction", "reference_friction")


def _unit_of(name: str) -> str:
    return f" in {_UNITS[name].get_name()}" if name in _UNITS else ""
