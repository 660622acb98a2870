"""The conditions of a reference simulation. Times in picosecond, temperatures in kelvin, masses in dalton."""

from __future__ import annotations

from dataclasses import dataclass

from openmm_mdgen.arguments import is_quantity, not_negative, positive, valid_choice
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.systems import FORCE_FIELDS
from openmm_mdgen.times import nearest_multiples, whole_number

_LONGEST_STEP = {1.008: 0.002, 3.0: 0.004}  # ps, by hydrogen mass: what constraints of bonds to hydrogen allow

_ABOVE_ZERO = {
    "duration": "picosecond",
    "frame_interval": "picosecond",
    "step_size": "picosecond",
    "temperature": "kelvin",
    "hydrogen_mass": "",
}
_FROM_ZERO = {"equilibration": "picosecond", "heating": "picosecond", "friction": "1/picosecond"}


@dataclass(frozen=True)
class MDProtocol:
    """How a molecule is simulated; by default as the published tetrapeptides were, except for the longer step.

    Times, temperatures and the friction may also be quantities of any unit.

    Parameters
    ----------
    solvent : {"implicit", "explicit"}
        GBn2, or a box of TIP3P-FB water with PME at 1 bar.
    duration : float
        Length of the trajectory in ps.
    frame_interval : float
        Time between frames in ps.
    equilibration : float
        Time in ps before the first frame, which is not kept.
    heating : float
        Time in ps at 600 K after the minimisation, and as long again at `temperature`; neither is kept. Chirality and
        peptide bonds are held meanwhile. Structures that were built from a sequence forget so the rotamers and basins
        that the builder gave them, while a structure that was measured would lose its fold. Default: none.
    temperature : float
        In K.
    friction : float
        Of the Langevin thermostat, in 1/ps.
    step_size : float
        Step of the integrator in ps.
    hydrogen_mass : float
        Mass of hydrogens in dalton: 1.008 for steps up to 2 fs, 3 for 4 fs.

    Raises
    ------
    MDGenError
        If a number makes no sense, the frame interval is not a whole number of steps, the duration not one of frames,
        or the step too long.
    """

    solvent: str = "implicit"
    duration: float = 1000.0
    frame_interval: float = 1.0
    equilibration: float = 20.0
    heating: float = 0.0
    temperature: float = 350.0
    friction: float = 0.3
    step_size: float = 0.004
    hydrogen_mass: float = 3.0

    def __post_init__(self) -> None:
        for units, valid in ((_ABOVE_ZERO, positive), (_FROM_ZERO, not_negative)):
            for name, unit in units.items():
                number = valid(name, given := getattr(self, name), unit)
                if is_quantity(given):  # plain numbers stay as they are: the names of a run's files come from them
                    object.__setattr__(self, name, number)
        valid_choice("solvent", self.solvent, FORCE_FIELDS)
        longest = max((s for mass, s in _LONGEST_STEP.items() if mass <= self.hydrogen_mass + 1e-6), default=0.001)
        if self.step_size > longest + 1e-9:
            heavier = "" if longest == max(_LONGEST_STEP.values()) else ", or 4 fs with hydrogens of 3 Da"
            raise MDGenError(
                f"a step of {self.step_size * 1000:g} fs is too long for hydrogens of {self.hydrogen_mass:g} Da: "
                f"take at most {longest * 1000:g} fs{heavier}"
            )
        if whole_number(self.frame_interval, self.step_size) is None:
            raise MDGenError(
                f"a frame interval of {self.frame_interval:g} ps is not a whole number of steps of "
                f"{self.step_size * 1000:g} fs: take {_nearest(self.frame_interval, self.step_size)} ps"
            )
        whole_frames(self.duration, self.frame_interval)

    @property
    def force_field(self) -> tuple[str, ...]:
        """Names of OpenMM's force-field files."""
        return FORCE_FIELDS[self.solvent]

    @property
    def n_frames(self) -> int:
        return round(self.duration / self.frame_interval)

    @property
    def steps_per_frame(self) -> int:
        return round(self.frame_interval / self.step_size)


def whole_steps(time: float, step_size: float) -> int:
    """Count the steps of an integrator in a time.

    Parameters
    ----------
    time, step_size : float
        In ps, above zero.

    Raises
    ------
    MDGenError
        If they are not a whole number.
    """
    steps = whole_number(time, step_size)
    if steps is None:
        raise MDGenError(
            f"{time:g} ps are not a whole number of steps of {step_size:g} ps: take {_nearest(time, step_size)} ps"
        )
    return steps


def whole_frames(time: float, frame_interval: float) -> int:
    """Count the frames in a time.

    Parameters
    ----------
    time, frame_interval : float
        In ps.

    Raises
    ------
    MDGenError
        If they are not a whole number.
    """
    if not (frame_interval > 0 and time > 0):
        raise MDGenError(f"{time:g} ps with a frame each {frame_interval:g} ps: give times above 0 ps")
    frames = whole_number(time, frame_interval)
    if frames is None:
        nearest = _nearest(time, frame_interval)
        raise MDGenError(f"{time:g} ps are not a whole number of frames of {frame_interval:g} ps: take {nearest} ps")
    return frames


def _nearest(time: float, interval: float) -> str:
    return " or ".join(f"{multiple:g}" for multiple in nearest_multiples(time, interval))
