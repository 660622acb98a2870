"""Trajectory files in the formats that the package writes: how they are found, opened and read.

A *format* goes by the ending of its files' names. Positions are (F, N, 3) in nanometre, times in picosecond.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from mdtraj.formats import (
    DCDTrajectoryFile,
    HDF5TrajectoryFile,
    NetCDFTrajectoryFile,
    TRRTrajectoryFile,
    XTCTrajectoryFile,
)

from openmm_mdgen.arguments import require_package
from openmm_mdgen.errors import MDGenError

HDF5 = ".h5"
_READERS = {
    ".dcd": DCDTrajectoryFile,
    ".xtc": XTCTrajectoryFile,
    ".trr": TRRTrajectoryFile,
    ".nc": NetCDFTrajectoryFile,
    HDF5: HDF5TrajectoryFile,  # needs PyTables when it is opened
}
_ALSO = {".ncdf": ".nc", ".netcdf": ".nc", ".hdf5": HDF5}  # other endings of the same formats
FORMATS = tuple(_READERS)
NAMES = {".dcd": "DCD", ".xtc": "XTC", ".trr": "TRR", ".nc": "NetCDF", HDF5: "HDF5"}
ENDINGS = (*FORMATS, *_ALSO)
SHOWN = "NAME.xtc (or .dcd, .trr, .nc, .h5)"  # a trajectory of any format, in messages
_IN_ANGSTROM = (".dcd", ".nc")
_ANGSTROM_PER_NM = 10.0
_AKMA = 0.04888821  # ps, the unit of time in the header of a DCD file


def format_of(path: Path) -> str:
    """How a name ends, as `FORMATS` have it; other endings in lower case."""
    suffix = path.suffix.lower()
    return _ALSO.get(suffix, suffix)


def require_library(asked: str, ending: str) -> None:
    """Raise `MissingPackageError` with what was asked unless a format of `FORMATS` can be read and written here."""
    if ending == HDF5:
        require_package(
            "tables", f"{asked}: HDF5 needs PyTables: pip install tables, or choose another format, such as .nc"
        )


def trajectory_named(folder: Path, name: str) -> Path | None:
    """The trajectory of a name in a folder, of whatever format; None where there is none.

    Raises
    ------
    MDGenError
        If there are several.
    """
    found = [path for ending in ENDINGS if (path := folder / f"{name}{ending}").is_file()]
    if len(found) > 1:
        raise MDGenError(
            f"{folder / name}.pdb has several trajectories beside it, {', '.join(path.name for path in found)}: leave "
            "the one there that is to be read"
        )
    return found[0] if found else None


class TrajectoryReader:
    """An open trajectory file of any of `FORMATS`, read some frames at a time.

    Parameters
    ----------
    path : Path

    Raises
    ------
    MDGenError
        If the format needs a package that is missing.
    Exception
        What mdtraj's readers raise of a damaged file; so do `read` and `seek`.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._format = path, format_of(path)
        require_library(str(path), self._format)
        with quiet_readers():
            self._file: Any = _READERS[self._format](str(path))
        self._clock = dcd_clock(path) if self._format == ".dcd" else None
        self._next = 0

    def __enter__(self) -> TrajectoryReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._file)

    @property
    def offsets(self) -> list[int]:
        """Places in the file where its frames begin; empty where the format does not tell."""
        return [int(place) for place in getattr(self._file, "offsets", ())]

    def seek(self, frame: int) -> None:
        """Go to a frame, counted from 0."""
        self._file.seek(frame)
        self._next = frame

    def read(self, n_frames: int, atoms: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Read the next frames.

        Parameters
        ----------
        n_frames : int
            At most so many.
        atoms : (n,) int array, optional
            Indices of the atoms. Default: all.

        Returns
        -------
        xyz : (F, n, 3) float32 or float64, nm
        times : (F,) float64, ps, or None
            None where the file holds none that mean something.
        """
        found = self._file.read(n_frames, atom_indices=atoms)
        if not len(found) or not len(found[0]):  # at the end of the file
            return np.zeros((0, 0, 3)), np.zeros(0)
        xyz = np.asarray(found[0])
        if self._format in _IN_ANGSTROM:
            xyz = np.asarray(xyz, np.float64) / _ANGSTROM_PER_NM
        first, self._next = self._next, self._next + len(xyz)
        if self._clock is None:
            return xyz, None if found[1] is None else np.asarray(found[1], np.float64)
        if isinstance(self._clock, str):
            return xyz, None
        begin, interval = self._clock
        return xyz, begin + interval * np.arange(first, self._next)

    @property
    def untimed(self) -> str:
        """Why there are no times, where there are none."""
        return self._clock if isinstance(self._clock, str) else "the file holds no times"


def dcd_clock(path: Path) -> tuple[float, float] | str:
    """Time of the first frame and frame interval of a DCD file, by its header, which mdtraj does not show.

    It holds steps before the first frame, steps between frames, and the step in AKMA units. Programs without a time to
    tell write one step of 1 unit, or of 0; for them there is a reason in place of the numbers.
    """
    with path.open("rb") as file:
        header = file.read(48)
    order = _order(header)
    start, steps = struct.unpack(order + "2i", header[12:20])
    units = struct.unpack(order + "f", header[44:48])[0]
    if steps <= 0 or not units > 0:
        return "the DCD file's header has no time step"
    if steps == 1 and units == 1.0:
        return (
            "the DCD file's header has no time step, but the default that programs write without one (NSAVC 1, DELTA 1)"
        )
    return start * units * _AKMA, steps * units * _AKMA


def missing_frames(path: Path, n_frames: int) -> str | None:
    """What there is to say of a DCD file whose header counts more frames than there are; else None."""
    if format_of(path) != ".dcd":
        return None
    with path.open("rb") as file:
        header = file.read(12)
    counted = struct.unpack(_order(header) + "i", header[8:12])[0]
    return f"its header counts {counted} frames, and {n_frames} are there" if counted > n_frames else None


@contextmanager
def quiet_readers() -> Iterator[None]:
    """Keep what readers in C print from standard output and error, and mdtraj's advice to install a faster package."""
    with warnings.catch_warnings(), _quiet_output():
        warnings.filterwarnings("ignore", ".*'netCDF4' Python package is not installed")
        yield


def _order(header: bytes) -> str:
    """The byte order of a DCD file."""
    return "<" if header[:4] == struct.pack("<i", 84) else ">"


@contextmanager
def _quiet_output() -> Iterator[None]:
    try:
        flush = ctypes.CDLL(None).fflush
        sys.stdout.flush(), sys.stderr.flush()
        kept = {number: os.dup(number) for number in (1, 2)}
    except (AttributeError, OSError, TypeError, ValueError):  # on systems or in programs without them
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        flush(None)
        for number in kept:
            os.dup2(nowhere, number)
        yield
    finally:
        flush(None)
        for number, descriptor in kept.items():
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(nowhere)
