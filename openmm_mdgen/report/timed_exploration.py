"""Real MD from generated frames in a given wall time. Nanosecond for lengths of runs, picosecond within; second."""

from __future__ import annotations

import math
import tempfile
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mdtraj
import numpy as np

from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError, attempt, known
from openmm_mdgen.exploration import Exploration, Kinetics, Plan
from openmm_mdgen.report.timed_runs import MD_INTERVAL, PackedMD, TimedRun, generate, known_interval

if TYPE_CHECKING:
    from openmm_mdgen.md.local_swarm import LocalSwarm
    from openmm_mdgen.protocol import Generator

_SHARE_OF_GENERATION, _SHARE_OF_MODEL = 0.2, 0.05  # of the wall time
_SETTLING, _PIECE, _LAGTIME = 5.0, 200.0, 40.0  # ps, as those of `Plan`; pieces are shorter where time is short
_SHORTEST_PIECE = 4.0  # ps
_MOST_MICROSTATES, _FRAMES_OF_A_MICROSTATE = 50, 20


@dataclass(frozen=True, eq=False)
class TimedExploration:
    """What MD from generated frames made; the wall time of both is that of all: generation, minimisation, MD, model."""

    as_it_is: TimedRun  # a trajectory for each run of MD
    weighted: TimedRun | NotDefined  # the same frames as often as a Markov model of all runs says; without an order


def explore(
    generator: Generator,
    packed: PackedMD,
    start: np.ndarray,
    seconds: float,
    *,
    replicas: int,
    md: float,
    seed: int,
) -> TimedExploration:
    """Generate for a fifth of the time, and run MD from frames spread over what was generated for the rest.

    Parameters
    ----------
    generator : Generator
    packed : PackedMD
        Its places hold the runs.
    start : (n_atoms, 3), nm
        A relaxed structure, from which generation starts.
    seconds : float
        Wall time.
    replicas : int
        Number of trajectories generated at once.
    md : float
        Speed of packed MD, ns a second, by which rounds are planned.
    seed : int

    Returns
    -------
    TimedExploration

    Raises
    ------
    UndefinedError
        If there is too little time for MD, too few frames are generated, or they lack atoms of the molecule.
    """
    runs, topology = sum(packed.swarm.places), packed.swarm.topology
    interval = known_interval(generator, "an exploration")
    made = generate(
        generator, interval, topology, start, _SHARE_OF_GENERATION * seconds, replicas=replicas, seed=seed
    )  # fmt: skip
    began = clock.perf_counter()
    generated = mdtraj.join(made.trajectories, check_topology=False)
    if generated.n_atoms != topology.getNumAtoms() or generated.n_frames < runs:
        raise UndefinedError(f"{runs} runs need as many generated frames of all atoms")
    end = began - made.seconds + (1 - _SHARE_OF_MODEL) * seconds
    plan, n_rounds = _plan((end - began) * md * 1000 / runs, runs, seconds, seed)
    with tempfile.TemporaryDirectory() as folder:
        exploration = Exploration(_Until(packed.swarm, end), Path(folder), plan)
        for k in range(n_rounds):
            if k == 0 or end - clock.perf_counter() > (end - began) / n_rounds / 2:
                done = attempt(exploration.round, generated)
        if not exploration.pieces:
            known(done)  # which says why
        weighted = attempt(lambda: _in_equilibrium(exploration.kinetics(), exploration.pieces, seed))
    spent = made.seconds + clock.perf_counter() - began
    return TimedExploration(
        TimedRun(exploration.pieces, MD_INTERVAL, spent),
        attempt(lambda frames: TimedRun([frames], MD_INTERVAL, spent), weighted),
    )


class _Until:
    """A swarm whose runs end when the time is over, `end` by the clock, all of one round after as many frames."""

    def __init__(self, swarm: LocalSwarm, end: float) -> None:
        self.topology, self.swarm, self.end = swarm.topology, swarm, end

    def relaxed(self, frames: np.ndarray) -> np.ndarray:
        return self.swarm.relaxed(frames)

    def run(
        self,
        starts: Sequence[np.ndarray] | np.ndarray,
        *,
        n_frames: int,
        frame_interval: float = MD_INTERVAL,
        seed: int = 0,
        progress: Callable[[int], None] = lambda runs: None,
    ) -> list[np.ndarray]:
        left = max(self.end - clock.perf_counter(), 0.0)
        found = self.swarm.run(
            starts, n_frames=n_frames, frame_interval=frame_interval, seed=seed, seconds=left, progress=progress
        )
        shortest = min(map(len, found))
        if shortest * frame_interval < _SETTLING + _SHORTEST_PIECE:
            raise UndefinedError(f"{shortest * frame_interval:g} ps of MD from generated frames are too few")
        return [run[:shortest] for run in found]


def _plan(time: float, runs: int, seconds: float, seed: int) -> tuple[Plan, int]:
    """Rounds of pieces of about 200 ps that fill the time, ps of each place; one round of shorter ones if need be."""
    n_rounds = max(1, round(time / (_PIECE + _SETTLING)))
    frames = math.floor((time / n_rounds - _SETTLING) / MD_INTERVAL)
    if frames * MD_INTERVAL < _SHORTEST_PIECE:
        raise UndefinedError(f"{seconds:g} s are too short for real MD from generated frames")
    plan = Plan(
        runs,
        piece=frames * MD_INTERVAL,
        settling=_SETTLING,
        frame_interval=MD_INTERVAL,
        lagtime=min(_LAGTIME, max(1, frames // 3) * MD_INTERVAL),
        n_microstates=min(_MOST_MICROSTATES, max(4, n_rounds * runs * frames // _FRAMES_OF_A_MICROSTATE)),
        seed=seed,
    )
    return plan, n_rounds


def _in_equilibrium(kinetics: Kinetics, pieces: list[mdtraj.Trajectory], seed: int) -> mdtraj.Trajectory:
    """As many frames as there are, each drawn as often as its weight says, with the least scatter."""
    weights = np.concatenate(kinetics.weights)
    steps = (np.arange(len(weights)) + np.random.default_rng(seed).random()) / len(weights)
    drawn = np.searchsorted(np.cumsum(weights)[:-1] / weights.sum(), steps)
    xyz = np.concatenate([piece.xyz for piece in pieces])[drawn]
    return mdtraj.Trajectory(xyz, pieces[0].topology, time=np.zeros(len(xyz)))
