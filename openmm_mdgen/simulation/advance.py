"""How a simulation advances: by real MD, by generated frames as they come, or by generated frames that stood a trial.

A *stretch* is a number of steps that are advanced in one way; OpenMM's loop in `drop_in` goes from stretch to stretch
and reports between them. What a simulation did goes on its record. The two ways with a generator are in `generating`
and `on_trial`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openmm import app

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.protocol import Generator
from openmm_mdgen.simulation import restart
from openmm_mdgen.simulation.engine import Engine
from openmm_mdgen.simulation.gate import Judge
from openmm_mdgen.simulation.record import Record
from openmm_mdgen.simulation.schedule import Phase

_STEPS_AT_ONCE = 10  # of the integrator: then the clock and Ctrl-C are looked at

Reports = list[tuple[Any, dict]]  # reporters, each with the description of its next report


@dataclass(frozen=True)
class Stretch:
    """Steps that are advanced in one way."""

    steps: int
    piece: int  # steps that are taken at once; between pieces the clock and Ctrl-C are looked at
    advance: Callable[[int], None]  # takes at most `piece` steps


class Advance(ABC):
    """How a simulation advances. What all ways share is real MD.

    Parameters
    ----------
    engine : Engine
    """

    generator: Generator | None = None
    gate: Judge | None = None
    seed: int | None = None

    def __init__(self, engine: Engine) -> None:
        self.engine, self.record = engine, Record()

    @abstractmethod
    def prepare(self) -> None:
        """Refuse what cannot be done later; called before any step of a run."""

    def stretch(self, phase: Phase, step_size: float, end_step: int, reports: Reports) -> Stretch:
        """The next stretch.

        Parameters
        ----------
        phase : Phase
            What the schedule says of the present step.
        step_size : float, ps
        end_step : int
            The step count at which the run is over.
        reports : list of (reporter, dict)

        Raises
        ------
        ReportIntervalError
            If the end or a report does not fall on a generated frame.
        StateError
            If frames cannot be generated from the present positions.
        MDGenError
            If there is no generator, or it fails.
        """
        if phase.generates:
            return self._generated(phase, step_size, end_step, reports)
        return self.integrated(min(end_step, phase.end_step))

    @abstractmethod
    def arrays(self) -> restart.Arrays:
        """What goes into a checkpoint besides OpenMM's own part; empty where nothing does."""

    @abstractmethod
    def restored(self, arrays: restart.Arrays) -> Advance:
        """The one that `arrays` came from; nothing of this one has changed if it raises."""

    @abstractmethod
    def resume(self) -> None:
        """Go on from where the simulation stands now, after `restored` and loading of the Context."""

    @abstractmethod
    def start_anew(self) -> None:
        """Go on from a state that says nothing of generated frames."""

    @abstractmethod
    def _generated(self, phase: Phase, step_size: float, end_step: int, reports: Reports) -> Stretch: ...

    def integrated(self, end_step: int) -> Stretch:
        """A stretch of real MD."""
        return Stretch(end_step - self.engine.step, _STEPS_AT_ONCE, self.integrate)

    def integrate(self, steps: int) -> None:
        """Take so many steps of real MD."""
        self.run_md(steps, time.perf_counter())

    def run_md(self, steps: int, begin: float, reason: str = "") -> None:
        """Integrate, and write down the wall time since `begin` and why, if not because the schedule says so."""
        step = self.engine.step
        self.engine.integrator.step(steps)
        self.record.integrated(step, steps, time.perf_counter() - begin, reason)


class Integrating(Advance):
    """Every step is the integrator's, and checkpoints are OpenMM's own."""

    def prepare(self) -> None: ...

    def arrays(self) -> restart.Arrays:
        return {}

    def restored(self, arrays: restart.Arrays) -> Integrating:
        return self

    def resume(self) -> None: ...

    def start_anew(self) -> None: ...

    def _generated(self, phase: Phase, step_size: float, end_step: int, reports: Reports) -> Stretch:
        raise MDGenError(
            "this simulation was made with a schedule that never generates, so it has no generator: "
            "make another with schedule=Generate()"
        )


def next_report(reporter: Any, simulation: app.Simulation) -> dict:
    """The reporter's own dictionary, or one made of the tuple that older reporters return."""
    report = reporter.describeNextReport(simulation)
    if not isinstance(report, tuple):
        return report | {"steps": int(report["steps"])}
    wanted = zip(("positions", "velocities", "forces", "energy"), report[1:5], strict=True)
    described = {"steps": int(report[0]), "include": [name for name, is_wanted in wanted if is_wanted]}
    return described | ({"periodic": report[5]} if len(report) > 5 else {})


def is_over(end_time: datetime | None) -> bool:
    """Whether the clock has passed a time, if there is one."""
    return end_time is not None and datetime.now() >= end_time
