"""What methods make of one peptide in a given wall time, one after the other on this machine.

The methods are real MD of one copy, real MD of packed copies, and generation; `timed_exploration` has real MD that
starts from generated frames. All begin with the same minimised structure, and are ready when the clock starts:
kernels are compiled, the network has run once, the weights are loaded. Axes: ``n_frames``, ``n_atoms``. Nanometre,
picosecond; wall times in second.
"""

from __future__ import annotations

import time as clock
from dataclasses import dataclass
from typing import TYPE_CHECKING

import mdtraj
import numpy as np
import openmm
from openmm import app

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.generators.rollouts import stream
from openmm_mdgen.md.local_swarm import LocalSwarm
from openmm_mdgen.md.systems import implicit_system, langevin, positions_of
from openmm_mdgen.seeds import openmm_seed, segment_seed

if TYPE_CHECKING:
    from openmm_mdgen.protocol import Generator

_ENDLESS = 2**40  # frames
_STEP_SIZE = 0.004  # ps
_FRAME_STEPS = 250
MD_INTERVAL = _FRAME_STEPS * _STEP_SIZE  # ps between frames of real MD


@dataclass(frozen=True, eq=False)
class TimedRun:
    """What one method made in its wall time."""

    trajectories: list[mdtraj.Trajectory]  # one a replica or copy
    interval: float  # ps between frames
    seconds: float  # of wall time

    @property
    def nanoseconds(self) -> float:
        """The length of all replicas together."""
        return sum(trajectory.n_frames for trajectory in self.trajectories) * self.interval / 1000


class RealMD:
    """Real MD of one molecule in implicit solvent, ready to run: its kernels are compiled.

    Parameters
    ----------
    topology : openmm.app.Topology
    start : (n_atoms, 3), nm
        A relaxed structure.
    temperature : float
        In K.
    platform : openmm.Platform, optional
        Default: the fastest here.
    seed : int
    """

    def __init__(
        self,
        topology: app.Topology,
        start: np.ndarray,
        temperature: float,
        platform: openmm.Platform | None,
        seed: int,
    ) -> None:
        seed = openmm_seed(seed)
        integrator = langevin(temperature=temperature, step_size=_STEP_SIZE, seed=seed)
        self._simulation = app.Simulation(topology, implicit_system(topology), integrator, platform)
        self._simulation.context.setPositions(start)
        self._simulation.context.setVelocitiesToTemperature(temperature, seed)
        self._simulation.step(_FRAME_STEPS)  # kernels are compiled and neighbour lists made in the first steps

    def run(self, seconds: float) -> TimedRun:
        """Go on until the time is over, for at least one frame."""
        frames: list[np.ndarray] = []
        began = clock.perf_counter()
        while not frames or clock.perf_counter() - began < seconds:
            self._simulation.step(_FRAME_STEPS)
            frames.append(positions_of(self._simulation.context).astype(np.float32))
        spent = clock.perf_counter() - began
        atoms = mdtraj.Topology.from_openmm(self._simulation.topology)
        return TimedRun([_trajectory(np.stack(frames), atoms, MD_INTERVAL)], MD_INTERVAL, spent)

    @property
    def platform(self) -> str:
        """Where OpenMM computes, with its threads or device if it has such a property."""
        context = self._simulation.context
        platform = context.getPlatform()
        names = [name for name in platform.getPropertyNames() if name in ("Threads", "DeviceName")]
        told = ", ".join(f"{name} {platform.getPropertyValue(context, name)}" for name in names)
        return f"{platform.getName()} ({told})" if told else platform.getName()


class PackedMD:
    """Real MD of many copies of one molecule at once, the fastest that there is of small ones; see `LocalSwarm`.

    Parameters
    ----------
    topology : openmm.app.Topology
    start : (n_atoms, 3), nm
        A relaxed structure, with which every copy starts.
    temperature : float
        In K.
    platform : openmm.Platform, optional
        Default: the fastest here.
    copies, seed : int
    """

    def __init__(
        self,
        topology: app.Topology,
        start: np.ndarray,
        temperature: float,
        platform: openmm.Platform | None,
        copies: int,
        seed: int,
    ) -> None:
        self.swarm = LocalSwarm(
            topology,
            start,
            n_places=copies,
            platform=None if platform is None else platform.getName(),
            seed=seed,
            temperature=temperature,
            step_size=_STEP_SIZE,
        )
        self._ends, self._seed, self._n_runs = [start] * copies, seed, 0

    def run(self, seconds: float) -> TimedRun:
        """Go on until the time is over, for at least one frame of each copy; velocities are drawn anew each time."""
        began = clock.perf_counter()
        found = self.swarm.run(
            self._ends, frame_interval=MD_INTERVAL, seed=segment_seed(self._seed, self._n_runs), seconds=seconds
        )
        spent = clock.perf_counter() - began
        self._ends, self._n_runs = [run[-1].astype(float) for run in found], self._n_runs + 1
        atoms = mdtraj.Topology.from_openmm(self.swarm.topology)
        return TimedRun([_trajectory(run, atoms, MD_INTERVAL) for run in found], MD_INTERVAL, spent)

    @property
    def told(self) -> str:
        """How the copies are shared out."""
        places = self.swarm.places
        return f"{sum(places)} copies in {len(places)} process{'es' if len(places) > 1 else ''}"


def known_interval(generator: Generator, needed_by: str) -> float:
    """The generator's frame interval, ps; `MDGenError` if its frames are independent samples, which have none."""
    if generator.frame_interval is None:
        raise MDGenError(
            f"the generator gives independent samples without a time between them, and {needed_by} needs one"
        )
    return generator.frame_interval


def generate(
    generator: Generator,
    frame_interval: float,
    topology: app.Topology,
    start: np.ndarray,
    seconds: float,
    *,
    replicas: int,
    seed: int,
) -> TimedRun:
    """Generate until the time is over, at least a segment of each replica.

    Parameters
    ----------
    generator : Generator
    frame_interval : float
        That of the generator, ps.
    topology : openmm.app.Topology
    start : (n_atoms, 3), nm
        A relaxed structure, from which every replica starts.
    seconds : float
        Wall time.
    replicas, seed : int

    Returns
    -------
    TimedRun
        Of the atoms that the generator moves.
    """
    next(stream(generator, topology, start, _ENDLESS, replicas=replicas, seed=seed + 1))  # the first call is slower
    segments = stream(generator, topology, start, _ENDLESS, replicas=replicas, seed=seed)
    chunks: list[np.ndarray] = []
    began = clock.perf_counter()
    while not chunks or clock.perf_counter() - began < seconds:
        chunks.append(next(segments).astype(np.float32))
    spent = clock.perf_counter() - began
    atoms = mdtraj.Topology.from_openmm(topology).subset(segments.atom_indices)
    made = [_trajectory(xyz, atoms, frame_interval) for xyz in np.concatenate(chunks, axis=1)]
    return TimedRun(made, frame_interval, spent)


def _trajectory(xyz: np.ndarray, atoms: mdtraj.Topology, interval: float) -> mdtraj.Trajectory:
    return mdtraj.Trajectory(xyz, atoms, time=np.arange(len(xyz)) * interval)
