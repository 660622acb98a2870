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
from itertools import count, islice
from pathlib import Path

import mdtraj
import numpy as np
from mdtraj.formats import HDF5TrajectoryFile
from openmm import app

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import replacing
from openmm_mdgen.md.growing import Extent, Growing, GrowingDCD, GrowingXTC, Timing
from openmm_mdgen.md.growing_records import GrowingNetCDF, GrowingTRR
from openmm_mdgen.trajectory_formats import FORMATS, HDF5, TrajectoryReader, format_of, require_library

_GROWING: dict[str, type[Growing]] = {".dcd": GrowingDCD, ".xtc": GrowingXTC, ".trr": GrowingTRR, ".nc": GrowingNetCDF}
_CHUNK = 100  # frames


def require_format(option: str, path: Path) -> None:
    """Raise `MDGenError` unless the name of an output ends in one of `FORMATS`, and that can be written here."""
    ending = format_of(path)
    if ending not in FORMATS:
        raise MDGenError(
            f"{option} {path}: name a file that ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}. Of those mdtraj's "
            f"mdconvert makes PDB files: mdconvert {path.stem}.xtc -t {path.stem}.pdb -o {path.stem}.all.pdb"
        )
    require_library(f"{option} {path}", ending)


def grows_in(path: Path) -> Path:
    """The file in which a trajectory is kept until it is complete: itself, but for HDF5."""
    return path.with_suffix(".growing.nc") if format_of(path) == HDF5 else path


def growing(path: Path, topology: app.Topology, timing: Timing, extent: Extent | None = None) -> Growing:
    """A file that grows in place, of the format that its name ends in; parameters as in `Growing`."""
    return _GROWING[format_of(path)](path, topology, timing, extent)


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
        if format_of(path) == HDF5:
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
    with TrajectoryReader(path) as file:
        while left:
            xyz, _ = file.read(min(left, _CHUNK))
            if not len(xyz):
                raise MDGenError(f"{path} lacks frames that it is said to hold: it cannot be lengthened")
            yield from np.asarray(xyz, np.float64)
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


@contextmanager
def _writing_hdf5(path: Path, topology: app.Topology, timing: Timing) -> Iterator[Callable[[np.ndarray], None]]:
    cell, counted = _cell(topology), count()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The .h5 extension is recommended")  # other endings serve too
        opened = HDF5TrajectoryFile(str(path), "w")
    with opened as file:
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
