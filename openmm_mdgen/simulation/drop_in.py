"""`MDGenSimulation`: OpenMM's Simulation, advanced by a trajectory generator.

A *step* is an integrator step, a *frame* a generated configuration that stands for a whole number of them. Positions in
nanometre, times in picosecond, temperatures in kelvin; camelCase where the name is OpenMM's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openmm
from openmm import app

from openmm_mdgen.generators import registry
from openmm_mdgen.molecule.positions import as_topology
from openmm_mdgen.protocol import Generator
from openmm_mdgen.seeds import valid_seed
from openmm_mdgen.simulation import checks, restart
from openmm_mdgen.simulation.advance import Advance, Integrating, is_over, next_report
from openmm_mdgen.simulation.engine import Engine
from openmm_mdgen.simulation.gate import Judge
from openmm_mdgen.simulation.generating import Generating
from openmm_mdgen.simulation.landing_settings import LandingSettings
from openmm_mdgen.simulation.on_trial import OnTrial
from openmm_mdgen.simulation.record import Segment
from openmm_mdgen.simulation.schedule import Generate, Schedule
from openmm_mdgen.simulation.starts import Start

if TYPE_CHECKING:
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator


class MDGenSimulation(app.Simulation):
    """`openmm.app.Simulation` whose `step` advances physical time by generated frames.

    Reporters, checkpoints, states and `runForClockTime` work as in OpenMM. When a reporter sees a frame, the Context
    holds its positions, time and step count, and fresh velocities of the Maxwell-Boltzmann distribution. A frame stands
    for `generator.frame_interval` of physical time; `step` and reports have to fall on frames. Positions, step counts
    or states that are set in between are honoured: generation goes on from there. So is the integrator's temperature,
    by generators that know several (`generator.temperature_range`): each new segment is of what it is then. Frames that
    are left of a segment stay as they are. Outside of the range the nearest end is taken, and you are warned.

    Examples
    --------
    >>> simulation = MDGenSimulation(topology, system, integrator, seed=7)
    >>> simulation.context.setPositions(positions)
    >>> simulation.reporters.append(DCDReporter("trajectory.dcd", 5000))  # 10 ps in steps of 2 fs
    >>> simulation.step(5_000_000)  # 10 ns

    Parameters
    ----------
    topology : openmm.app.Topology or mdtraj.Topology
    system : openmm.System or str
    integrator : openmm.Integrator or str
    platform : openmm.Platform, optional
    platformProperties : dict of str to str, optional
    state : str, optional
        These six as for `openmm.app.Simulation`.
    generator : Generator or str or Path, optional
        The model, or the name or file of its weights, such as ``"mdgen/forward_sim"``; default: the bundled weights.
        None is loaded where the schedule never generates.
    schedule : Schedule, optional
        `Generate()`, the default; `Integrate()` for plain MD; `Alternate(...)` or `WhileAccepted(...)` for a hybrid
        run.
    gate : Judge, optional
        The judge of each segment before any of its frames is handed out; where it rejects, real MD takes the segment's
        place. Default: `Gate()` in a hybrid run, none with `Generate()`, whose frames are handed out as they come.
    landing : LandingSettings, optional
        Durations, stiffnesses and tolerances with which a hybrid run lands generated frames; the defaults where left
        out.
    upsampling : TrajectoryGenerator or str or Path, optional
        Weights that fill in the generator's frames: steps and reports may fall on any of their frames (0.1 ps with the
        bundled ones, `"upsampling_tetrapeptide"`). Each of those is then generated, which takes longer.
    start : Start, optional
        How the structure is relaxed that a run starts from, which generated frames have their bond lengths and angles
        of: `Minimised()`, the default, or `AsGiven()`; see `simulation.starts`.
    chains : {"each"}, optional
        ``"each"`` generates every protein chain by itself, without contacts between chains; the generator then counts
        frames in which chains overlap, see `openmm_mdgen.generators.each_chain.EachChain`. Default: there has to be one
        chain.
    seed : int, optional
        A whole number; the same seed and the same start give the same run. One is drawn where it is left out: see the
        attribute `seed`.

    Raises
    ------
    UnsupportedTopologyError
        If the generator cannot take this molecule.
    UnsupportedSystemError
        If the System has something that generated frames cannot honour and that would make them meaningless: atoms of
        mass zero, constraints beyond those of bonds and hydrogens, metadynamics. Restraints, biases, and another force
        field, solvent or temperature than those of the training data are warned of.
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
        start: Start | None = None,
        chains: str | None = None,
        seed: int | None = None,
    ) -> None:
        topology = as_topology(topology)
        self.schedule = checks.valid_schedule(Generate() if schedule is None else schedule)
        model = (
            registry.loaded(generator, upsampling, chains=chains, topology=topology)
            if self.schedule.generates
            else None
        )
        judge = checks.valid_gate(gate, self.schedule)
        settings = checks.valid_landing(landing)
        checks.check_openmm(system, integrator, platform)
        valid = valid_seed(seed)
        if model:
            model.check(topology)
        super().__init__(topology, system, integrator, platform, platformProperties)
        properties = dict(platformProperties or {})
        engine = Engine(topology, self.system, self.integrator, self.context, properties, checks.valid_start(start))
        self._advance: Advance = Integrating(engine)
        if model:
            checks.check_engine(engine, model, self.schedule)
            honoured = checks.check_honoured(engine, model, is_judged=judge is not None)
            self._advance = Generating(engine, model, valid, honoured)
        if model and judge:
            checks.check_hybrid(engine, model)
            self._advance = OnTrial(engine, model, valid, honoured, gate=judge, settings=settings)
        if state is not None:
            self.loadState(state)

    def step(self, steps: int) -> None:
        """As in OpenMM.

        Raises
        ------
        MDGenError
            If it is no number of steps.
        """
        super().step(checks.valid_steps(steps))

    @property
    def generator(self) -> Generator | None:
        """The model; None where the schedule never generates."""
        return self._advance.generator

    @property
    def gate(self) -> Judge | None:
        """What judges generated segments; None where none does."""
        return self._advance.gate

    @property
    def seed(self) -> int | None:
        """What decides every generated frame, given the start; None where the schedule never generates."""
        return self._advance.seed

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What was integrated and what generated so far, and what was rejected and why; restored with a checkpoint."""
        return tuple(self._advance.record.segments)

    def saveCheckpoint(self, file) -> None:
        """As in OpenMM; the file carries the generator's place too, and plain OpenMM can load it."""
        data = self.context.createCheckpoint()
        if arrays := self._advance.arrays():
            data = restart.add_to_checkpoint(data, arrays)
        restart.save(data, file)

    def loadCheckpoint(self, file) -> None:
        """As in OpenMM; goes on inside the generated segment where `saveCheckpoint` was called.

        Raises
        ------
        CheckpointError
            If it is no checkpoint, or the generator's part is damaged, of another molecule, or of other weights.
            Nothing has changed then.
        """
        checkpoint, arrays = restart.split_checkpoint(restart.read(file, "rb"))
        with restart.understood("checkpoint"):
            self._load(lambda: self.context.loadCheckpoint(checkpoint), arrays)

    def saveState(self, file) -> None:
        """As in OpenMM; the file carries the generator's place too, and plain OpenMM can load it."""
        state = self.context.getState(positions=True, velocities=True, parameters=True, integratorParameters=True)
        xml = openmm.XmlSerializer.serialize(state)
        if arrays := self._advance.arrays():
            xml = restart.add_to_state(xml, arrays)
        restart.save(xml, file)

    def loadState(self, file) -> None:
        """As in OpenMM; goes on inside the generated segment where `saveState` was called.

        Raises
        ------
        CheckpointError
            As `loadCheckpoint`.
        """
        xml, arrays = restart.split_state(restart.read(file, "r"))
        with restart.understood("state"):
            self._load(lambda: self.context.setState(openmm.XmlSerializer.deserialize(xml)), arrays)

    def _load(self, load_context: Callable[[], None], arrays: restart.Arrays | None) -> None:
        if arrays is None:
            load_context()
            self._advance.start_anew()
        else:
            advance = self._advance.restored(arrays)
            load_context()
            advance.resume()
            self._advance = advance

    # OpenMM's loop. It serves `step` and `runForClockTime`; here each pass ends with a phase of the schedule too, and
    # the way to advance is the phase's.

    def _simulate(self, endStep=None, endTime=None) -> None:
        end_step = sys.maxsize if endStep is None else int(endStep)
        if self.currentStep < end_step:
            self._advance.prepare()
        while self.currentStep < end_step and not is_over(endTime):
            pending = [(reporter, next_report(reporter, self)) for reporter in self.reporters]
            step_size = self._advance.engine.step_size
            phase = self.schedule.phase(self.currentStep, step_size)
            stretch = self._advance.stretch(phase, step_size, end_step, pending)
            steps = min([stretch.steps, *(report["steps"] for _, report in pending if report["steps"] > 0)])
            remaining = steps
            while remaining > 0:
                if remaining < steps and is_over(endTime):
                    return
                piece = min(stretch.piece, remaining)
                stretch.advance(piece)
                remaining -= piece
            self._report([(reporter, report) for reporter, report in pending if report["steps"] == steps])

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
