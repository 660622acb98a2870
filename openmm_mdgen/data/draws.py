"""Which recordings a batch of windows is drawn from.

The padding of a batch is the share of its residues that stand for none, as shorter chains are padded to the longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Draw(Protocol):
    """Draws recordings by their numbers."""

    def __call__(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Numbers (n,) of the recordings from which the windows of a batch are cut."""


@dataclass(frozen=True)
class AnyLengths:
    """Draws each window from any recording, all with equal probability.

    Parameters
    ----------
    n_recordings : int
    """

    n_recordings: int

    def __call__(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.integers(self.n_recordings, size=n)


class NearLengths:
    """Draws all windows of a batch from recordings of near lengths; each recording is drawn as often as any other.

    Recordings are sorted by length into groups, each as large as the padding allows; the group of a batch is drawn by
    its number of recordings.

    Parameters
    ----------
    lengths : sequence of int
        Number of residues in a window of each recording.
    max_padding : float
        Largest padding that a group's batches have on average; with 0, all windows of a batch have one length.
    """

    def __init__(self, lengths: Sequence[int], max_padding: float) -> None:
        order = np.argsort(lengths, kind="stable")
        self.groups: list[np.ndarray] = []
        for length in np.unique(lengths):
            same = order[np.asarray(lengths)[order] == length]
            joined = np.concatenate([self.groups[-1], same]) if self.groups else same
            if self.groups and _padding(np.asarray(lengths)[joined]) <= max_padding:
                self.groups[-1] = joined
            else:
                self.groups.append(same)
        sizes = np.array([len(group) for group in self.groups])
        self.shares = sizes / sizes.sum()

    def __call__(self, n: int, rng: np.random.Generator) -> np.ndarray:
        group = self.groups[int(rng.choice(len(self.groups), p=self.shares))]
        return group[rng.integers(len(group), size=n)]


def _padding(lengths: np.ndarray) -> float:
    """Largest padding on average of a batch that holds chains of these lengths."""
    return 1 - float(lengths.mean()) / float(lengths.max())
