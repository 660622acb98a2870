"""Real trajectories as training windows.

A folder holds ``NAME.pdb`` and ``NAME.xtc`` of one peptide each, frames evenly spaced in time. A window is ``T``
frames, `frame_interval` apart, superposed on its first frame: what a molecule's tumbling adds is left out.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mdtraj
import numpy as np
import torch

from openmm_mdgen.atom14 import backbone_points
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.rigid import Rigid, superposition
from openmm_mdgen.tokens import Frames
from openmm_mdgen.topology import ProteinChain


@dataclass(frozen=True)
class Recording:
    """One trajectory: all its frames as one batch member of `Frames`, and the picoseconds between them."""

    name: str
    sequence: str
    frames: Frames
    interval: float


def read_recording(topology: Path, trajectory: Path) -> Recording:
    """Read a PDB file with its trajectory (any format that mdtraj reads).

    Raises
    ------
    MDGenError
        Naming the file, if it cannot be read, has coordinates that are not finite, or frames unevenly spaced.
    """
    try:
        data = mdtraj.load(str(trajectory), top=str(topology))
        chain = ProteinChain.from_openmm(data.topology.to_openmm()).resolved(data.xyz[0])
    except Exception as error:  # mdtraj raises what its readers raise
        raise MDGenError(f"{trajectory} with {topology}: {error}") from error
    if not np.isfinite(data.xyz).all():
        raise MDGenError(f"{trajectory} has coordinates that are not finite")
    steps = np.diff(data.time)
    if len(steps) == 0 or not np.allclose(steps, steps[0], rtol=1e-3):
        raise MDGenError(f"{trajectory}: its frames are not evenly spaced in time")
    # float32 holds a coordinate to 1e-6 Å only near the origin
    xyz = data.xyz - data.xyz.mean(axis=1, keepdims=True)
    positions = chain.atom14(xyz).float()[None]
    frames = Frames.from_atom14(torch.from_numpy(chain.aatype)[None], positions)
    return Recording(topology.stem, chain.sequence, frames, float(steps[0]))


def read_folders(folders: Sequence[Path], *, excluded: frozenset[str] = frozenset()) -> list[Recording]:
    """All recordings of the folders but those of an excluded sequence.

    Raises
    ------
    MDGenError
        If there is none, or one cannot be read.
    """
    pairs = [(pdb, pdb.with_suffix(".xtc")) for folder in folders for pdb in sorted(Path(folder).glob("*.pdb"))]
    recordings = [read_recording(pdb, xtc) for pdb, xtc in pairs if xtc.exists()]
    recordings = [r for r in recordings if r.sequence not in excluded]
    if not recordings:
        raise MDGenError(f"no NAME.pdb with NAME.xtc to train on in {', '.join(map(str, folders))}")
    return recordings


def read_sequences(path: Path) -> frozenset[str]:
    """The column ``seqres`` (or ``name``) of a CSV file."""
    with open(path, newline="") as file:
        return frozenset(row.get("seqres") or row["name"] for row in csv.DictReader(file))


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
