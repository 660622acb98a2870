"""How a simulation advances: by real MD, by generated frames as they come, or by generated frames that stood a trial.

A *stretch* is a number of steps that are advanced in one way; OpenMM's loop in `drop_in` goes from stretch to stretch
and reports between them. What a simulation did goes on its record.
"""

from __future__ import annotations

import sys
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from openmm import app

from openmm_mdgen.errors import GenerationError, MDGenError
from openmm_mdgen.protocol import Generator
from openmm_mdgen.simulation import restart
from openmm_mdgen.simulation.engine import Engine, Here
from openmm_mdgen.simulation.gate import Judge, Molecule
from openmm_mdgen.simulation.landing import Lander
from openmm_mdgen.simulation.landing_settings import LandingSettings
from openmm_mdgen.simulation.record import GENERATED, Record, Segment
from openmm_mdgen.simulation.rollout import Rollout, unbound_arrays
from openmm_mdgen.simulation.schedule import (
    Phase,
    require_end_on_frame,
    require_report_on_frame,
    steps_per_frame,
)
from openmm_mdgen.simulation.trials import Trials, require_whole

_STEPS_AT_ONCE = 10  # of the integrator: then the clock and Ctrl-C are looked at
_IN_PLACE = "in place of a rejected segment"

Reports = list[tuple[Any, dict]]  # reporters, each with the description of its next report


@dataclass(frozen=True)
class Stretch:
    """Steps that are advanced in one way."""

    steps: int
    piece: int  # steps that are taken at once; between pieces the clock and Ctrl-C are looked at
    advance: Callable[[int], None]  # takes at most `piece` steps


class Advance(ABC):
    """How a simulation advances; this part integrates.

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

    def stretch(self, phase: Phase, end_step: int, reports: Reports) -> Stretch:
        """The next stretch.

        Parameters
        ----------
        phase : Phase
            What the schedule says of the present step.
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
            return self._generated(phase, end_step, reports)
        return self._integrated(min(end_step, phase.end_step))

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
    def _generated(self, phase: Phase, end_step: int, reports: Reports) -> Stretch: ...

    def _integrated(self, end_step: int) -> Stretch:
        return Stretch(end_step - self.engine.step, _STEPS_AT_ONCE, self._integrate)

    def _integrate(self, steps: int) -> None:
        self._run_md(steps, time.perf_counter())

    def _run_md(self, steps: int, begin: float, reason: str = "") -> None:
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

    def _generated(self, phase: Phase, end_step: int, reports: Reports) -> Stretch:
        raise MDGenError(
            "this simulation was made with a schedule that never generates, so it has no generator: "
            "make another with schedule=Generate()"
        )


class _WithGenerator(Advance):
    """Frames of a generator, which is bound to the molecule when the first of them is asked for."""

    generator: Generator
    seed: int

    def __init__(self, engine: Engine, generator: Generator, seed: int) -> None:
        super().__init__(engine)
        self.generator, self.seed = generator, seed
        self.rollout: Rollout | None = None

    def _generated(self, phase: Phase, end_step: int, reports: Reports) -> Stretch:
        end_step = min(end_step, phase.end_step)
        frame_steps = self._frame_steps(phase, end_step, reports)
        here = self.engine.here()
        n_frames = self._ready_frames(here, phase, frame_steps)
        if not n_frames:
            return self._integrated(end_step)
        return Stretch(min(end_step - here.step, n_frames * frame_steps), frame_steps, self._place_frame)

    def _frame_steps(self, phase: Phase, end_step: int, reports: Reports) -> int:
        """Steps of a frame, after making sure that the end and all reports inside this phase fall on frames."""
        step = self.engine.step
        frame_steps = steps_per_frame(self.generator.frame_interval, self.engine.step_size)
        if end_step != sys.maxsize:
            require_end_on_frame(step, end_step, frame_steps)
        for reporter, report in reports:
            report_step = step + report["steps"]
            if step < report_step <= phase.end_step:
                require_report_on_frame(type(reporter).__name__, step, report_step, frame_steps)
        return frame_steps

    @abstractmethod
    def _ready_frames(self, here: Here, phase: Phase, frame_steps: int) -> int:
        """Number of frames that can be handed out from here; none if real MD has to take their place."""

    def _place_frame(self, steps: int) -> None:
        assert self.rollout
        frame, seed = self.rollout.next_frame()
        self.rollout.placed(self.engine.place(frame, steps, temperature=self._temperature(), seed=seed))

    def _bound(self, relaxed: np.ndarray) -> Rollout:
        """Fit the generator to the molecule, (n_atoms, 3) nm of a relaxed structure."""
        propagator = self.generator.propagator(self.engine.topology, relaxed)
        self.rollout = Rollout(propagator, self.seed, relaxed)
        self._warn_of_atoms_left_behind(self.rollout)
        return self.rollout

    def _temperature(self) -> float:
        """The integrator's, in K; the generator's where the integrator has none."""
        temperature = self.engine.temperature()
        return self.generator.temperature if temperature is None else temperature

    def _warn_of_atoms_left_behind(self, rollout: Rollout) -> None:
        n_left = self.engine.topology.getNumAtoms() - len(rollout.moved)
        if n_left:
            warnings.warn(
                f"the generator does not move {n_left} atoms of the System (solvent, ions): they stay where they are, "
                "and energies mean nothing. Report the others alone with the reporters' atomSubset.",
                stacklevel=2,
            )

    def arrays(self) -> restart.Arrays:
        arrays = self.rollout.arrays(self.engine.here()) if self.rollout else unbound_arrays(self.seed)
        return arrays | {"record": self.record.to_array()}

    def _restore(self, arrays: restart.Arrays) -> None:
        """Become the one that `arrays` came from; for a new object."""
        self.seed = int(arrays["seed"])
        self.rollout = Rollout.restored(self.generator, self.engine.topology, arrays)
        self.record = Record.from_array(arrays["record"]) if "record" in arrays else Record()

    def resume(self) -> None:
        if self.rollout:
            self.rollout.resume(self.engine.here())

    def start_anew(self) -> None:
        if self.rollout:
            self.rollout.abandon_segment()


class Generating(_WithGenerator):
    """Frames are handed out as the generator gives them."""

    def prepare(self) -> None: ...  # the generator is bound when the first frame is asked for

    def _ready_frames(self, here: Here, phase: Phase, frame_steps: int) -> int:
        if not (self.rollout and self.rollout.continues(here)):
            self.engine.require_usable(here)
        elif self.rollout.frames_left:
            return self.rollout.frames_left
        rollout = self.rollout or self._bound(self.engine.relaxed())
        begin = time.perf_counter()
        frames = rollout.begin(here).frames
        if not np.isfinite(frames).all():
            rollout.withdraw()
            raise GenerationError(
                "the generator gave positions that are not finite; nothing of them was used: "
                "start from a relaxed structure, or try another seed or other weights"
            )
        seconds = time.perf_counter() - begin
        self.record.generated(Segment(GENERATED, here.step, len(frames) * frame_steps, wall_seconds=seconds))
        return len(frames)

    def restored(self, arrays: restart.Arrays) -> Generating:
        new = Generating(self.engine, self.generator, self.seed)
        new._restore(arrays)
        if new.rollout and not self.rollout:
            self._warn_of_atoms_left_behind(new.rollout)
        return new


class OnTrial(_WithGenerator):
    """Frames are handed out once their segment was accepted; real MD takes the place of others.

    Parameters
    ----------
    engine : Engine
    generator : Generator
    seed : int
    gate : Judge
    settings : LandingSettings
    """

    gate: Judge

    def __init__(self, engine: Engine, generator: Generator, seed: int, gate: Judge, settings: LandingSettings) -> None:
        super().__init__(engine, generator, seed)
        self.gate, self._settings = gate, settings
        self.trials: Trials | None = None

    def prepare(self) -> None:
        """Fit the generator and the trials to the molecule: what cannot be landed is refused before any MD."""
        if self.trials is None:
            here = self.engine.here()
            self.engine.require_usable(here)
            relaxed = self.engine.relaxed()
            rollout = self.rollout or self._bound(relaxed)
            self.trials = self._trials(rollout, relaxed, here)

    def stretch(self, phase: Phase, end_step: int, reports: Reports) -> Stretch:
        """As of any simulation, but that real MD goes on where a retreat was cut."""
        retreat_end = self._retreat_end(self.engine.step)
        if phase.generates and retreat_end:
            phase = Phase(generates=False, end_step=min(retreat_end, phase.end_step))
        return super().stretch(phase, end_step, reports)

    def _ready_frames(self, here: Here, phase: Phase, frame_steps: int) -> int:
        rollout, trials = self.rollout, self.trials
        assert rollout and trials
        if not rollout.continues(here):
            self.engine.require_usable(here)
            trials.is_on_generated_frame = False
        elif rollout.frames_left:
            return rollout.frames_left
        accepted = trials.try_segment(
            here,
            n_frames=(phase.end_step - here.step) // frame_steps,
            frame_steps=frame_steps,
            retreat_steps=phase.retreat_steps,
            record=self.record,
        )
        return rollout.frames_left if accepted else 0

    def _place_frame(self, steps: int) -> None:
        super()._place_frame(steps)
        assert self.trials
        self.trials.is_on_generated_frame = True

    def _integrated(self, end_step: int) -> Stretch:
        retreat_end = self._retreat_end(self.engine.step)
        return super()._integrated(min(end_step, retreat_end) if retreat_end else end_step)

    def _integrate(self, steps: int) -> None:
        begin = time.perf_counter()
        landed = self.trials.land(self.engine) if self.trials else None
        if landed:
            self.engine.context.setPositions(landed.positions)
            self.engine.context.setVelocities(landed.velocities)
        self._run_md(steps, begin, _IN_PLACE if self._retreat_end(self.engine.step) else "")

    def _retreat_end(self, step: int) -> int | None:
        return self.trials.retreat_end(step) if self.trials else None

    def _trials(self, rollout: Rollout, relaxed: np.ndarray, present: Here | None) -> Trials:
        """Trials of the molecule as it is in a relaxed structure, (n_atoms, 3) nm.

        Raises
        ------
        LandingError
            If MD cannot go on from generated frames of this System, or present positions are far from its constraints.
        StateError
            If a molecule is broken across the periodic box.
        """
        molecule = Molecule.measure(self.engine.topology, rollout.moved, relaxed)
        require_whole(molecule)
        lander = Lander(
            self.engine.context,
            self.engine.system,
            rollout.moved,
            rollout.moved[~molecule.is_hydrogen],
            temperature=self._temperature(),
            step_size=self.engine.step_size,
            properties=self.engine.properties,
            settings=self._settings,
        )
        if present:
            lander.check_constraints(present.positions)
        deviations = self._settings.energy_deviations
        return Trials(self.gate, rollout, molecule, lander, relaxed, energy_deviations=deviations)

    def arrays(self) -> restart.Arrays:
        return super().arrays() | (self.trials.arrays() if self.trials else {})

    def restored(self, arrays: restart.Arrays) -> OnTrial:
        new = OnTrial(self.engine, self.generator, self.seed, self.gate, self._settings)
        new._restore(arrays)
        if new.rollout and "hybrid.relaxed" in arrays:
            new.trials = new._trials(new.rollout, arrays["hybrid.relaxed"], present=None)
            new.trials.restore(arrays)
        if new.rollout and not self.rollout:
            self._warn_of_atoms_left_behind(new.rollout)
        return new

    def resume(self) -> None:
        super().resume()
        if self.rollout and not self.trials:
            self.rollout.abandon_segment()  # of a run without a gate: nothing has judged it


def advance_of(
    engine: Engine, generator: Generator | None, seed: int, gate: Judge | None, settings: LandingSettings
) -> Advance:
    """How a simulation with this generator and gate, if it has them, advances."""
    if generator is None:
        return Integrating(engine)
    return OnTrial(engine, generator, seed, gate, settings) if gate else Generating(engine, generator, seed)


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
