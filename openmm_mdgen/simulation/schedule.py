"""What comes next in a simulation, integration or generation, and on which steps generated frames fall.

A *phase* is a number of steps that are advanced in one way. A schedule is a frozen description that finds the phase
from the step count alone, so a phase goes on where a call, a report or a checkpoint cut it. A *retreat* is the real MD
that takes the place of a segment which the simulation's gate rejected. Steps are the integrator's, times in ps.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from openmm_mdgen.arguments import is_quantity, positive
from openmm_mdgen.errors import MDGenError, ReportIntervalError
from openmm_mdgen.times import nearest_multiples, whole_number


@dataclass(frozen=True)
class Phase:
    """Steps that are advanced in one way.

    Parameters
    ----------
    generates : bool
        True to advance by generated frames, False to advance by the integrator.
    end_step : int
        The step count at which the phase is over. A phase that generates has to be a whole number of frames.
    retreat_steps : int, optional
        Number of steps to integrate where a segment is rejected; default: as many as the segment would have taken.
    """

    generates: bool
    end_step: int = sys.maxsize
    retreat_steps: int | None = None


@runtime_checkable
class Schedule(Protocol):
    """What a simulation asks before it advances.

    A schedule may also have two more members, which are asked for when the simulation is made:

    - ``check(frame_interval)``, which raises `ReportIntervalError` if phases do not fit frames of so many ps;
    - ``needs_gate``, False if generated segments are judged only by a gate that the user gives. Without this member a
      simulation judges them by `Gate()`.
    """

    @property
    def generates(self) -> bool:
        """Whether any phase does: only then a generator is loaded."""
        ...

    def phase(self, step: int, step_size: float) -> Phase:
        """The phase that holds the move away from `step`; `step_size` in ps."""
        ...


@dataclass(frozen=True)
class Generate:
    """A schedule in which every frame comes from the generator."""

    generates: ClassVar[bool] = True
    needs_gate: ClassVar[bool] = False

    def phase(self, step: int, step_size: float) -> Phase:
        return Phase(generates=True)


@dataclass(frozen=True)
class Integrate:
    """A schedule in which every step is the integrator's, as in plain `openmm.app.Simulation`.

    No generator is loaded.
    """

    generates: ClassVar[bool] = False
    needs_gate: ClassVar[bool] = False

    def phase(self, step: int, step_size: float) -> Phase:
        return Phase(generates=False)


@dataclass(frozen=True)
class Alternate:
    """A schedule of real MD, then generated frames, and so on in turn.

    Where a segment is rejected, real MD is done over the same time.

    Examples
    --------
    >>> Alternate(integrate=50 * unit.picosecond, generate=1 * unit.nanosecond)

    Parameters
    ----------
    integrate, generate : Quantity or float, ps
        Durations of the two phases: whole numbers of the generator's frames. Phases are counted from step 0.

    Raises
    ------
    MDGenError
        If one is no time above zero.
    """

    integrate: float
    generate: float
    generates: ClassVar[bool] = True
    needs_gate: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _set_durations(self, "integrate", "generate")

    def check(self, frame_interval: float) -> None:
        """Raise `ReportIntervalError` if a phase is not whole frames of `frame_interval` ps."""
        for name in ("integrate", "generate"):
            _require_whole_frames(name, getattr(self, name), frame_interval)

    def phase(self, step: int, step_size: float) -> Phase:
        integrated = steps_per_frame(self.integrate, step_size)
        period = integrated + steps_per_frame(self.generate, step_size)
        begin = step // period * period
        generates = step - begin >= integrated
        return Phase(generates, begin + (period if generates else integrated))


@dataclass(frozen=True)
class WhileAccepted:
    """A schedule that generates frames as long as the gate accepts them.

    After a rejection real MD is done for a while, then generation is tried again.

    Parameters
    ----------
    integrate : Quantity or float, ps
        Duration of the real MD after a rejection: a whole number of the generator's frames.

    Raises
    ------
    MDGenError
        If it is no time above zero.
    """

    integrate: float
    generates: ClassVar[bool] = True
    needs_gate: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _set_durations(self, "integrate")

    def check(self, frame_interval: float) -> None:
        """Raise `ReportIntervalError` if the real MD is not whole frames of `frame_interval` ps."""
        _require_whole_frames("integrate", self.integrate, frame_interval)

    def phase(self, step: int, step_size: float) -> Phase:
        return Phase(generates=True, retreat_steps=steps_per_frame(self.integrate, step_size))


def _set_durations(schedule: Alternate | WhileAccepted, *names: str) -> None:
    """Quantities to ps, once."""
    for name in names:
        value = getattr(schedule, name)
        try:
            time = positive(name, value, "picosecond")
        except MDGenError as error:
            if is_quantity(value) and "which is no time" in str(error):
                raise
            raise MDGenError(f"{name} is {value!r}: give a time above zero, such as 50 * unit.picosecond") from error
        object.__setattr__(schedule, name, time)


def _require_whole_frames(name: str, time: float, frame_interval: float) -> None:
    if whole_number(time, frame_interval) is None:
        near = " or ".join(f"{multiple:g}" for multiple in nearest_multiples(time, frame_interval))
        raise ReportIntervalError(
            f"{name}={time:g} ps is not a whole number of generated frames, which are {frame_interval:g} ps apart: "
            f"use {near} ps"
        )


def steps_per_frame(frame_interval: float | None, step_size: float) -> int:
    """Number of integrator steps that one generated frame stands for.

    Parameters
    ----------
    frame_interval : float, ps, or None
        The generator's; None for one of independent samples.
    step_size : float, ps
        The integrator's.

    Raises
    ------
    ReportIntervalError
        If they are not a whole number; names the nearest step sizes that divide the frame.
    MDGenError
        If the generator's frames have no place in time.
    """
    if frame_interval is None:
        raise MDGenError(
            "this generator gives independent samples, which follow no order in time: a simulation cannot step through "
            "them. Write them with openmm-mdgen run --samples, or start real MD from them with "
            "openmm_mdgen.exploration"
        )
    steps = whole_number(frame_interval, step_size)
    if steps:
        return steps
    raise ReportIntervalError(
        f"a generated frame is {frame_interval:g} ps, not a whole number of steps of {step_size:g} ps: "
        f"use a step size of {_dividing_step_sizes(frame_interval, step_size)} ps"
    )


def require_end_on_frame(step: int, end_step: int, frame_steps: int) -> None:
    """Raise `ReportIntervalError` if frames that follow each other from `step` do not end on `end_step`."""
    steps = end_step - step
    if steps % frame_steps:
        raise ReportIntervalError(
            f"{steps} steps do not end on a generated frame, which is {frame_steps} steps: "
            f"take {_nearest_steps(steps, frame_steps)} steps"
        )


def require_report_on_frame(reporter: str, step: int, report_step: int, frame_steps: int) -> None:
    """Raise `ReportIntervalError` if frames that follow each other from `step` do not meet the report."""
    if (report_step - step) % frame_steps == 0:
        return
    if step % frame_steps:
        remedy = f"the simulation stands between frames, at step {step}: set simulation.currentStep to a multiple first"
    else:
        remedy = f"use a report interval of {_nearest_steps(report_step - step, frame_steps)} steps"
    raise ReportIntervalError(
        f"{reporter} reports next at step {report_step}, but generated frames are {frame_steps} steps apart: {remedy}"
    )


def _nearest_steps(steps: int, frame_steps: int) -> str:
    return " or ".join(f"{multiple:.0f}" for multiple in nearest_multiples(steps, frame_steps))


def _dividing_step_sizes(frame_interval: float, step_size: float) -> str:
    """The nearest step sizes below and above that divide the frame, among whole tenths of a femtosecond."""
    frame = max(1, round(frame_interval * 1e4))
    divisors = [tenths for tenths in range(1, frame + 1) if frame % tenths == 0]
    below = [tenths for tenths in divisors if tenths < step_size * 1e4][-1:]
    above = [tenths for tenths in divisors if tenths > step_size * 1e4][:1]
    return " or ".join(f"{tenths * 1e-4:g}" for tenths in below + above)
