"""Trajectories in the formats that are written, by the endings of their names. Positions in nm, times in ps.

A file of most formats can be cut back to any number of its frames, and so it grows in place. HDF5 cannot, and may be
lost as a whole if its writer is killed: until it is complete, a NetCDF file beside it grows in its place,
NAME.growing.nc.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from importlib.util import find_spec
from itertools import count, islice
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
_ALSO = {".ncdf": ".nc", ".netcdf": ".nc", ".hdf5": _HDF5}  # other endings of the same formats
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
    ending = _ending(path)
    if ending not in FORMATS:
        raise MDGenError(
            f"{option} {path}: name a file that ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}. Of those mdtraj's "
            f"mdconvert makes PDB files: mdconvert {path.stem}.xtc -t {path.stem}.pdb -o {path.stem}.all.pdb"
        )
    require_library(f"{option} {path}", ending)


def require_library(asked: str, ending: str) -> None:
    """Raise `MDGenError` with what was asked unless a format of `FORMATS` can be written here."""
    if ending == _HDF5 and find_spec("tables") is None:
        raise MDGenError(f"{asked}: HDF5 needs PyTables: pip install tables, or choose another format, such as .nc")


def grows_in(path: Path) -> Path:
    """The file in which a trajectory is kept until it is complete: itself, but for HDF5."""
    return path.with_suffix(".growing.nc") if _ending(path) == _HDF5 else path


def growing(path: Path, topology: app.Topology, timing: Timing, extent: Extent | None = None) -> Growing:
    """A file that grows in place, of the format that its name ends in; parameters as in `Growing`."""
    return _GROWING[_ending(path)](path, topology, timing, extent)


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
    n_frames = 0
    with writing(path, topology, timing) as write:
        for some in in_chunks(frames):
            write(some)
            n_frames += len(some)
    return n_frames


@contextmanager
def writing(path: Path, topology: app.Topology, timing: Timing) -> Iterator[Callable[[np.ndarray], None]]:
    """A function that adds frames (F, n_atoms, 3) nm to a file, which appears whole when the block succeeds.

    Parameters as in `write_trajectory`, which also tells what is raised.
    """
    with replacing(path) as temporary:
        if _ending(path) == _HDF5:
            with _writing_hdf5(temporary, topology, timing) as write:
                yield write
            return
        file = growing(temporary, topology, timing)

        def write_each(frames: np.ndarray) -> None:
            for frame in frames:
                file.write(frame)

        try:
            yield write_each
            file.flush()
        except OSError as error:
            if error.filename is not None:
                raise
            raise OSError(str(error).replace(temporary.name, path.name)) from error
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
    if not left:
        return
    scale = to_nm if _ending(path) in _IN_ANGSTROM else np.asarray
    with _opened(path) as file:
        while left:
            read = file.read(min(left, _CHUNK))
            xyz = read[0] if len(read) else ()  # as it is at the end of an HDF5 file
            if not len(xyz):
                raise MDGenError(f"{path} lacks frames that it is said to hold: it cannot be lengthened")
            yield from scale(np.asarray(xyz, np.float64))
            left -= len(xyz)


def in_chunks(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Frames, some at a time (F, n_atoms, 3)."""
    left = iter(frames)
    for first in left:
        yield np.stack([first, *islice(left, _CHUNK - 1)])


def without_box(topology: app.Topology) -> app.Topology:
    """The same topology, without its periodic box."""
    alone = copy(topology)
    alone.setPeriodicBoxVectors(None)
    return alone


def _ending(path: Path) -> str:
    """How a name ends, as `FORMATS` have it."""
    suffix = path.suffix.lower()
    return _ALSO.get(suffix, suffix)


def _opened(path: Path):
    if _ending(path) == _HDF5:
        from mdtraj.formats import HDF5TrajectoryFile  # needs PyTables when it is opened

        return HDF5TrajectoryFile(str(path))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*'netCDF4' Python package is not installed")  # which reads faster
        return _READERS[_ending(path)](str(path))


@contextmanager
def _writing_hdf5(path: Path, topology: app.Topology, timing: Timing) -> Iterator[Callable[[np.ndarray], None]]:
    from mdtraj.formats import HDF5TrajectoryFile

    cell, counted = _cell(topology), count()
    with HDF5TrajectoryFile(str(path), "w") as file:
        file.topology = mdtraj.Topology.from_openmm(topology)

        def write(frames: np.ndarray) -> None:
            steps = timing.first + np.array([next(counted) for _ in frames]) * timing.interval
            cells = {name: np.tile(values, (len(frames), 1)) for name, values in cell.items()}
            file.write(frames.astype(np.float32), time=(steps * timing.step_size).astype(np.float32), **cells)

        yield write


def _cell(topology: app.Topology) -> dict[str, np.ndarray]:
    """Lengths, nm, and angles, degrees, of a periodic cell, by mdtraj's names; nothing where there is none."""
    vectors = topology.getPeriodicBoxVectors()
    if vectors is None:
        return {}
    whole = mdtraj.utils.box_vectors_to_lengths_and_angles(*np.array([list(row) for row in vectors._value]))
    return {"cell_lengths": np.array(whole[:3], np.float32), "cell_angles": np.array(whole[3:], np.float32)}
