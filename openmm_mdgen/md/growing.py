"""Trajectory files that grow in place, and are cut back to a size at which they were whole.

A frame that was torn by a crash lies beyond that size. Here are DCD and XTC, which OpenMM writes; `growing_records` has
formats whose frames have one size each. Positions are ``(n_atoms, 3)`` in nanometre, times in picosecond.
"""

from __future__ import annotations

import os
import struct
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from openmm import app

from openmm_mdgen.errors import CheckpointError

_TAIL = 1 << 16  # bytes at the end of a file by which it is known again
_DCD_COUNT, _DCD_FIRST, _DCD_LAST = 8, 12, 20  # places in the header of numbers of frames and steps
_DCD_HEADER = 276  # bytes
_CHANGING = {".dcd": _DCD_HEADER, ".nc": 8, ".ncdf": 8, ".netcdf": 8}  # bytes at the begin that change with each frame
_XTC_FIXED = 92  # bytes before the compressed positions of a frame; their number is in the last four
_XTC_PLAIN_ATOMS = 9  # so many at most are not compressed


@dataclass(frozen=True)
class Timing:
    """How a file counts time.

    Parameters
    ----------
    step_size : float
        Ps; 0 claims no times.
    interval : int
        Steps between frames.
    first : int
        Step of the first frame.
    """

    step_size: float
    interval: int
    first: int


@dataclass(frozen=True)
class Extent:
    """How far a file was written: enough to cut it back to there, and to tell it from another."""

    n_frames: int
    size: int  # bytes
    tail: int  # CRC-32 of the last bytes before `size`

    @classmethod
    def of(cls, path: Path, n_frames: int, size: int) -> Extent:
        """The extent of a file as it is now on disk."""
        return cls(n_frames, size, _tail_of(path, size))

    def require(self, path: Path) -> None:
        """Raise `CheckpointError` unless the file reaches as far, and holds the same there."""
        size = path.stat().st_size if path.is_file() else -1
        if size < 0:
            raise CheckpointError(f"{path} is no longer there")
        if size < self.size or _tail_of(path, self.size) != self.tail:
            raise CheckpointError(f"{path} is not as the run left it")


class Growing(ABC):
    """A trajectory file that grows.

    Parameters
    ----------
    path : Path
    topology : openmm.app.Topology
    timing : Timing
    extent : Extent, optional
        Where to go on in a file that is there; what lies beyond is cut off. Default: the file is new.
    """

    def __init__(self, path: Path, topology: app.Topology, timing: Timing, extent: Extent | None = None) -> None:
        self.path, self.topology, self.timing = path, topology, timing
        self._whole = Extent(0, 0, 0) if extent is None else extent
        self._n_frames = self._whole.n_frames
        if extent is None:
            path.unlink(missing_ok=True)
        else:
            os.truncate(path, extent.size)
        self._open()

    @abstractmethod
    def _open(self) -> None:
        """Begin an empty file, or go on in one that holds so many frames."""

    @abstractmethod
    def _write(self, frame: np.ndarray) -> None: ...

    @abstractmethod
    def _flushed(self) -> int:
        """The size of the file, when all that was written is on disk; raises ``OSError`` if it cannot be."""

    @abstractmethod
    def _close(self) -> None:
        """Let the file go; nothing that is not flushed has to be kept."""

    def write(self, frame: np.ndarray) -> None:
        """Add a frame (n_atoms, 3)."""
        self._write(frame)
        self._n_frames += 1

    def flush(self) -> Extent:
        """Make sure that all frames are on disk.

        Raises
        ------
        OSError
            If they are not, as on a full disk.
        """
        self._whole = Extent.of(self.path, self._n_frames, self._flushed())
        return self._whole

    @property
    def time(self) -> float:
        """Of the next frame, ps."""
        return (self.timing.first + self._n_frames * self.timing.interval) * self.timing.step_size

    def close(self) -> None:
        """Close the file, and cut off what came after the last flush."""
        self._close()
        if self.path.is_file() and self.path.stat().st_size > self._whole.size:
            os.truncate(self.path, self._whole.size)
            self._cut(self._whole.n_frames)

    @abstractmethod
    def _cut(self, n_frames: int) -> None:
        """Correct what the file says of itself when it was cut back."""


class GrowingOpen(Growing):
    """A file that is kept open."""

    _file: BinaryIO

    def _flushed(self) -> int:
        self._file.flush()
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def _close(self) -> None:
        try:
            self._file.close()
        except OSError:  # what cannot be written is cut off in any case
            pass


class GrowingDCD(GrowingOpen):
    """A DCD file."""

    def _open(self) -> None:
        timing, goes_on = self.timing, self._whole.size > 0
        if goes_on:
            self._cut(self._n_frames)
        self._file = open(self.path, "r+b" if goes_on else "w+b")
        self._dcd = app.DCDFile(
            self._file, self.topology, timing.step_size, timing.first, timing.interval, append=goes_on
        )

    def _write(self, frame: np.ndarray) -> None:
        self._dcd.writeModel(frame)

    def _cut(self, n_frames: int) -> None:
        if self._whole.size < _DCD_HEADER:
            return
        with open(self.path, "r+b") as file:
            file.seek(_DCD_FIRST)
            first, interval = struct.unpack("<2i", file.read(8))
            file.seek(_DCD_COUNT)
            file.write(struct.pack("<i", n_frames))
            file.seek(_DCD_LAST)
            file.write(struct.pack("<i", first + (n_frames - 1) * interval if n_frames else 0))


class GrowingXTC(Growing):
    """An XTC file."""

    def _open(self) -> None:
        timing, goes_on = self.timing, self._whole.size > 0
        if not goes_on:
            self.path.touch()
        self._xtc = app.XTCFile(
            str(self.path), self.topology, timing.step_size, timing.first, timing.interval, append=goes_on
        )

    def _write(self, frame: np.ndarray) -> None:
        self._xtc.writeModel(frame)

    def _close(self) -> None: ...  # the writer opens it for each frame

    def _cut(self, n_frames: int) -> None: ...  # it says nothing of itself

    def _flushed(self) -> int:
        """The size; frames are counted, since the writer does not say that the disk is full."""
        with open(self.path, "r+b") as file:
            n_frames = _count_xtc(file, self._whole.size)
            os.fsync(file.fileno())
            if n_frames != self._n_frames - self._whole.n_frames:
                raise OSError(f"{self.path}: frames could not be written; is the disk full?")
            return file.seek(0, os.SEEK_END)


def _tail_of(path: Path, size: int) -> int:
    """CRC-32 of the last bytes before a size, without what changes with each frame."""
    begin = max(size - _TAIL, _CHANGING.get(path.suffix.lower(), 0))
    with open(path, "rb") as file:
        file.seek(begin)
        return zlib.crc32(file.read(max(0, size - begin)))


def _count_xtc(file, begin: int) -> int:
    """Whole frames of an open XTC file from a place on; -1 where there is something else."""
    size, place, n_frames = file.seek(0, os.SEEK_END), begin, 0
    while place < size:
        file.seek(place)
        head = file.read(_XTC_FIXED)
        n_atoms = struct.unpack_from(">i", head, 4)[0] if len(head) >= 8 else 0
        if n_atoms <= _XTC_PLAIN_ATOMS:
            place += 56 + 12 * n_atoms
        elif len(head) == _XTC_FIXED:
            place += _XTC_FIXED + -(-struct.unpack_from(">i", head, 88)[0] // 4) * 4
        else:
            return -1
        n_frames += 1
    return n_frames if place == size else -1
