"""Trajectories of any program and any length, read piece by piece.

Times in picosecond. A piece is an `mdtraj.Trajectory` of protein atoms alone, of at most `CHUNK` frames: what has been
measured on it is kept, its coordinates are not. One million frames of a tetrapeptide take well below 2 GB so.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import mdtraj
import numpy as np

from openmm_mdgen.analysis.torsions import TorsionSeries, torsions
from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.analysis.validity import Geometry, GeometryCounter
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.times import even_interval

CHUNK = 5000  # frames
_STORES_TIME = {".xtc", ".trr", ".h5", ".hdf5", ".nc", ".netcdf", ".ncdf"}
_AKMA = 0.04888821  # ps, the unit of time in the header of a DCD file


@dataclass(frozen=True)
class TrajectoryFile:
    """A trajectory on disk, in any format that mdtraj reads.

    Examples
    --------
    >>> evaluate(TrajectoryFile("generated.dcd", "generated.pdb"), TrajectoryFile("md.xtc", "md.pdb"))
    """

    path: str | Path
    topology: str | Path  # a file that holds one, such as a PDB file
    frame_interval: float | None = None  # ps; read from the file where absent


Source: TypeAlias = TrajectoryFile | mdtraj.Trajectory


@dataclass(frozen=True, eq=False)
class Measurement:
    """What one pass over a trajectory leaves."""

    torsions: TorsionSeries
    geometry: Geometry


def measure(source: Source) -> Measurement:
    """Read a trajectory once, in pieces.

    Raises
    ------
    MDGenError
        If it cannot be read, has no protein or no frame.
    StateError
        If a position is not finite.
    """
    names: tuple[str, ...] = ()
    angles, times = [], []
    geometry = None
    for piece in pieces(source):
        named = torsions(piece)
        if not named:
            raise MDGenError(f"{_name(source)} has no torsion: a comparison needs at least two residues")
        names = tuple(named)
        angles.append(np.stack(list(named.values()), axis=1).astype(np.float32, copy=False))
        times.append(piece.time)
        geometry = geometry or GeometryCounter(piece.topology)
        geometry.add(piece.xyz)
    if geometry is None:
        raise MDGenError(f"{_name(source)} has no frame")
    interval = frame_interval_of(source, np.concatenate(times))
    return Measurement(TorsionSeries(names, np.concatenate(angles), interval), geometry.result())


def pieces(source: Source) -> Iterator[mdtraj.Trajectory]:
    """The protein's atoms, at most `CHUNK` frames at a time."""
    if isinstance(source, mdtraj.Trajectory):
        atoms = _protein(source.topology, "the trajectory")
        for start in range(0, source.n_frames, CHUNK):
            piece = source[start : start + CHUNK]
            yield piece if len(atoms) == piece.n_atoms else piece.atom_slice(atoms)
        return
    for path in (source.path, source.topology):
        if not Path(path).is_file():
            raise MDGenError(f"{path}: no such file")
    try:
        topology = mdtraj.load_topology(str(source.topology))
    except Exception as error:  # mdtraj raises what its readers raise
        raise MDGenError(f"{source.topology} cannot be read as a topology: {error}") from error
    atoms = _protein(topology, source.topology)
    try:
        # mdtraj checks the number of atoms only where it reads all of them
        next(mdtraj.iterload(str(source.path), chunk=1, top=topology), None)
    except Exception as error:
        raise MDGenError(
            f"{source.path} with {source.topology}: {error}. A topology has the trajectory's atoms, all and in order"
        ) from error
    chunks = mdtraj.iterload(str(source.path), chunk=CHUNK, top=topology, atom_indices=atoms)
    while True:
        try:
            piece = next(chunks, None)
        except Exception as error:
            raise MDGenError(f"{source.path} with {source.topology}: {error}") from error
        if piece is None:
            return
        yield piece


def _protein(topology: mdtraj.Topology, name: object) -> np.ndarray:
    atoms = topology.select("protein")
    if len(atoms) == 0:
        raise MDGenError(f"{name} has no protein: only peptides and proteins can be compared")
    return atoms


def _name(source: Source) -> str:
    return "the trajectory" if isinstance(source, mdtraj.Trajectory) else str(source.path)


def frame_interval_of(source: Source, times: np.ndarray) -> float | NotDefined:
    """Picoseconds between frames."""
    if isinstance(source, TrajectoryFile):
        if source.frame_interval is not None:
            if not source.frame_interval > 0:
                raise MDGenError(f"frame_interval {source.frame_interval}: give the time between frames, above 0 ps")
            return source.frame_interval
        suffix = Path(source.path).suffix.lower()
        if suffix == ".dcd":
            return _dcd_interval(Path(source.path))
        if suffix not in _STORES_TIME:
            return NotDefined(f"{suffix} files do not store times: give the frame interval")
    if len(times) < 2:
        return NotDefined("a single frame has no interval")
    if not times.any():
        return NotDefined("the frames are samples without times: they have no order, and so no kinetics")
    interval = even_interval(times)
    if interval is None:
        return NotDefined("the frames are not evenly spaced in time: give the frame interval")
    return float(f"{interval:.6g}")


def _dcd_interval(path: Path) -> float | NotDefined:
    """From the header, which mdtraj does not show: steps between frames, and the step in AKMA units."""
    with path.open("rb") as file:
        header = file.read(48)
    order = "<" if header[:4] == struct.pack("<i", 84) else ">"
    steps = struct.unpack(order + "i", header[16:20])[0]
    step_size = struct.unpack(order + "f", header[44:48])[0] * _AKMA
    if steps <= 0 or not step_size > 0:
        return NotDefined("the DCD file's header has no time step: give the frame interval")
    return float(f"{steps * step_size:.5g}")
