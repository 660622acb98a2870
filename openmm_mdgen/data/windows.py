"""Training windows cut from recordings.

A *window* is ``T`` frames of one trajectory, a frame interval apart and superposed on its first frame, so that a
molecule's tumbling is left out. All possible starts within a trajectory are drawn equally often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from openmm_mdgen.data.draws import AnyLengths, Draw, NearLengths
from openmm_mdgen.data.recordings import Cut, Recording, frames_of, without_padding
from openmm_mdgen.errors import DataError
from openmm_mdgen.geometry.atom14 import backbone_points
from openmm_mdgen.geometry.rigid import superposition
from openmm_mdgen.model.tokens import Frames
from openmm_mdgen.times import RECORDED, whole_number


class Windows:
    """Windows drawn at random from recordings; the same random numbers give the same windows.

    Parameters
    ----------
    recordings : sequence of Recording
        Chains of any lengths. Each recording is drawn as often as any other.
    n_frames : int
        Frames of a window.
    frame_interval : float
        Time between a window's frames in ps: a whole number of each recording's own interval.
    time_reversal : bool
        Turn half of the windows round, as equilibrium dynamics looks the same both ways. Switch it off for runs that
        do not: driven ones (pulled, heated, out of equilibrium) and those that relax from an unlikely start.
    max_residues : int, optional
        Largest number of residues of a window; of a longer chain a stretch is drawn. A stretch within a chain keeps
        the torsions to the residue before it.
    max_padding : float, optional
        Draw the windows of a batch from recordings of near lengths, so that its padding is on average no larger; see
        `NearLengths`. By default they are drawn from recordings of any lengths.

    Raises
    ------
    DataError
        If there is no recording, one is shorter than a window, or its interval does not fit.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        *,
        n_frames: int,
        frame_interval: float,
        time_reversal: bool = True,
        max_residues: int | None = None,
        max_padding: float | None = None,
    ) -> None:
        if not recordings:
            raise DataError("no recordings to cut windows from")
        self.recordings = list(recordings)
        self.n_frames, self.time_reversal = n_frames, time_reversal
        longest = max(len(r.sequence) for r in recordings)
        self.n_residues = min(longest, max_residues or longest)  # of the longest window
        lengths = [min(len(r.sequence), self.n_residues) for r in recordings]
        self.draws: Draw = (
            AnyLengths(len(self.recordings)) if max_padding is None else NearLengths(lengths, max_padding)
        )
        self.strides = [_stride(r, frame_interval) for r in recordings]
        for recording, stride in zip(recordings, self.strides, strict=True):
            if recording.n_frames <= (n_frames - 1) * stride:
                raise DataError(
                    f"{recording.name} lasts {recording.duration:g} ps, but a window of {n_frames} frames "
                    f"{(n_frames - 1) * frame_interval:g} ps: record more, or train on fewer frames"
                )

    def draw(self, rng: np.random.Generator, which: int) -> Cut:
        """Draw a window of recording number `which`."""
        recording, stride = self.recordings[which], self.strides[which]
        span = (self.n_frames - 1) * stride + 1
        first = int(rng.integers(recording.n_frames - span + 1))
        reverse = bool(self.time_reversal and rng.random() < 0.5)
        length, start = len(recording.sequence), 0
        if length > self.n_residues:
            start = int(rng.integers(length - self.n_residues + 1))
        kept = slice(start, start + min(length, self.n_residues))
        return Cut(recording, slice(first, first + span, stride), kept, reverse)

    def batch(self, n: int, rng: np.random.Generator) -> Frames:
        """Draw windows and read them.

        Parameters
        ----------
        n : int
        rng : numpy.random.Generator

        Returns
        -------
        Frames
            `n` windows, padded to the longest chain among them.

        Raises
        ------
        DataError
            If coordinates are not finite, or their file is gone.
        """
        which = self.draws(n, rng)
        return superposed(frames_of([self.draw(rng, int(k)) for k in which]))


def superposed(frames: Frames) -> Frames:
    """Move every frame onto the first of its trajectory, fitted on the backbone."""
    points = backbone_points(frames.rigids)  # (B, T, 3 L, 3)
    weights = frames.residue_mask.repeat_interleave(3, dim=-1)[:, None]
    motion = superposition(points, points[:, :1], weights)
    return replace(frames, rigids=without_padding(motion[..., None] @ frames.rigids, frames.residue_mask))


def _stride(recording: Recording, frame_interval: float) -> int:
    stride = whole_number(frame_interval, recording.interval, tolerance=RECORDED)
    if stride is None:
        raise DataError(
            f"{recording.name} has a frame each {recording.interval:g} ps: {frame_interval:g} ps is not a multiple. "
            "Choose one, or record at another interval."
        )
    return stride
