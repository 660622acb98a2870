"""Committors by shooting: from a frame, the share of real MD runs that reach the end before the start.

Bolhuis, Chandler, Dellago, Geissler, Annu. Rev. Phys. Chem. 53, 291 (2002).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.swarm import Swarm

_CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Committor:
    """Outcome of the shots from each of n frames."""

    n_end: np.ndarray  # (n,) shots that reached the end first
    n_start: np.ndarray  # (n,) that reached the start first
    n_undecided: np.ndarray  # (n,) that reached neither in time

    @property
    def probability(self) -> np.ndarray:
        """(n,) of the end, among those that decided; NaN where none did."""
        decided = self.n_end + self.n_start
        return np.divide(self.n_end, decided, out=np.full(len(decided), np.nan), where=decided > 0)

    @property
    def interval(self) -> np.ndarray:
        """(2, n) bounds that hold the probability with 95 % (Jeffreys)."""
        a, b = self.n_end + 0.5, self.n_start + 0.5
        low, high = beta.ppf((1 - _CONFIDENCE) / 2, a, b), beta.ppf((1 + _CONFIDENCE) / 2, a, b)
        return np.stack([np.where(self.n_end == 0, 0, low), np.where(self.n_start == 0, 1, high)])


def shoot(
    swarm: Swarm,
    frames: np.ndarray,
    is_start: Callable[[np.ndarray], bool],
    is_end: Callable[[np.ndarray], bool],
    *,
    n_shots: int = 20,
    longest: float = 50.0,
    interval: float = 0.2,
    seed: int = 0,
    progress: Callable[[int], None] = lambda shots: None,
) -> Committor:
    """Shoot from each frame.

    Parameters
    ----------
    swarm : Swarm
        Of the molecule.
    frames : (n, n_atoms, 3) nm
        Of real MD, such as umbrella windows or a pull.
    is_start, is_end : callable
        Whether a frame (n_atoms, 3) is in that state.
    n_shots : int
        From each frame.
    longest : float
        ps, after which a shot is undecided.
    interval : float
        ps between looks.
    seed : int
        Of the shots' velocities.
    progress : callable
        Told how many shots have ended.

    Raises
    ------
    MDGenError
        If a frame is in both states.
    """
    frames = np.asarray(frames, dtype=np.float64)
    outcome = np.zeros((len(frames), n_shots), dtype=int)  # 1 end, -1 start

    def is_over(run: int, frame: np.ndarray) -> bool:
        start, end = is_start(frame), is_end(frame)
        if start and end:
            raise MDGenError("a frame is in the start and in the end state at once: define the two apart")
        outcome.flat[run] = int(end) - int(start)
        return start or end

    n_frames = max(1, round(longest / interval))
    swarm.run(
        np.repeat(frames, n_shots, axis=0),
        n_frames=n_frames,
        frame_interval=interval,
        seed=seed,
        is_over=is_over,
        progress=progress,
    )
    return Committor((outcome == 1).sum(1), (outcome == -1).sum(1), (outcome == 0).sum(1))
