"""Generated frames that are handed out once their segment has stood a trial; real MD takes the place of others."""

from __future__ import annotations

import time

import numpy as np

from openmm_mdgen.errors import StateError
from openmm_mdgen.protocol import Generator
from openmm_mdgen.simulation import restart
from openmm_mdgen.simulation.advance import Reports, Stretch
from openmm_mdgen.simulation.engine import Engine, Here
from openmm_mdgen.simulation.gate import Judge, Molecule
from openmm_mdgen.simulation.generating import WithGenerator
from openmm_mdgen.simulation.honoured import Honoured
from openmm_mdgen.simulation.landing import Lander, require_constraints_met
from openmm_mdgen.simulation.landing_settings import LandingSettings
from openmm_mdgen.simulation.rollout import Rollout
from openmm_mdgen.simulation.schedule import Phase
from openmm_mdgen.simulation.trials import Trials, require_whole

_IN_PLACE = "in place of a rejected segment"


class OnTrial(WithGenerator):
    """Frames are handed out once their segment was accepted; real MD takes the place of others.

    Parameters
    ----------
    engine : Engine
    generator : Generator
    seed : int
    honoured : Honoured
    gate : Judge
    settings : LandingSettings
    """

    gate: Judge

    def __init__(
        self,
        engine: Engine,
        generator: Generator,
        seed: int,
        honoured: Honoured,
        *,
        gate: Judge,
        settings: LandingSettings,
    ) -> None:
        super().__init__(engine, generator, seed, honoured)
        self.gate, self._settings = gate, settings
        self.trials: Trials | None = None

    def prepare(self) -> None:
        """Fit the generator and the trials to the molecule: what cannot be landed is refused before any MD."""
        if self.trials is None:
            here = self.engine.usable(self.engine.here())
            relaxed = self._relaxed(here)
            rollout = self.rollout or self.bind(relaxed)
            self.honoured.check_system(rollout.moved)
            self._require_constraints_met(here, rollout.moved)
            self.trials = self._trials(rollout, relaxed)

    def _relaxed(self, here: Here) -> np.ndarray:
        """The structure relaxed; a constraint that distorts it is named rather than what it distorts."""
        try:
            return self.engine.relaxed()
        except StateError:
            self._require_constraints_met(here)
            raise

    def _require_constraints_met(self, here: Here, atoms: np.ndarray | None = None) -> None:
        require_constraints_met(self.engine.system, here.positions, self._settings.start_tolerance, atoms)

    def stretch(self, phase: Phase, step_size: float, end_step: int, reports: Reports) -> Stretch:
        """As of any simulation, but that real MD goes on where a retreat was cut."""
        retreat_end = self._retreat_end(self.engine.step)
        if phase.generates and retreat_end:
            phase = Phase(generates=False, end_step=min(retreat_end, phase.end_step))
        return super().stretch(phase, step_size, end_step, reports)

    def ready_frames(self, here: Here, phase: Phase, frame_steps: int) -> int:
        rollout, trials = self.rollout, self.trials
        assert rollout and trials
        goes_on = rollout.continues(here)
        if goes_on and rollout.frames_left:
            return rollout.frames_left
        if not goes_on:
            here = self.engine.usable(here)
            trials.is_on_generated_frame = False
        self.honoured.check_system(rollout.moved, goes_on=goes_on)
        accepted = trials.try_segment(
            here,
            n_frames=(phase.end_step - here.step) // frame_steps,
            frame_steps=frame_steps,
            retreat_steps=phase.retreat_steps,
            record=self.record,
        )
        return rollout.frames_left if accepted else 0

    def place_frame(self, steps: int, *, step_size: float, temperature: float) -> None:
        super().place_frame(steps, step_size=step_size, temperature=temperature)
        assert self.trials
        self.trials.is_on_generated_frame = True

    def integrated(self, end_step: int) -> Stretch:
        retreat_end = self._retreat_end(self.engine.step)
        return super().integrated(min(end_step, retreat_end) if retreat_end else end_step)

    def integrate(self, steps: int) -> None:
        begin = time.perf_counter()
        landed = self.trials.land(self.engine) if self.trials else None
        if landed:
            self.engine.context.setPositions(landed.positions)
            self.engine.context.setVelocities(landed.velocities)
        self.run_md(steps, begin, _IN_PLACE if self._retreat_end(self.engine.step) else "")

    def _retreat_end(self, step: int) -> int | None:
        return self.trials.retreat_end(step) if self.trials else None

    def _trials(self, rollout: Rollout, relaxed: np.ndarray) -> Trials:
        """Trials of the molecule as it is in a relaxed structure, (n_atoms, 3) nm.

        Raises
        ------
        LandingError
            If MD cannot go on from generated frames of this System.
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
            temperature=self.temperature(),
            step_size=self.engine.step_size,
            properties=self.engine.properties,
            settings=self._settings,
        )
        deviations = self._settings.energy_deviations
        return Trials(self.gate, rollout, molecule, lander, relaxed, energy_deviations=deviations)

    def arrays(self) -> restart.Arrays:
        return super().arrays() | (self.trials.arrays() if self.trials else {})

    def restored(self, arrays: restart.Arrays) -> OnTrial:
        new = OnTrial(self.engine, self.generator, self.seed, self.honoured, gate=self.gate, settings=self._settings)
        new.restore(arrays)
        if new.rollout and "hybrid.relaxed" in arrays:
            new.trials = new._trials(new.rollout, arrays["hybrid.relaxed"])
            new.trials.restore(arrays)
        if new.rollout and not self.rollout:
            self.warn_of_atoms_left_behind(new.rollout)
        return new

    def resume(self) -> None:
        super().resume()
        if self.rollout and not self.trials:
            self.rollout.abandon_segment()  # of a run without a gate: nothing has judged it
