"""Recordings as training windows.

A window is ``T`` frames, `frame_interval` apart, superposed on its first frame: what a molecule's tumbling adds is
left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from openmm_mdgen.atom14 import backbone_points
from openmm_mdgen.data.recordings import Recording
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.rigid import Rigid, superposition
from openmm_mdgen.tokens import Frames


class Windows:
    """Random windows of recordings, a function of seed and batch number alone.

    Parameters
    ----------
    recordings : list of Recording
        Of one chain length.
    n_frames : int
    frame_interval : float
        Picoseconds; a whole number of the recordings' own intervals.
    time_reversal : bool
        Turn half of the windows round: equilibrium dynamics looks the same both ways. Switch it off for runs that are
        driven or relax from an unlikely start.
    """

    def __init__(
        self, recordings: Sequence[Recording], *, n_frames: int, frame_interval: float, time_reversal: bool = True
    ) -> None:
        self.n_frames, self.time_reversal = n_frames, time_reversal
        self.recordings = list(recordings)
        lengths = sorted({len(r.sequence) for r in recordings})
        if len(lengths) != 1:
            raise MDGenError(f"chains of {lengths} residues: train on chains of one length")
        self.strides = [_stride(r, frame_interval) for r in recordings]
        for recording, stride in zip(recordings, self.strides, strict=True):
            if recording.frames.n_frames <= (n_frames - 1) * stride:
                raise MDGenError(
                    f"{recording.name} lasts {recording.frames.n_frames * recording.interval:g} ps, but a window of "
                    f"{n_frames} frames {frame_interval:g} ps: record more, or train on fewer frames"
                )

    def batch(self, n: int, rng: np.random.Generator) -> Frames:
        """`n` windows as one `Frames`."""
        picked = []
        for which in rng.integers(len(self.recordings), size=n):
            frames, stride = self.recordings[which].frames, self.strides[which]
            span = (self.n_frames - 1) * stride + 1
            first = int(rng.integers(frames.n_frames - span + 1))
            index = torch.arange(first, first + span, stride)
            if self.time_reversal and rng.random() < 0.5:
                index = index.flip(0)
            picked.append((frames, index))
        return superposed(
            Frames(
                aatype=torch.cat([f.aatype for f, _ in picked]),
                rigids=Rigid(
                    torch.cat([f.rigids.rotation[:, i] for f, i in picked]),
                    torch.cat([f.rigids.translation[:, i] for f, i in picked]),
                ),
                torsions=torch.cat([f.torsions[:, i] for f, i in picked]),
                torsion_mask=torch.cat([f.torsion_mask for f, _ in picked]),
                residue_mask=torch.cat([f.residue_mask for f, _ in picked]),
            )
        )


def superposed(frames: Frames) -> Frames:
    """Every frame moved onto the first of its trajectory, fitted on the backbone."""
    points = backbone_points(frames.rigids)  # (B, T, 3 L, 3)
    weights = frames.residue_mask.repeat_interleave(3, dim=-1)[:, None]
    motion = superposition(points, points[:, :1], weights)
    return Frames(
        frames.aatype, motion[..., None] @ frames.rigids, frames.torsions, frames.torsion_mask, frames.residue_mask
    )


def _stride(recording: Recording, frame_interval: float) -> int:
    stride = round(frame_interval / recording.interval)
    if stride < 1 or abs(stride * recording.interval - frame_interval) > 1e-3 * frame_interval:
        raise MDGenError(
            f"{recording.name} has a frame each {recording.interval:g} ps: {frame_interval:g} ps is not a multiple"
        )
    return stride
