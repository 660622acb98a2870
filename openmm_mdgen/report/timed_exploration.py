"""Real MD from generated frames in a given wall time. Nanosecond for lengths of runs, picosecond within; second."""

from __future__ import annotations

import math
import tempfile
import time as clock
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mdtraj
import numpy as np

from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError, attempt
from openmm_mdgen.exploration import Exploration, Kinetics, Plan, generated_frames
from openmm_mdgen.report.timed_runs import MD_INTERVAL, PackedMD, TimedRun, known_interval

if TYPE_CHECKING:
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
    generation: float,
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
    generation, md : float
        Speeds of either, ns a second, by which the work is planned.
    seed : int

    Returns
    -------
    TimedExploration

    Raises
    ------
    UndefinedError
        If there is too little time for MD.
    """
    runs = sum(packed.swarm.places)
    interval = known_interval(generator, "an exploration")
    n_frames = max(runs, round(_SHARE_OF_GENERATION * seconds * generation * 1000 / interval))
    began = clock.perf_counter()
    generated = generated_frames(generator, packed.swarm.topology, start, n_frames, seed=seed)
    once = clock.perf_counter()
    packed.swarm.relaxed(generated.xyz[-1:])  # as each start will be
    left = (1 - _SHARE_OF_MODEL) * seconds - runs * (clock.perf_counter() - once) - (clock.perf_counter() - began)
    plan, n_rounds = _plan(left * md * 1000 / runs, runs, seconds, seed)
    with tempfile.TemporaryDirectory() as folder:
        exploration = Exploration(packed.swarm, Path(folder), plan)
        rounds = [attempt(exploration.round, generated) for _ in range(n_rounds)]
    spent = clock.perf_counter() - began
    weighted = attempt(lambda kinetics: _in_equilibrium(kinetics, exploration.pieces, seed), rounds[-1])
    return TimedExploration(
        TimedRun(exploration.pieces, MD_INTERVAL, spent),
        attempt(lambda frames: TimedRun([frames], MD_INTERVAL, spent), weighted),
    )


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
        lagtime=min(_LAGTIME, frames // 2 * MD_INTERVAL),
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
