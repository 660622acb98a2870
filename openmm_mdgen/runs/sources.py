"""What generates the frames of a run, block by block, with a state from which it goes on bit for bit.

A *report* is a frame that is written. Axes: ``R`` replicas, ``N`` atoms of the topology. Nanometre.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.generators.rollouts import stream
from openmm_mdgen.md.minimisation import is_peptide
from openmm_mdgen.md.systems import langevin
from openmm_mdgen.runs.checkpoints import Arrays
from openmm_mdgen.runs.jobs import STEP_SIZE, Job
from openmm_mdgen.simulation.drop_in import MDGenSimulation
from openmm_mdgen.simulation.schedule import steps_per_frame
from openmm_mdgen.simulation.starts import AsGiven, Minimised

# Forces serve the minimisation alone, so the CPU will do; with one thread it gives the same start every time.
_PLATFORM, _PLATFORM_PROPERTIES = "CPU", {"Threads": "1"}


class Source(Protocol):
    """What generates the reports of a job."""

    @property
    def redraws(self) -> int:
        """Segments that were drawn anew since the run began."""
        ...

    def blocks(self) -> Iterator[np.ndarray]:
        """Reports (R, any number, N, 3), in their order; after each block `state` may be asked."""
        ...

    def state(self) -> Arrays:
        """All that another object of this kind needs to go on from here."""
        ...


class Simulated:
    """One trajectory, as an `MDGenSimulation` makes it.

    Parameters
    ----------
    job : Job
    state : dict of str to array, optional
        What `state` gave, to go on from there.
    """

    def __init__(self, job: Job, state: Arrays | None = None) -> None:
        self._length = job.length
        self._simulation = MDGenSimulation(
            job.prepared.topology,
            job.prepared.system(),
            langevin(temperature=job.generator.temperature, step_size=STEP_SIZE, seed=job.seed % 2**31),
            openmm.Platform.getPlatformByName(_PLATFORM),
            _PLATFORM_PROPERTIES,
            generator=job.generator,
            start=Minimised() if is_peptide(job.prepared.topology) else AsGiven(),
            seed=job.seed,
        )
        self._frame_steps = steps_per_frame(job.generator.frame_interval, STEP_SIZE)
        self._reports = _Reports(job.length.report_steps)
        self._simulation.reporters.append(self._reports)
        if state is None:
            self._simulation.context.setPositions(job.start)
        else:
            self._simulation.loadState(io.StringIO(state["simulation"].tobytes().decode()))

    @property
    def redraws(self) -> int:
        return sum(not segment.accepted for segment in self._simulation.segments)

    def blocks(self) -> Iterator[np.ndarray]:
        """A block is what one segment gives: at its end nothing has to be generated again from a state."""
        simulation, end = self._simulation, self._length.n_reports * self._length.report_steps
        while simulation.currentStep < end:
            left = self._segment_end() - simulation.currentStep
            simulation.step(min(left if left > 0 else self._frame_steps, end - simulation.currentStep))
            if self._segment_end() <= simulation.currentStep or simulation.currentStep == end:
                yield self._reports.taken(simulation.topology.getNumAtoms())

    def state(self) -> Arrays:
        text = io.StringIO()
        self._simulation.saveState(text)
        return {"simulation": np.frombuffer(text.getvalue().encode(), dtype=np.uint8)}

    def _segment_end(self) -> int:
        """The step at which the latest segment is used up."""
        segments = self._simulation.segments
        return segments[-1].end_step if segments else 0


class _Reports:
    """A reporter that keeps positions until they are taken."""

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._frames: list[np.ndarray] = []

    def describeNextReport(self, simulation: app.Simulation) -> dict:
        steps = self._interval - simulation.currentStep % self._interval
        return {"steps": steps, "periodic": None, "include": ["positions"]}

    def report(self, simulation: app.Simulation, state: openmm.State) -> None:
        self._frames.append(np.array(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)))

    def taken(self, n_atoms: int) -> np.ndarray:
        """(1, any number, N, 3)"""
        frames, self._frames = self._frames, []
        return np.array(frames).reshape(1, len(frames), n_atoms, 3)


class Streamed:
    """Replicas or samples; parameters as in `Simulated`."""

    def __init__(self, job: Job, state: Arrays | None = None) -> None:
        self._length, self._start = job.length, job.start
        n_frames = job.length.n_reports * job.length.stride
        self._chunks = stream(
            job.generator, job.prepared.topology, job.start, n_frames, replicas=job.replicas, seed=job.seed
        )
        if state is not None:
            self._chunks.restore(state)

    @property
    def redraws(self) -> int:
        return self._chunks.redraws

    def blocks(self) -> Iterator[np.ndarray]:
        stride, chunks = self._length.stride, self._chunks
        for chunk in chunks:
            first = chunks.n_done - chunk.shape[1]
            reported = [k for k in range(chunk.shape[1]) if (first + k + 1) % stride == 0]
            frames = np.tile(self._start, (chunk.shape[0], len(reported), 1, 1))
            frames[:, :, chunks.atom_indices] = chunk[:, reported]
            yield frames

    def state(self) -> Arrays:
        return self._chunks.state()


def source_of(job: Job, state: Arrays | None = None) -> Source:
    """What generates a job, from its start or from a state."""
    return Simulated(job, state) if job.replicas == 1 and not job.length.are_samples else Streamed(job, state)
