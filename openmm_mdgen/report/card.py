"""What weights of forward simulation are worth, peptide by peptide: the measures of a card beside the weights.

Real MD of a peptide, of several replicas or one, is cut in two: its first half is the reference, and of its *other
half* come the rows of real MD, which show how near MD of that length comes. Weights generate *rollouts*, a few
trajectories from the structure of the reference, and *segments*, one from each of many real frames of the other half.
Times in picosecond unless a name says nanoseconds or seconds.
"""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mdtraj
import numpy as np

from openmm_mdgen.analysis.definitions import Definitions
from openmm_mdgen.analysis.equivalent import EquivalentTime, equivalent_within_half
from openmm_mdgen.analysis.evaluation import evaluate
from openmm_mdgen.analysis.folders import read_md
from openmm_mdgen.analysis.memory import TIMES
from openmm_mdgen.analysis.results import Evaluation, plain
from openmm_mdgen.analysis.sources import measure, sound_torsions
from openmm_mdgen.analysis.torsions import mean_torsion_distances, torsion_distances
from openmm_mdgen.analysis.undefined import attempt
from openmm_mdgen.errors import MDGenError, UnsupportedTopologyError
from openmm_mdgen.generators.rollouts import stream
from openmm_mdgen.md.structures import load_structure
from openmm_mdgen.md.systems import relaxed
from openmm_mdgen.protocol import draw
from openmm_mdgen.report.table import LENGTHS, distances
from openmm_mdgen.report.timed_runs import known_interval
from openmm_mdgen.seeds import segment_seed
from openmm_mdgen.times import whole_number

if TYPE_CHECKING:
    from openmm import app

    from openmm_mdgen.protocol import Generator

OTHER_HALF = "MD, other half"
_BATCH = 8  # segments at once


@dataclass(frozen=True)
class CardPlan:
    """What is generated of each peptide.

    Parameters
    ----------
    nanoseconds : float
        Length of all rollouts together.
    seconds : float
        Wall time in seconds after which rollouts end, however long they are.
    replicas : int
        Number of rollouts.
    segments : int
        Number of real frames from which one segment is generated.
    seed : int
    """

    nanoseconds: float = 20.0
    seconds: float = 30.0
    replicas: int = 4
    segments: int = 32
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Peptide:
    """Real MD of one peptide, cut in two."""

    name: str
    topology: app.Topology
    start: np.ndarray  # (n_atoms, 3) nm, minimised
    reference: list[mdtraj.Trajectory]
    other_half: list[mdtraj.Trajectory]

    @classmethod
    def of(cls, name: str, files: Sequence[tuple[Path, Path]]) -> Peptide:
        """Read it: a structure and a trajectory of each replica.

        Raises
        ------
        MDGenError
            If a file cannot be read, or holds other atoms than the structure.
        """
        runs = [read_md(*pair) for pair in files]
        if len(runs) == 1:
            half = runs[0].n_frames // 2
            reference, other = [runs[0][:half]], [runs[0][half:]]
        else:
            reference, other = runs[: (len(runs) + 1) // 2], runs[(len(runs) + 1) // 2 :]
        topology, positions = load_structure(files[0][0], seed=0)
        if topology.getNumAtoms() != runs[0].n_atoms:
            raise MDGenError(
                f"{files[0][0]}: {topology.getNumAtoms()} atoms when completed, and {files[0][1]} has "
                f"{runs[0].n_atoms}: give MD of a complete molecule"
            )
        return cls(name, topology, relaxed(topology, positions), reference, other)

    @property
    def interval(self) -> float:
        """Between frames of MD."""
        return float(self.reference[0].timestep)

    @property
    def nanoseconds(self) -> tuple[float, float]:
        """Lengths of the reference and of the other half."""
        first, second = (
            sum(run.n_frames for run in half) * self.interval / 1000 for half in (self.reference, self.other_half)
        )
        return first, second


def of_real_md(peptide: Peptide) -> dict[str, dict[str, Any]]:
    """The rows of real MD: its other half, and beginnings of that of some lengths, of as few runs as have them."""
    rows = {}
    for label, length in LENGTHS.items():
        beginning = _beginning(peptide.other_half, round(length / peptide.interval))
        if beginning:
            rows[label] = {"distances": distances(_evaluated(beginning, peptide))}
    return rows | {OTHER_HALF: {"distances": distances(_evaluated(peptide.other_half, peptide))}}


def _beginning(runs: Sequence[mdtraj.Trajectory], n_frames: int) -> list[mdtraj.Trajectory]:
    """Beginnings of runs, the longest first, with so many frames together; empty where there are not as many."""
    if not 2 <= n_frames <= sum(run.n_frames for run in runs):
        return []
    pieces = []
    for run in sorted(runs, key=len, reverse=True):
        pieces.append(run[:n_frames])
        n_frames -= pieces[-1].n_frames
        if n_frames == 0:
            break
    return pieces


def of_weights(generator: Generator, peptide: Peptide, plan: CardPlan) -> dict[str, Any]:
    """All measures of weights on one peptide, as plain values for JSON; ``"refused"`` alone if they do not take it.

    Parameters
    ----------
    generator : Generator
    peptide : Peptide
    plan : CardPlan

    Returns
    -------
    dict
        ``distances`` by column of the table, ``equivalent`` in words, ``slow_times``, ``validity``, ``memory`` (mean
        cosines to the start by time, generated and of real MD from the same frames), ``segments`` (mean torsion
        distance), and how much was made in how many seconds.
    """
    try:
        generator.check(peptide.topology)
    except UnsupportedTopologyError as error:
        return {"refused": str(error)}
    interval = known_interval(generator, "a card")
    made, seconds = _rollouts(generator, interval, peptide, plan)
    evaluation = _evaluated(made, peptide)
    return {
        "distances": distances(evaluation),
        "nanoseconds": sum(run.n_frames for run in made) * interval / 1000,
        "seconds": seconds,
        "equivalent": str(attempt(_worth, made, peptide)),
        "slow_times": plain(evaluation.slow_times),
        "validity": {
            name: plain(getattr(evaluation.validity.generated, name))
            for name in ("valid", "without_clash", "unbroken", "rings", "right_chirality")
        },
        "n_frames": evaluation.validity.generated.n_frames,
        **_segments(generator, interval, peptide, plan),
    }


def _worth(made: list[mdtraj.Trajectory], peptide: Peptide) -> EquivalentTime:
    """The length of MD that is as near to all MD of the peptide, up to half of that, whatever its single runs last."""
    return equivalent_within_half(sound_torsions(made), sound_torsions([*peptide.reference, *peptide.other_half]))


def _evaluated(made: list[mdtraj.Trajectory], peptide: Peptide) -> Evaluation:
    return evaluate(made, peptide.reference, definitions=Definitions.SOUND, ensembles=False)


def _rollouts(
    generator: Generator, interval: float, peptide: Peptide, plan: CardPlan
) -> tuple[list[mdtraj.Trajectory], float]:
    """Trajectories from the minimised structure, and the wall time that they took."""
    n_frames = max(2, round(plan.nanoseconds * 1000 / interval / plan.replicas))
    segments = stream(generator, peptide.topology, peptide.start, n_frames, replicas=plan.replicas, seed=plan.seed)
    chunks: list[np.ndarray] = []
    began = clock.perf_counter()
    for chunk in segments:
        chunks.append(chunk.astype(np.float32))
        if clock.perf_counter() - began > plan.seconds:
            break
    seconds = clock.perf_counter() - began
    atoms = mdtraj.Topology.from_openmm(peptide.topology).subset(segments.atom_indices)
    xyz = np.concatenate(chunks, axis=1)
    return [mdtraj.Trajectory(run, atoms, time=np.arange(1, len(run) + 1) * interval) for run in xyz], seconds


def _segments(generator: Generator, interval: float, peptide: Peptide, plan: CardPlan) -> dict[str, Any]:
    """What a segment from a real frame remembers and where it goes, beside real MD from the same frame."""
    stride = whole_number(interval, peptide.interval)
    if stride is None:
        why = f"frames of MD are {peptide.interval:g} ps apart, which does not divide {interval:g} ps"
        return {"memory": why, "segments": why}
    propagator = generator.propagator(peptide.topology, peptide.start)
    n_lags = len(draw(propagator, peptide.start[None], [plan.seed])[0].frames)
    windows = _windows(peptide.other_half, stride, n_lags, plan.segments)
    if not len(windows):
        why = f"MD is shorter than a segment of {n_lags * interval:g} ps"
        return {"memory": why, "segments": why}
    made = []
    for first in range(0, len(windows), _BATCH):
        starts = windows[first : first + _BATCH, 0].astype(float)
        seeds = [segment_seed(plan.seed, first + k) for k in range(len(starts))]
        made += [segment.frames for segment in draw(propagator, starts, seeds)]
    atoms = propagator.atom_indices
    ours = np.concatenate([windows[:, :1, atoms], np.array(made, dtype=np.float32)], axis=1)
    topology = peptide.reference[0].topology
    sides = {
        "generated": mdtraj.Trajectory(ours.reshape(-1, *ours.shape[2:]), topology.subset(atoms)),
        "md": mdtraj.Trajectory(windows.reshape(-1, *windows.shape[2:]), topology),
    }
    whole = mdtraj.join(peptide.reference, check_topology=False)
    return {
        "memory": {side: _cosines(frames, len(windows), interval) for side, frames in sides.items()},
        "segments": {
            side: plain(mean_torsion_distances(torsion_distances(frames, whole)).all) for side, frames in sides.items()
        },
    }


def _windows(runs: list[mdtraj.Trajectory], stride: int, n_lags: int, n: int) -> np.ndarray:
    """(up to n, 1 + n_lags, n_atoms, 3) stretches of MD with the generator's interval, evenly spread."""
    span = stride * n_lags
    starts = [(run, t) for run in runs for t in range(run.n_frames - span)]
    if not starts:
        return np.zeros((0, 1, 1, 3))
    chosen = np.unique(np.linspace(0, len(starts) - 1, min(n, len(starts))).round().astype(int))
    found = [starts[k][0].xyz[starts[k][1] : starts[k][1] + span + 1 : stride] for k in chosen]
    return np.array(found)


def _cosines(frames: mdtraj.Trajectory, n: int, interval: float) -> dict[str, float]:
    """Mean cosines of the angles turned since the start of `n` stretches of equal length, by the time."""
    angles = measure(frames).torsions.angles.astype(float).reshape(n, frames.n_frames // n, -1)
    lags = {f"{time:g} ps": whole_number(time, interval) for time in TIMES}
    return {
        name: float(np.cos(angles[:, lag] - angles[:, 0]).mean())
        for name, lag in lags.items()
        if lag is not None and lag < angles.shape[1]
    }
