"""Committors by shooting: the share of real MD runs from a frame that reach the end state before the start state.

A *shot* is one such run, with velocities of its own.

Bolhuis, Chandler, Dellago, Geissler, Annu. Rev. Phys. Chem. 53, 291 (2002).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from openmm_mdgen.arguments import positive, require, valid_count
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.conditions import whole_frames
from openmm_mdgen.md.swarm import Swarm
from openmm_mdgen.molecule.positions import in_nanometre
from openmm_mdgen.seeds import valid_seed

_CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Committor:
    """Outcome of the shots from each of n frames."""

    n_end: np.ndarray  # (n,) shots that reached the end state first
    n_start: np.ndarray  # (n,) shots that reached the start state first
    n_undecided: np.ndarray  # (n,) shots that reached neither in time
    seed: int | None = None  # of the shots' velocities

    @property
    def probability(self) -> np.ndarray:
        """Share of the shots that reached the end state first, (n,), among those that reached a state; else NaN."""
        decided = self.n_end + self.n_start
        return np.divide(self.n_end, decided, out=np.full(len(decided), np.nan), where=decided > 0)

    @property
    def interval(self) -> np.ndarray:
        """Bounds (2, n) of Jeffreys' interval that holds the probability with 95 %."""
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
    seed: int | None = None,
    progress: Callable[[int], None] = lambda shots: None,
) -> Committor:
    """Shoot from each frame and count where the shots arrive.

    Parameters
    ----------
    swarm : Swarm
        Runs MD of the molecule.
    frames : (n, n_atoms, 3) nm
        Frames of real MD, such as those of umbrella windows or a pull.
    is_start, is_end : callable
        Takes a frame (n_atoms, 3) in nm and returns whether it is in that state.
    n_shots : int
        Shots from each frame.
    longest : float or quantity
        Time after which a shot ends undecided; plain numbers are in ps.
    interval : float or quantity
        Time after which a shot's state is looked at again; plain numbers are in ps.
    seed : int, optional
        Seed of the shots' velocities. One is drawn where it is left out: the result has it.
    progress : callable
        Called with the number of shots that have ended, whenever some have.

    Returns
    -------
    Committor

    Raises
    ------
    MDGenError
        If a frame is in both states, `longest` is not a whole number of intervals, or an option makes no sense.
    """
    require("swarm", swarm, hasattr(swarm, "run"), "a Swarm")
    for name, state in (("is_start", is_start), ("is_end", is_end)):
        require(name, state, callable(state), "a function of a frame (atoms, 3) that says whether it is in that state")
    n_shots, frames, seed = valid_count("n_shots", n_shots), in_nanometre("frames", frames), valid_seed(seed)
    longest, interval = positive("longest", longest, "picosecond"), positive("interval", interval, "picosecond")
    require(
        "frames", frames, frames.ndim == 3 and len(frames) > 0, "at least one frame, as an array (frames, atoms, 3)"
    )
    outcome = np.zeros((len(frames), n_shots), dtype=int)  # 1 end, -1 start

    def is_over(run: int, frame: np.ndarray) -> bool:
        start, end = is_start(frame), is_end(frame)
        if start and end:
            raise MDGenError("a frame is in the start and in the end state at once: define the two apart")
        outcome.flat[run] = int(bool(end)) - int(bool(start))
        return bool(start or end)

    swarm.run(
        np.repeat(frames, n_shots, axis=0),
        n_frames=whole_frames(longest, interval),
        frame_interval=interval,
        seed=seed,
        is_over=is_over,
        progress=progress,
    )
    return Committor((outcome == 1).sum(1), (outcome == -1).sum(1), (outcome == 0).sum(1), seed)
