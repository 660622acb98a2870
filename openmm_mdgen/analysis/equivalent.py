"""How much real MD a generated trajectory is worth.

The equivalent MD time is the length of real MD whose torsion distance to the reference (mean over all torsions, see
`distances`) is the generated trajectory's. Pieces of real MD come from a second MD run where there is one, else from
the reference, and are then compared with the reference less the blocks they lie in; so a time beyond half of the
reference cannot be told. A piece lies within one trajectory; one that is longer than each goes on into the next. It
counts what is visited and how often, not how fast. The interval is what the MD leaves open; luck
in the generated trajectory is not in it. Times in picosecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from openmm_mdgen.analysis.distances import FULL_TURN, N_BINS, js_distance
from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError
from openmm_mdgen.arguments import positive, require, valid_count
from openmm_mdgen.seeds import valid_library_seed

N_BLOCKS = 20  # of the reference
N_LENGTHS, N_PIECES = 14, 20  # lengths of MD tried, pieces of each
N_BOOTSTRAP = 200
CONFIDENCE = 0.95
_SHORTEST = 10  # frames


@dataclass(frozen=True)
class OutOfReach(NotDefined):
    """A time that the MD at hand cannot show, and what can be said in its place."""

    limit: float  # ps
    above: bool  # whether the time is longer than the limit, or shorter


def told(time: float | NotDefined) -> str:
    """A time in a few words, such as ``"1.35 ns"`` or ``"over 10 ns"``; why there is none, if so."""
    if isinstance(time, OutOfReach):
        return f"{'over' if time.above else 'under'} {told(time.limit)}"
    if isinstance(time, NotDefined):
        return time.why
    return f"{time:.3g} ps" if time < 999.5 else f"{time / 1000:.3g} ns"


@dataclass(frozen=True, eq=False)
class EquivalentTime:
    """Times in ps; a bound that the MD at hand cannot show is `OutOfReach`."""

    time: float | NotDefined
    low: float | NotDefined  # the interval holds 95 % of the bootstrap
    high: float | NotDefined
    distance: float  # of the generated trajectory
    lengths: np.ndarray  # (n_lengths,) of MD tried
    distances: np.ndarray  # (n_lengths,) mean distance of MD of that length

    def __str__(self) -> str:
        return f"{told(self.time)} ({told(self.low)} to {told(self.high)})"


def equivalent_within_half(generated: TorsionSeries, reference: TorsionSeries) -> EquivalentTime:
    """`equivalent_md_time` in pieces of up to half of all of the reference, however short its single runs are."""
    return equivalent_md_time(generated, reference, longest=reference.n_frames * reference.known_interval() / 2)


def equivalent_md_time(
    generated: TorsionSeries,
    reference: TorsionSeries,
    *,
    replicate: TorsionSeries | None = None,
    longest: float | None = None,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> EquivalentTime:
    """Find the length of MD that is as far from the reference as `generated` is.

    Parameters
    ----------
    generated, reference : TorsionSeries
    replicate : TorsionSeries, optional
        A second MD run of the same molecule, from which pieces are taken. Default: pieces of the reference.
    longest : float or quantity, optional
        Longest piece of MD that is tried; plain numbers are in ps. Default: the longest trajectory of the MD, and of
        the reference no more than half of it.
    n_bootstrap : int
        Number of resamplings of the reference's blocks and of the pieces.
    seed : int

    Returns
    -------
    EquivalentTime

    Raises
    ------
    MDGenError
        If the molecules differ, or a number makes no sense.
    UndefinedError
        If the MD's frame interval is not known, or it is shorter than ten frames a block.
    """
    for name, series in (("generated", generated), ("reference", reference)):
        require(name, series, isinstance(series, TorsionSeries), "a TorsionSeries; evaluate takes trajectories")
    n_bootstrap, seed = valid_count("n_bootstrap", n_bootstrap), valid_library_seed(seed)
    longest = None if longest is None else positive("longest", longest, "picosecond")
    if not reference.names:
        raise UndefinedError("there is no torsion that all trajectories have")
    generated = generated.ordered(reference.names)
    md = reference if replicate is None else replicate.ordered(reference.names)
    interval = md.known_interval()
    if min(reference.n_frames, md.n_frames) < N_BLOCKS * _SHORTEST:
        raise UndefinedError(f"MD of fewer than {N_BLOCKS * _SHORTEST} frames is too short to be cut into pieces")
    rng = np.random.default_rng(seed)
    most = md.n_frames if replicate is not None else md.n_frames // 2
    n_longest = min(most, max(md.lengths) if longest is None else round(longest / interval))
    counted = _Counted.of(generated, reference, replicate=None if replicate is None else md, longest=n_longest, rng=rng)

    everything = np.tile(np.arange(N_PIECES), (len(counted.lengths), 1))
    frames, distance, curve = counted.crossing(np.ones(N_BLOCKS), everything)
    resampled = []
    for _ in range(n_bootstrap):
        weights = _resampled_blocks(rng, counted.apart)
        chosen = rng.integers(0, N_PIECES, size=everything.shape)
        resampled.append(counted.crossing(weights, chosen)[0])
    low, high = _interval(frames, np.array(resampled))
    times = counted.lengths * interval
    time, low_time, high_time = (_in_time(value, interval, (times[0], times[-1])) for value in (frames, low, high))
    return EquivalentTime(time, low_time, high_time, distance, times, curve)


@dataclass(frozen=True, eq=False)
class _Counted:
    """Histograms of all that is compared. Axes: ``n_blocks`` of the reference, ``n_lengths`` of MD, ``n_pieces``."""

    generated: np.ndarray  # (n_torsions, 100)
    blocks: np.ndarray  # (n_blocks, n_torsions, 100)
    lengths: np.ndarray  # (n_lengths,) frames
    pieces: list[np.ndarray]  # for each length, (n_pieces, n_torsions, 100)
    apart: list[np.ndarray]  # for each length, (n_pieces, n_blocks) bool: whether they share no frame

    @classmethod
    def of(
        cls,
        generated: TorsionSeries,
        reference: TorsionSeries,
        *,
        replicate: TorsionSeries | None,
        longest: int,
        rng: np.random.Generator,
    ) -> _Counted:
        """Cut the reference into blocks; draw pieces from the replicate, or from the reference if there is none."""
        edges = np.linspace(0, reference.n_frames, N_BLOCKS + 1).astype(int)
        binned = _binned(reference)
        blocks = np.stack([_counts(binned[a:b]) for a, b in pairwise(edges)])
        md, source = (reference, binned) if replicate is None else (replicate, _binned(replicate))
        lengths = np.unique(np.geomspace(_SHORTEST, longest, N_LENGTHS).astype(int))
        pieces, apart = [], []
        for length in lengths:
            whole = _starts(md.lengths, length)
            starts = whole[rng.integers(0, len(whole), size=N_PIECES)]
            pieces.append(np.stack([_counts(source[s : s + length]) for s in starts]))
            overlaps = (starts[:, None] < edges[None, 1:]) & (starts[:, None] + length > edges[None, :-1])
            apart.append(~overlaps if replicate is None else np.ones_like(overlaps))
        return cls(_counts(_binned(generated)), blocks, lengths, pieces, apart)

    def crossing(self, weights: np.ndarray, chosen: np.ndarray) -> tuple[float, float, np.ndarray]:
        """Find the length of MD at the distance of the generated trajectory.

        Parameters
        ----------
        weights : (n_blocks,)
            How often each block of the reference counts.
        chosen : (n_lengths, n_pieces) int
            The pieces of MD that count.

        Returns
        -------
        (float, float, (n_lengths,))
            That length in frames, the distance, and the distances of all lengths.
        """
        distance = float(js_distance(self.generated, np.tensordot(weights, self.blocks, 1)).mean())
        curve = np.array(
            [
                js_distance(piece[c], np.tensordot(free[c] * weights, self.blocks, 1)).mean()
                for piece, free, c in zip(self.pieces, self.apart, chosen, strict=True)
            ]
        )
        return _length_at(distance, self.lengths, curve), distance, curve


def _starts(runs: Sequence[int], length: int) -> np.ndarray:
    """First frames of all pieces of that length that lie within one trajectory, or in the order of all if none does."""
    if length > max(runs):
        return np.arange(sum(runs) - length + 1)
    first = np.cumsum([0, *runs[:-1]])
    return np.concatenate([np.arange(a, a + max(n - length + 1, 0)) for a, n in zip(first, runs, strict=True)])


def _binned(series: TorsionSeries) -> np.ndarray:
    """(n_frames, n_torsions) uint16: the bin of each angle, numbered through all torsions."""
    width = (FULL_TURN[1] - FULL_TURN[0]) / N_BINS
    binned = np.empty(series.angles.shape, dtype=np.uint16)
    for k, angles in enumerate(series.angles.T):
        binned[:, k] = ((angles.astype(float) - FULL_TURN[0]) / width).astype(int).clip(0, N_BINS - 1) + N_BINS * k
    return binned


def _counts(binned: np.ndarray) -> np.ndarray:
    """(n_torsions, 100)."""
    n_torsions = binned.shape[1]
    return np.bincount(binned.ravel(), minlength=N_BINS * n_torsions).reshape(n_torsions, N_BINS).astype(float)


def _resampled_blocks(rng: np.random.Generator, apart: list[np.ndarray]) -> np.ndarray:
    """How often each block is drawn; drawn again where a piece would have nothing to be compared with."""
    while True:
        weights = np.bincount(rng.integers(0, N_BLOCKS, size=N_BLOCKS), minlength=N_BLOCKS).astype(float)
        if all((free * weights).any(axis=1).all() for free in apart):
            return weights


def _length_at(distance: float, lengths: np.ndarray, curve: np.ndarray) -> float:
    """Where the falling curve crosses the distance, frames; 0 and inf beyond its ends."""
    falling = np.minimum.accumulate(curve)
    if distance > falling[0]:
        return 0.0
    if distance < falling[-1]:
        return float("inf")
    return float(np.exp(np.interp(-distance, -falling, np.log(lengths))))


def _interval(frames: float, resampled: np.ndarray) -> tuple[float, float]:
    """The interval of the bootstrap, scaled to the estimate: a resampled reference is farther from everything."""
    tail = (1 - CONFIDENCE) / 2
    low, middle, high = np.quantile(resampled, [tail, 0.5, 1 - tail], method="nearest")
    known = 0 < frames < np.inf and 0 < middle < np.inf
    return (low * frames / middle, high * frames / middle) if known else (low, high)


def _in_time(frames: float, interval: float, bounds: tuple[float, float]) -> float | NotDefined:
    if frames * interval < bounds[0]:
        return OutOfReach(f"less than {bounds[0]:g} ps, the shortest piece of MD tried", float(bounds[0]), above=False)
    if frames * interval > bounds[1]:
        why = f"more than {bounds[1]:g} ps, the longest piece of MD there is to compare with"
        return OutOfReach(why, float(bounds[1]), above=True)
    return float(frames * interval)
