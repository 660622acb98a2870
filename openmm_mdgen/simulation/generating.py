"""Generated frames, handed out as the generator gives them."""

from __future__ import annotations

import sys
import time
from abc import abstractmethod
from functools import partial

import numpy as np

from openmm_mdgen.errors import GenerationError
from openmm_mdgen.protocol import MOST_INVALID, Generator, TemperaturePropagator, temperature_range
from openmm_mdgen.simulation import restart
from openmm_mdgen.simulation.advance import Advance, Reports, Stretch
from openmm_mdgen.simulation.engine import Engine, Here
from openmm_mdgen.simulation.gate import Verdict
from openmm_mdgen.simulation.honoured import Honoured
from openmm_mdgen.simulation.record import Record, Segment
from openmm_mdgen.simulation.rollout import INVALID, Rollout, fault_of, unbound_arrays
from openmm_mdgen.simulation.schedule import Phase, require_end_on_frame, require_report_on_frame, steps_per_frame
from openmm_mdgen.simulation.warn import warn
from openmm_mdgen.temperatures import nearest


class WithGenerator(Advance):
    """Frames of a generator, which is bound to the molecule when the first of them is asked for.

    Parameters
    ----------
    engine : Engine
    generator : Generator
    seed : int
        Decides every frame, given the start.
    honoured : Honoured
        Refuses, or warns of, what generated frames cannot honour.
    """

    generator: Generator
    seed: int

    def __init__(self, engine: Engine, generator: Generator, seed: int, honoured: Honoured) -> None:
        super().__init__(engine)
        self.generator, self.seed, self.honoured = generator, seed, honoured
        self.rollout: Rollout | None = None

    def _generated(self, phase: Phase, step_size: float, end_step: int, reports: Reports) -> Stretch:
        end_step = min(end_step, phase.end_step)
        frame_steps = steps_per_frame(self.generator.frame_interval, step_size)
        self._require_frames(phase, frame_steps, end_step, reports)
        temperature = self.engine.temperature()
        self.honoured.check_temperature(temperature)
        self.honoured.check_reporters(reporter for reporter, _ in reports)
        here = self.engine.here()
        self.ask_for_temperature()
        n_frames = self.ready_frames(here, phase, frame_steps)
        if not n_frames:
            return self.integrated(end_step)
        thermal = self.generator.temperature if temperature is None else temperature
        place = partial(self.place_frame, step_size=step_size, temperature=thermal)
        return Stretch(min(end_step - here.step, n_frames * frame_steps), frame_steps, place)

    def _require_frames(self, phase: Phase, frame_steps: int, end_step: int, reports: Reports) -> None:
        """Make sure that the end and all reports inside this phase fall on frames."""
        step = self.engine.step
        if end_step != sys.maxsize:
            require_end_on_frame(step, end_step, frame_steps)
        for reporter, report in reports:
            report_step = step + report["steps"]
            if step < report_step <= phase.end_step:
                require_report_on_frame(type(reporter).__name__, step, report_step, frame_steps)

    @abstractmethod
    def ready_frames(self, here: Here, phase: Phase, frame_steps: int) -> int:
        """Number of frames that can be handed out from here; none if real MD has to take their place."""

    def place_frame(self, steps: int, *, step_size: float, temperature: float) -> None:
        """Set the simulation to the next frame of the segment in use, so many steps ahead."""
        assert self.rollout
        frame, seed = self.rollout.next_frame()
        here = self.engine.place(frame, steps, step_size=step_size, temperature=temperature, seed=seed)
        self.rollout.placed(here)

    def bind(self, relaxed: np.ndarray) -> Rollout:
        """Fit the generator to the molecule, (n_atoms, 3) nm of a relaxed structure."""
        propagator = self.generator.propagator(self.engine.topology, relaxed)
        self.rollout = Rollout(propagator, self.seed, relaxed)
        self.ask_for_temperature()
        self.warn_of_atoms_left_behind(self.rollout)
        return self.rollout

    def temperature(self) -> float:
        """The integrator's, in K; the generator's where the integrator has none."""
        temperature = self.engine.temperature()
        return self.generator.temperature if temperature is None else temperature

    def ask_for_temperature(self) -> None:
        """Let the segments to come be of the integrator's temperature, or the nearest that the generator takes."""
        low, high = known = temperature_range(self.generator)
        propagator = self.rollout.propagator if self.rollout else None
        if low < high and isinstance(propagator, TemperaturePropagator):
            propagator.set_temperature(nearest(self.temperature(), known))

    def warn_of_atoms_left_behind(self, rollout: Rollout) -> None:
        n_left = self.engine.topology.getNumAtoms() - len(rollout.moved)
        if n_left:
            warn(
                f"the generator does not move {n_left} atoms of the System (solvent, ions): they stay where they are, "
                "and energies mean nothing. Report the others alone with the reporters' atomSubset."
            )

    def arrays(self) -> restart.Arrays:
        arrays = self.rollout.arrays(self.engine.here()) if self.rollout else unbound_arrays(self.seed)
        return arrays | {"record": self.record.to_array()} | restart.weights_of(self.generator)

    def restore(self, arrays: restart.Arrays) -> None:
        """Become the one that `arrays` came from; for a new object.

        Raises
        ------
        CheckpointError
            If they are of other weights or of another molecule.
        """
        restart.require_weights(arrays, self.generator)
        self.seed = int(arrays["seed"])
        self.rollout = Rollout.restored(self.generator, self.engine.topology, arrays)
        self.record = Record.from_array(arrays["record"]) if "record" in arrays else Record()

    def resume(self) -> None:
        if self.rollout:
            self.rollout.resume(self.engine.here())

    def start_anew(self) -> None:
        if self.rollout:
            self.rollout.abandon_segment()


class Generating(WithGenerator):
    """Frames are handed out as the generator gives them."""

    def prepare(self) -> None: ...  # the generator is bound when the first frame is asked for

    def ready_frames(self, here: Here, phase: Phase, frame_steps: int) -> int:
        rollout = self.rollout
        goes_on = rollout is not None and rollout.continues(here)
        if rollout and goes_on and rollout.frames_left:
            return rollout.frames_left
        if not goes_on:
            here = self.engine.usable(here)
        rollout = rollout or self.bind(self.engine.relaxed())
        self.honoured.check_system(rollout.moved, goes_on=goes_on)
        for _ in range(MOST_INVALID):
            begin = time.perf_counter()
            segment = rollout.begin(here)
            fault = fault_of(segment)
            if fault or not np.isfinite(segment.frames).all():
                rollout.withdraw()
            if not fault:
                _require_finite(segment.frames)
            seconds, verdict = time.perf_counter() - begin, Verdict(not fault, fault, kind=INVALID if fault else "")
            steps, kelvin = len(segment.frames) * frame_steps, rollout.propagator.temperature
            self.record.generated(Segment.tried(here.step, steps, verdict, seconds, kelvin))
            if verdict.accepted:
                return len(segment.frames)
        raise GenerationError(
            f"the generator gave {MOST_INVALID} segments in a row that it calls invalid; of the last one: {fault}. "
            "Start from a relaxed structure, or try another seed or another generator"
        )

    def restored(self, arrays: restart.Arrays) -> Generating:
        new = Generating(self.engine, self.generator, self.seed, self.honoured)
        new.restore(arrays)
        if new.rollout and not self.rollout:
            self.warn_of_atoms_left_behind(new.rollout)
        return new


def _require_finite(frames: np.ndarray) -> None:
    if not np.isfinite(frames).all():
        raise GenerationError(
            "the generator gave positions that are not finite; nothing of them was used: "
            "start from a relaxed structure, or try another seed or other weights"
        )
