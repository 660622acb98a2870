"""`MDGenSimulation`: OpenMM's Simulation, advanced by a trajectory generator.

A *step* is an integrator step, a *frame* a generated configuration that stands for a whole number of them. Positions in
nanometre, times in picosecond, temperatures in kelvin; camelCase where the name is OpenMM's.
"""

from __future__ import annotations

import operator
import sys
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen import restart
from openmm_mdgen.errors import MDGenError, StateError, UnsupportedTopologyError
from openmm_mdgen.files import replacing
from openmm_mdgen.protocol import Generator
from openmm_mdgen.rollout import Rollout
from openmm_mdgen.schedule import (
    Generate,
    Phase,
    Schedule,
    require_end_on_frame,
    require_report_on_frame,
    steps_per_frame,
)

_STEPS_AT_ONCE = 10  # of the integrator: then the clock and Ctrl-C are looked at
_RELAXATION_ITERATIONS = 500
_TEMPERATURE_TOLERANCE = 1.0  # K
# Platform properties under which minimisation repeats itself bit for bit: the same seed has to give the same run.
_SAME_EVERY_TIME = {"DeterministicForces": "true", "Threads": "1"}


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
        `Generate()`, the default, or `Integrate()` for plain MD.
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
        seed: int | None = None,
    ) -> None:
        self.schedule = _valid_schedule(Generate() if schedule is None else schedule)
        self._platform_properties = dict(platformProperties or {})
        self._rollout: Rollout | None = None
        if self.schedule.generates:
            model = _loaded(generator)
            model.check(topology)
            self._rollout = Rollout(model, topology, _valid_seed(seed))
        super().__init__(topology, system, integrator, platform, platformProperties)
        if self._rollout:
            self._check_engine(self._rollout.generator)
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

    def saveCheckpoint(self, file) -> None:
        """As in OpenMM; the file carries the generator's place too, and plain OpenMM can load it."""
        data = self.context.createCheckpoint()
        if self._rollout:
            data = restart.add_to_checkpoint(data, self._rollout.arrays(self.currentStep, self._positions()))
        _save(data, file)

    def loadCheckpoint(self, file) -> None:
        """As in OpenMM; goes on inside the generated segment where `saveCheckpoint` was called.

        Raises
        ------
        CheckpointError
            If the generator's part is damaged, or of another molecule. Nothing has changed then.
        """
        checkpoint, arrays = restart.split_checkpoint(_read(file, "rb"))
        self._load(lambda: self.context.loadCheckpoint(checkpoint), arrays)

    def saveState(self, file) -> None:
        """As in OpenMM; the file carries the generator's place too, and plain OpenMM can load it."""
        state = self.context.getState(positions=True, velocities=True, parameters=True, integratorParameters=True)
        xml = openmm.XmlSerializer.serialize(state)
        if self._rollout:
            xml = restart.add_to_state(xml, self._rollout.arrays(self.currentStep, self._positions()))
        _save(xml, file)

    def loadState(self, file) -> None:
        """As in OpenMM; goes on inside the generated segment where `saveState` was called.

        Raises
        ------
        CheckpointError
            As `loadCheckpoint`.
        """
        xml, arrays = restart.split_state(_read(file, "r"))
        self._load(lambda: self.context.setState(openmm.XmlSerializer.deserialize(xml)), arrays)

    def _load(self, load_context, arrays: restart.Arrays | None) -> None:
        if self._rollout is None or arrays is None:
            load_context()
            if self._rollout:
                self._rollout.abandon_segment()
            return
        rollout = self._rollout.restored(arrays)
        load_context()
        rollout.resume(self.currentStep, self._positions())
        is_first = rollout.is_bound and not self._rollout.is_bound
        self._rollout = rollout
        if is_first:
            self._warn_of_atoms_left_behind(rollout)

    # OpenMM's loop. It serves `step` and `runForClockTime`; here each pass ends with a phase too, and the way to
    # advance is the phase's.

    def _simulate(self, endStep=None, endTime=None) -> None:
        end_step = sys.maxsize if endStep is None else int(endStep)
        while self.currentStep < end_step and not _is_over(endTime):
            step = self.currentStep
            phase = self.schedule.phase(step, self._step_size())
            pending = [(reporter, _next_report(reporter, self)) for reporter in self.reporters]
            piece = self._frame_steps(phase, end_step, pending) if phase.generates else _STEPS_AT_ONCE
            steps = min(end_step, phase.end_step) - step
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
            self.integrator.step(steps)
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

    def _generate_frame(self, frame_steps: int) -> None:
        rollout, step, positions = self._generating(), self.currentStep, self._positions()
        if not rollout.continues(step, positions):
            self._require_usable(positions)
        if not rollout.is_bound:
            rollout.bind(self._relaxed())
            self._warn_of_atoms_left_behind(rollout)
        frame, velocity_seed = rollout.next_frame(step, positions)
        time = self.context.getTime().value_in_unit(unit.picosecond)
        self.context.setPositions(frame)
        self.context.setStepCount(step + frame_steps)
        self.context.setTime(time + frame_steps * self._step_size())
        self.context.setVelocitiesToTemperature(self._temperature(), velocity_seed)
        rollout.land(step + frame_steps, self._positions())

    def _relaxed(self) -> np.ndarray:
        """(n_atoms, 3) nm: the present structure, minimised in a Context of its own."""
        platform = self.context.getPlatform()
        exact = {name: value for name, value in _SAME_EVERY_TIME.items() if name in platform.getPropertyNames()}
        integrator = openmm.VerletIntegrator(0.001)
        context = openmm.Context(self.system, integrator, platform, self._platform_properties | exact)
        context.setState(self.context.getState(positions=True, parameters=True))
        openmm.LocalEnergyMinimizer.minimize(context, maxIterations=_RELAXATION_ITERATIONS)
        relaxed = _positions_of(context)
        if not np.isfinite(relaxed).all():
            raise StateError("energy minimisation of the start failed: mend the structure, then set its positions")
        return relaxed

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

    def _check_engine(self, generator: Generator) -> None:
        """That integrator and System fit the generator."""
        n_particles, n_atoms = self.system.getNumParticles(), self.topology.getNumAtoms()
        if n_particles != n_atoms:
            raise UnsupportedTopologyError(
                f"the System has {n_particles} particles and the topology {n_atoms} atoms: make one from the other"
            )
        integrator = self._present_integrator()
        if isinstance(integrator, openmm.VariableVerletIntegrator | openmm.VariableLangevinIntegrator):
            raise MDGenError(
                f"{type(integrator).__name__} has no fixed step size, and generated frames are counted in steps: "
                "use an integrator with one, such as LangevinMiddleIntegrator"
            )
        steps_per_frame(generator.frame_interval, self._step_size())
        temperature, trained = self._temperature(), generator.temperature
        if abs(temperature - trained) > _TEMPERATURE_TOLERANCE:
            warnings.warn(
                f"the integrator is at {temperature:g} K and the generator was trained at {trained:g} K: "
                f"generated frames are of {trained:g} K, whatever the integrator says",
                stacklevel=3,
            )

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

    def _present_integrator(self) -> openmm.Integrator:
        if isinstance(self.integrator, openmm.CompoundIntegrator):
            return self.integrator.getIntegrator(self.integrator.getCurrentIntegrator())
        return self.integrator

    def _step_size(self) -> float:
        return self.integrator.getStepSize().value_in_unit(unit.picosecond)

    def _temperature(self) -> float:
        """The integrator's, in K; the generator's where the integrator has none."""
        integrator = self._present_integrator()
        if not hasattr(integrator, "getTemperature"):
            return self._generating().generator.temperature
        return integrator.getTemperature().value_in_unit(unit.kelvin)


def _loaded(generator: Generator | str | Path | None) -> Generator:
    if generator is None or isinstance(generator, str | Path):
        from openmm_mdgen.generator import TrajectoryGenerator

        return TrajectoryGenerator.load(generator)
    if not isinstance(generator, Generator):
        raise MDGenError(
            f"generator is a {type(generator).__name__}: give the name or file of weights, or an object with the "
            "members of openmm_mdgen.protocol.Generator"
        )
    return generator


def _valid_schedule(schedule: Schedule) -> Schedule:
    if isinstance(schedule, type) or not isinstance(schedule, Schedule):
        raise MDGenError(f"schedule is {schedule!r}: give an object such as Generate() or Integrate()")
    return schedule


def _valid_seed(seed: int | None) -> int:
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if not 0 <= operator.index(seed) < 2**63:
        raise MDGenError(f"seed is {seed}: give a whole number from 0 to 2**63 - 1")
    return operator.index(seed)


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


def _read(file: Any, mode: str) -> Any:
    if not isinstance(file, str):
        return file.read()
    with open(file, mode) as stream:
        return stream.read()


def _save(data: bytes | str, file: Any) -> None:
    if isinstance(file, str):
        with replacing(file) as temporary:
            temporary.write_bytes(data) if isinstance(data, bytes) else temporary.write_text(data)
    else:
        file.write(data)
