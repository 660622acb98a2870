"""Frames of real MD in progress: blocks of them, each with OpenMM's checkpoint at its end.

Blocks are XTC files where the trajectories are to be, and NumPy arrays at full precision where they are to have another
format. Positions in nanometre, times in picosecond; the frame before the first one is at time 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mdtraj.formats import XTCTrajectoryFile

from openmm_mdgen.files import replacing


@dataclass(frozen=True)
class Blocks:
    """The blocks of a folder.

    Parameters
    ----------
    folder : Path
    ending : str
        Of the files: ``.xtc`` or ``.npy``.
    interval : float
        Ps between frames.
    """

    folder: Path
    ending: str
    interval: float

    def __len__(self) -> int:
        """Number of blocks that are complete."""
        n = 0
        while self._checkpoint(n).exists() and self._block(n).exists():
            n += 1
        return n

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames (F, n_atoms, 3) of each."""
        return map(self._frames, range(len(self)))

    def checkpoint(self) -> bytes:
        """OpenMM's checkpoint at the end of the last block."""
        return self._checkpoint(len(self) - 1).read_bytes()

    def write(self, number: int, frames: np.ndarray, before: int, checkpoint: bytes) -> None:
        """Write a block of frames that follow so many others; it counts when its checkpoint is there.

        Raises
        ------
        OSError
            If the disk is full.
        """
        with replacing(self._block(number)) as temporary:
            if self.ending == ".xtc":
                _write_xtc(temporary, frames, before, self.interval)
            else:
                np.save(temporary, frames)
        with replacing(self._checkpoint(number)) as temporary:
            temporary.write_bytes(checkpoint)

    def _frames(self, number: int) -> np.ndarray:
        if self.ending != ".xtc":
            return np.load(self._block(number), allow_pickle=False)
        with XTCTrajectoryFile(str(self._block(number))) as file:
            return file.read()[0]

    def _block(self, number: int) -> Path:
        return self.folder / f"block_{number:06d}{self.ending}"

    def _checkpoint(self, number: int) -> Path:
        return self._block(number).with_suffix(".chk")


def _write_xtc(path: Path, frames: np.ndarray, before: int, interval: float) -> None:
    """Write and read back, since the writer does not say that the disk is full."""
    numbers = np.arange(before + 1, before + len(frames) + 1)
    with XTCTrajectoryFile(str(path), "w") as file:
        file.write(frames, time=(numbers * interval).astype(np.float32), step=numbers.astype(np.int32))
    try:
        with XTCTrajectoryFile(str(path)) as file:
            found = len(file.read()[0])
    except (OSError, RuntimeError):
        found = 0
    if found != len(frames):
        raise OSError(f"{path.parent}: {found} of {len(frames)} frames could be written; is the disk full?")
