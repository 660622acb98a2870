"""`MDGenSimulation`: OpenMM's Simulation, advanced by a trajectory generator.

A *step* is an integrator step, a *frame* a generated configuration that stands for a whole number of them. Positions in
nanometre, times in picosecond, temperatures in kelvin; camelCase where the name is OpenMM's.
"""

from __future__ import annotations

import sys
import time
import warnings
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.generators import registry
from openmm_mdgen.protocol import Generator
from openmm_mdgen.seeds import valid_seed
from openmm_mdgen.simulation import checks, restart
from openmm_mdgen.simulation.gate import Judge
from openmm_mdgen.simulation.landing import Lander
from openmm_mdgen.simulation.landing_settings import LandingSettings
from openmm_mdgen.simulation.record import GENERATED, Record, Segment
from openmm_mdgen.simulation.rollout import Rollout
from openmm_mdgen.simulation.schedule import (
    Generate,
    Phase,
    Schedule,
    require_end_on_frame,
    require_report_on_frame,
    steps_per_frame,
)
from openmm_mdgen.simulation.side_systems import relaxed_copy
from openmm_mdgen.simulation.trials import Hybrid

if TYPE_CHECKING:
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator

_STEPS_AT_ONCE = 10  # of the integrator: then the clock and Ctrl-C are looked at
_IN_PLACE = "in place of a rejected segment"


class MDGenSimulation(app.Simulation):
    """`openmm.app.Simulation` whose `step` advances physical time by generated frames.

    Reporters, checkpoints, states and `runForClockTime` work as in OpenMM. When a reporter sees a frame, the Context
    holds its positions, time and step count, and fresh velocities of the Maxwell-Boltzmann distribution. A frame stands
    for `generator.frame_interval` of physical time; `step` and reports have to fall on frames. Positions, step counts
    or states that are set in between are honoured: generation goes on from there.

    Examples
    --------
    >>> simulation = MDGenSimulation(topology, system, integrator, seed=7)
    >>> simulation.context.setPositions(positions)
    >>> simulation.reporters.append(DCDReporter("trajectory.dcd", 5000))  # 10 ps in steps of 2 fs
    >>> simulation.step(5_000_000)  # 10 ns

    Parameters
    ----------
    topology, system, integrator, platform, platformProperties, state
        As for `openmm.app.Simulation`.
    generator : Generator or str or Path, optional
        The model, or the name or file of its weights; default: the bundled weights. Not loaded where the schedule
        never generates.
    schedule : Schedule, optional
        `Generate()`, the default; `Integrate()` for plain MD; `Alternate(...)` or `WhileAccepted(...)` for a hybrid
        run.
    gate : Judge, optional
        What judges each segment before any of its frames is handed out; where it rejects, real MD takes the segment's
        place. Default: `Gate()` in a hybrid run, none with `Generate()`, whose frames are handed out as they come.
    landing : LandingSettings, optional
        Durations, stiffnesses and tolerances with which a hybrid run lands generated frames; the defaults where left
        out.
    upsampling : TrajectoryGenerator or str or Path, optional
        Weights that fill in the generator's frames: steps and reports may fall on any of their frames (0.1 ps with the
        bundled ones, `"upsampling_tetrapeptide"`). Each of those is then generated, which takes longer.
    seed : int, optional
        Same seed, same start, same run. Drawn where absent; see the attribute `seed`.

    Raises
    ------
    UnsupportedTopologyError
        If the generator cannot take this molecule.
    ReportIntervalError
        If a frame is not a whole number of integrator steps.
    MDGenError
        If the integrator has no fixed step size, or the seed or generator is of no use.
    CheckpointError
        If the weights cannot be loaded.
    """

    def __init__(
        self,
        topology: app.Topology,
        system: openmm.System | str,
        integrator: openmm.Integrator | str,
        platform: openmm.Platform | None = None,
        platformProperties: dict[str, str] | None = None,
        state: str | None = None,
        *,
        generator: Generator | str | Path | None = None,
        schedule: Schedule | None = None,
        gate: Judge | None = None,
        landing: LandingSettings | None = None,
        upsampling: TrajectoryGenerator | str | Path | None = None,
        seed: int | None = None,
    ) -> None:
        self.schedule = checks.valid_schedule(Generate() if schedule is None else schedule)
        self._platform_properties = dict(platformProperties or {})
        self._rollout: Rollout | None = None
        if self.schedule.generates:
            model = registry.loaded(generator, upsampling)
            model.check(topology)
            self._rollout = Rollout(model, topology, valid_seed(seed))
        self._record = Record()
        super().__init__(topology, system, integrator, platform, platformProperties)
        self._hybrid = self._trials(gate, landing or LandingSettings())
        if self._rollout:
            checks.check_engine(self, self._rollout.generator)
            if self._hybrid:
                checks.check_hybrid(self, self._rollout.generator)
        if state is not None:
            with open(state) as file:
                self.loadState(file)

    @property
    def generator(self) -> Generator | None:
        """The model; None where the schedule never generates."""
        return self._rollout.generator if self._rollout else None

    @property
    def seed(self) -> int | None:
        """What decides every generated frame, given the start; None where the schedule never generates."""
        return self._rollout.seed if self._rollout else None

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What was integrated and what generated so far, and what was rejected and why; restored with a checkpoint."""
        return tuple(self._record.segments)

    def saveCheckpoint(self, file) -> None:
        """As in OpenMM; the file carries the generator's place too, and plain OpenMM can load it."""
        data = self.context.createCheckpoint()
        if self._rollout:
            data = restart.add_to_checkpoint(data, self._arrays())
        restart.save(data, file)

    def loadCheckpoint(self, file) -> None:
        """As in OpenMM; goes on inside the generated segment where `saveCheckpoint` was called.

        Raises
        ------
        CheckpointError
            If the generator's part is damaged, or of another molecule. Nothing has changed then.
        """
        checkpoint, arrays = restart.split_checkpoint(restart.read(file, "rb"))
        self._load(lambda: self.context.loadCheckpoint(checkpoint), arrays)

    def saveState(self, file) -> None:
        """As in OpenMM; the file carries the generator's place too, and plain OpenMM can load it."""
        state = self.context.getState(positions=True, velocities=True, parameters=True, integratorParameters=True)
        xml = openmm.XmlSerializer.serialize(state)
        if self._rollout:
            xml = restart.add_to_state(xml, self._arrays())
        restart.save(xml, file)

    def loadState(self, file) -> None:
        """As in OpenMM; goes on inside the generated segment where `saveState` was called.

        Raises
        ------
        CheckpointError
            As `loadCheckpoint`.
        """
        xml, arrays = restart.split_state(restart.read(file, "r"))
        self._load(lambda: self.context.setState(openmm.XmlSerializer.deserialize(xml)), arrays)

    def _arrays(self) -> restart.Arrays:
        arrays = self._generating().arrays(self.currentStep, self._positions())
        return arrays | {"record": self._record.to_array()} | (self._hybrid.arrays() if self._hybrid else {})

    def _load(self, load_context, arrays: restart.Arrays | None) -> None:
        if self._rollout is None or arrays is None:
            load_context()
            if self._rollout:
                self._rollout.abandon_segment()
            return
        rollout = self._rollout.restored(arrays)
        hybrid = self._hybrid.restored(rollout, arrays) if self._hybrid else None
        load_context()
        rollout.resume(self.currentStep, self._positions())
        if hybrid and not hybrid.is_bound:
            rollout.abandon_segment()  # of a run without a gate: nothing has judged it
        is_first = rollout.is_bound and not self._rollout.is_bound
        self._rollout, self._hybrid = rollout, hybrid
        self._record = Record.from_array(arrays["record"]) if "record" in arrays else Record()
        if is_first:
            self._warn_of_atoms_left_behind(rollout)

    # OpenMM's loop. It serves `step` and `runForClockTime`; here each pass ends with a phase too, and the way to
    # advance is the phase's.

    def _simulate(self, endStep=None, endTime=None) -> None:
        end_step = sys.maxsize if endStep is None else int(endStep)
        if self._hybrid and self.currentStep < end_step:
            self._bind()  # what cannot be landed is refused before any MD
        while self.currentStep < end_step and not _is_over(endTime):
            step = self.currentStep
            phase = self._phase(step)
            pending = [(reporter, _next_report(reporter, self)) for reporter in self.reporters]
            piece = self._frame_steps(phase, end_step, pending) if phase.generates else _STEPS_AT_ONCE
            steps = min(end_step, phase.end_step) - step
            if self._hybrid and phase.generates:
                left = self._judged_frames(phase, piece)
                if not left:
                    continue  # rejected: the phase is another one now
                steps = min(steps, left * piece)
            steps = min([steps, *(report["steps"] for _, report in pending if report["steps"] > 0)])
            remaining = steps
            while remaining > 0:
                if remaining < steps and _is_over(endTime):
                    return
                remaining -= self._advance(min(piece, remaining), phase)
            self._report([(reporter, report) for reporter, report in pending if report["steps"] == steps])

    def _advance(self, steps: int, phase: Phase) -> int:
        if phase.generates:
            self._generate_frame(steps)
        else:
            self._integrate(steps)
        return steps

    def _report(self, due: list[tuple[Any, dict]]) -> None:
        """One State for the reporters that want molecules wrapped into the box, one for those that do not."""
        wrapped: list[tuple[Any, dict]] = []
        unwrapped: list[tuple[Any, dict]] = []
        either: list[tuple[Any, dict]] = []
        for reporter, report in due:
            wants_wrap = self._usesPBC if report.get("periodic") is None else report["periodic"]
            group = either if "positions" not in report["include"] else wrapped if wants_wrap else unwrapped
            group.append((reporter, report))
        (wrapped if len(wrapped) > len(unwrapped) else unwrapped).extend(either)
        if wrapped:
            self._generate_reports(wrapped, True)
        if unwrapped:
            self._generate_reports(unwrapped, False)

    def _frame_steps(self, phase: Phase, end_step: int, pending: list[tuple[Any, dict]]) -> int:
        """Steps of a frame, after making sure that the end and all reports inside this phase fall on frames."""
        step = self.currentStep
        frame_steps = steps_per_frame(self._generating().generator.frame_interval, self._step_size())
        end_step = min(end_step, phase.end_step)
        if end_step != sys.maxsize:
            require_end_on_frame(step, end_step, frame_steps)
        for reporter, report in pending:
            report_step = step + report["steps"]
            if step < report_step <= phase.end_step:
                require_report_on_frame(type(reporter).__name__, step, report_step, frame_steps)
        return frame_steps

    def _phase(self, step: int) -> Phase:
        phase = self.schedule.phase(step, self._step_size())
        retreat_end = self._hybrid.retreat_end(step) if self._hybrid and phase.generates else None
        return Phase(generates=False, end_step=min(retreat_end, phase.end_step)) if retreat_end else phase

    def _judged_frames(self, phase: Phase, frame_steps: int) -> int:
        """Frames of an accepted segment that are still to come here, tried now if need be; none if it is rejected."""
        rollout, hybrid, step, positions = self._generating(), self._hybrid, self.currentStep, self._positions()
        assert hybrid
        if not rollout.continues(step, positions):
            self._require_usable(positions)
            hybrid.is_aloft = False
        left = rollout.frames_left(step, positions)
        if left:
            return left
        accepted = hybrid.try_segment(
            step,
            positions,
            n_frames=(phase.end_step - step) // frame_steps,
            frame_steps=frame_steps,
            retreat_steps=phase.retreat_steps,
            record=self._record,
        )
        return rollout.frames_left(step, positions) if accepted else 0

    def _bind(self) -> None:
        """Fit the generator, and the trials if there are any, to the molecule as it stands."""
        rollout, hybrid = self._generating(), self._hybrid
        if rollout.is_bound and (hybrid is None or hybrid.is_bound):
            return
        positions = self._positions()
        self._require_usable(positions)
        relaxed = self._relaxed()
        if not rollout.is_bound:
            rollout.bind(relaxed)
            self._warn_of_atoms_left_behind(rollout)
        if hybrid:
            hybrid.bind(relaxed, positions)

    def _integrate(self, steps: int) -> None:
        step, begin, hybrid = self.currentStep, time.perf_counter(), self._hybrid
        landed = hybrid.come_down(step, self._positions()) if hybrid and hybrid.is_aloft else None
        if landed:
            self.context.setPositions(landed.positions)
            self.context.setVelocities(landed.velocities)
        self.integrator.step(steps)
        reason = _IN_PLACE if hybrid and hybrid.retreat_end(step) else ""
        self._record.integrated(step, steps, time.perf_counter() - begin, reason)

    def _generate_frame(self, frame_steps: int) -> None:
        rollout, step, positions = self._generating(), self.currentStep, self._positions()
        if not rollout.continues(step, positions):
            self._require_usable(positions)
        self._bind()
        begin = time.perf_counter()
        is_first = not rollout.frames_left(step, positions)
        frame, velocity_seed = rollout.next_frame(step, positions)
        if is_first:
            steps = rollout.segment_frames * frame_steps
            self._record.generated(Segment(GENERATED, step, steps, wall_seconds=time.perf_counter() - begin))
        now = self.context.getTime().value_in_unit(unit.picosecond)
        self.context.setPositions(frame)
        self.context.setStepCount(step + frame_steps)
        self.context.setTime(now + frame_steps * self._step_size())
        self.context.setVelocitiesToTemperature(self._temperature(), velocity_seed)
        rollout.land(step + frame_steps, self._positions())
        if self._hybrid:
            self._hybrid.is_aloft = True

    def _relaxed(self) -> np.ndarray:
        return relaxed_copy(self.context, self.system, self._platform_properties)

    def _require_usable(self, positions: np.ndarray) -> None:
        remedy = "give the structure to simulation.context.setPositions(positions), or load a state"
        if not np.isfinite(positions).all():
            raise StateError(
                f"positions of {(~np.isfinite(positions)).any(axis=1).sum()} atoms are not finite: {remedy}"
            )
        try:
            self.context.getState(energy=True)  # the Context tells only here whether it has positions
        except openmm.OpenMMException as error:
            if "positions have not been set" in str(error):
                raise StateError(f"the simulation has no positions: {remedy}") from error
            raise

    def _trials(self, gate: Judge | None, settings: LandingSettings) -> Hybrid | None:
        """None where frames are handed out as they come."""
        gate = checks.valid_gate(gate, self.schedule)
        if gate is None or self._rollout is None:
            return None

        def make_lander(moved: np.ndarray, heavy: np.ndarray) -> Lander:
            return Lander(
                self.context,
                self.system,
                moved,
                heavy,
                temperature=self._temperature(),
                step_size=self._step_size(),
                properties=self._platform_properties,
                settings=settings,
            )

        return Hybrid(gate, self._rollout, make_lander, energy_deviations=settings.energy_deviations)

    def _warn_of_atoms_left_behind(self, rollout: Rollout) -> None:
        n_left = self.topology.getNumAtoms() - len(rollout.propagator.atom_indices)
        if n_left:
            warnings.warn(
                f"the generator does not move {n_left} atoms of the System (solvent, ions): they stay where they are, "
                "and energies mean nothing. Report the others alone with the reporters' atomSubset.",
                stacklevel=2,
            )

    def _generating(self) -> Rollout:
        if self._rollout is None:
            raise MDGenError(
                "this simulation was made with a schedule that never generates, so it has no generator: "
                "make another with schedule=Generate()"
            )
        return self._rollout

    def _positions(self) -> np.ndarray:
        return _positions_of(self.context)

    def _step_size(self) -> float:
        return self.integrator.getStepSize().value_in_unit(unit.picosecond)

    def _temperature(self) -> float:
        """The integrator's, in K; the generator's where the integrator has none."""
        temperature = checks.temperature(self.integrator)
        return self._generating().generator.temperature if temperature is None else temperature


def _next_report(reporter: Any, simulation: app.Simulation) -> dict:
    """The reporter's own dictionary, or one made of the tuple that older reporters return."""
    report = reporter.describeNextReport(simulation)
    if not isinstance(report, tuple):
        return report | {"steps": int(report["steps"])}
    wanted = zip(("positions", "velocities", "forces", "energy"), report[1:5], strict=True)
    described = {"steps": int(report[0]), "include": [name for name, is_wanted in wanted if is_wanted]}
    return described | ({"periodic": report[5]} if len(report) > 5 else {})


def _is_over(end_time: datetime | None) -> bool:
    return end_time is not None and datetime.now() >= end_time


def _positions_of(context: openmm.Context) -> np.ndarray:
    """(n_atoms, 3) nm."""
    return np.asarray(context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.nanometer))
