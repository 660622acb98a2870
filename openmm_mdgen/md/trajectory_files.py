"""Trajectories in the formats that are written, by the endings of their names. Positions in nm, times in ps.

A file of most formats can be cut back to any number of its frames, and so it grows in place. One that cannot, HDF5,
loses all of them if its writer is killed: until it is complete, a NetCDF file beside it, NAME.growing.nc, grows.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import mdtraj
import numpy as np
from mdtraj.formats import DCDTrajectoryFile, NetCDFTrajectoryFile, TRRTrajectoryFile, XTCTrajectoryFile
from openmm import app

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import replacing
from openmm_mdgen.geometry.units import to_nm
from openmm_mdgen.md.growing import Extent, Growing, GrowingDCD, GrowingXTC, Timing
from openmm_mdgen.md.growing_records import GrowingNetCDF, GrowingTRR

_GROWING: dict[str, type[Growing]] = {".dcd": GrowingDCD, ".xtc": GrowingXTC, ".trr": GrowingTRR, ".nc": GrowingNetCDF}
_HDF5 = ".h5"
FORMATS = (*_GROWING, _HDF5)
_IN_ANGSTROM = (".dcd", ".nc")
_READERS = {
    ".dcd": DCDTrajectoryFile,
    ".xtc": XTCTrajectoryFile,
    ".trr": TRRTrajectoryFile,
    ".nc": NetCDFTrajectoryFile,
}
_CHUNK = 100  # frames


def require_format(option: str, path: Path) -> None:
    """Raise `MDGenError` unless the name of an output ends in one of `FORMATS`, and that can be written here."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise MDGenError(
            f"{option} {path}: name a file that ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}. Of those mdtraj's "
            f"mdconvert makes other formats: mdconvert {path.stem}.xtc -t {path.stem}.pdb -o {path.stem}.lammpstrj"
        )
    require_library(f"{option} {path}", suffix)


def require_library(asked: str, ending: str) -> None:
    """Raise `MDGenError` with what was asked unless a format of `FORMATS` can be written here."""
    if ending == _HDF5 and find_spec("tables") is None:
        raise MDGenError(f"{asked}: HDF5 needs PyTables: pip install tables, or choose another format, such as .nc")


def grows_in(path: Path) -> Path:
    """The file in which a trajectory is kept until it is complete: itself, but for HDF5."""
    return path.with_suffix(".growing.nc") if path.suffix.lower() == _HDF5 else path


def growing(path: Path, topology: app.Topology, timing: Timing, extent: Extent | None = None) -> Growing:
    """A file that grows in place, of the format that its name ends in; parameters as in `Growing`."""
    return _GROWING[path.suffix.lower()](path, topology, timing, extent)


def write_trajectory(path: Path, topology: app.Topology, frames: Iterable[np.ndarray], timing: Timing) -> int:
    """Write frames (n_atoms, 3) nm to a file of any of `FORMATS`, which appears whole.

    Returns
    -------
    int
        Number of frames.

    Raises
    ------
    OSError
        If the disk is full.
    """
    with replacing(path) as temporary:
        if path.suffix.lower() == _HDF5:
            return _write_hdf5(temporary, topology, frames, timing)
        file = growing(temporary, topology, timing)
        try:
            for frame in frames:
                file.write(frame)
            return file.flush().n_frames
        finally:
            file.close()


def frames_of(path: Path, n_frames: int) -> Iterator[np.ndarray]:
    """The first frames (n_atoms, 3) nm of a file of ours, float64: written again they are the same, bit for bit.

    Raises
    ------
    MDGenError
        If there are fewer.
    """
    left = n_frames
    scale = to_nm if path.suffix.lower() in _IN_ANGSTROM else np.asarray
    with _opened(path) as file:
        while left:
            read = file.read(min(left, _CHUNK))
            xyz = read[0] if len(read) else ()  # as it is at the end of an HDF5 file
            if not len(xyz):
                raise MDGenError(f"{path} lacks frames that it is said to hold: it cannot be lengthened")
            yield from scale(np.asarray(xyz, np.float64))
            left -= len(xyz)


def _opened(path: Path):
    if path.suffix.lower() == _HDF5:
        from mdtraj.formats import HDF5TrajectoryFile  # needs PyTables when it is opened

        return HDF5TrajectoryFile(str(path))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*netCDF4")  # of a package that reads faster
        return _READERS[path.suffix.lower()](str(path))


def _write_hdf5(path: Path, topology: app.Topology, frames: Iterable[np.ndarray], timing: Timing) -> int:
    from mdtraj.formats import HDF5TrajectoryFile

    cell = _cell(topology)
    with HDF5TrajectoryFile(str(path), "w") as file:
        file.topology = mdtraj.Topology.from_openmm(topology)
        n_frames = 0
        for xyz in _chunks(frames):
            steps = timing.first + np.arange(n_frames, n_frames + len(xyz)) * timing.interval
            cells = {name: np.tile(values, (len(xyz), 1)) for name, values in cell.items()}
            file.write(xyz.astype(np.float32), time=(steps * timing.step_size).astype(np.float32), **cells)
            n_frames += len(xyz)
    return n_frames


def _cell(topology: app.Topology) -> dict[str, np.ndarray]:
    """Lengths, nm, and angles, degrees, of a periodic cell, by mdtraj's names; nothing where there is none."""
    vectors = topology.getPeriodicBoxVectors()
    if vectors is None:
        return {}
    whole = mdtraj.utils.box_vectors_to_lengths_and_angles(*np.array([list(row) for row in vectors._value]))
    return {"cell_lengths": np.array(whole[:3], np.float32), "cell_angles": np.array(whole[3:], np.float32)}


def _chunks(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Frames, some at a time (F, n_atoms, 3)."""
    left = iter(frames)
    for first in left:
        yield np.stack([first, *islice(left, _CHUNK - 1)])
