"""XTC files of real MD. Positions in nanometre, times in picosecond; the frame before the first one is at time 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mdtraj.formats import XTCTrajectoryFile

from openmm_mdgen.errors import MDGenError

_FRAMES_AT_ONCE = 100


def write_xtc(path: Path, frames: np.ndarray, first: int, interval: float) -> None:
    """Write frames (F, n_atoms, 3) that follow so many others, an interval in ps apart."""
    numbers = np.arange(first + 1, first + len(frames) + 1)
    with XTCTrajectoryFile(str(path), "w") as file:
        file.write(frames, time=(numbers * interval).astype(np.float32), step=numbers.astype(np.int32))
    require_length(path, len(frames))


def copy_xtc(path: Path, into: XTCTrajectoryFile, n_frames: int) -> None:
    """The first frames of a file, as they are: what is longer was left by a run that was killed at its end."""
    if not n_frames:
        return
    with XTCTrajectoryFile(str(path)) as file:
        while n_frames > 0:
            xyz, times, steps, box = file.read(min(n_frames, _FRAMES_AT_ONCE))
            if not len(xyz):
                raise MDGenError(f"{path} lacks frames that it is said to hold: it cannot be lengthened")
            into.write(xyz, time=times, step=steps, box=box)
            n_frames -= len(xyz)


def require_length(path: Path, n_frames: int) -> None:
    """Read a file back, since the writer does not say that the disk is full."""
    try:
        with XTCTrajectoryFile(str(path)) as file:
            found = len(file.read()[0])
    except (OSError, RuntimeError):
        found = 0
    if found != n_frames:
        raise OSError(f"{path.parent}: {found} of {n_frames} frames could be written; is the disk full?")
