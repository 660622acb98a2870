"""Times of frames, as files of any format tell them. Picosecond."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import mdtraj
import numpy as np

from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.arguments import positive, require
from openmm_mdgen.times import even_interval

_STORES_TIME = {".xtc", ".trr", ".h5", ".hdf5", ".nc", ".netcdf", ".ncdf"}
_AKMA = 0.04888821  # ps, the unit of time in the header of a DCD file


@dataclass(frozen=True)
class TrajectoryFile:
    """A trajectory on disk, in any format that mdtraj reads.

    Parameters
    ----------
    path : str or Path
        The trajectory.
    topology : str or Path
        A file that holds its topology, such as a PDB file.
    frame_interval : float or quantity, optional
        Time between frames; plain numbers are in ps. Default: what the file says.

    Raises
    ------
    MDGenError
        If these are no names of files, or no time.

    Examples
    --------
    >>> evaluate(TrajectoryFile("generated.dcd", "generated.pdb"), TrajectoryFile("md.xtc", "md.pdb"))
    """

    path: str | Path
    topology: str | Path
    frame_interval: float | None = None

    def __post_init__(self) -> None:
        for name in ("path", "topology"):
            require(name, getattr(self, name), isinstance(getattr(self, name), str | Path), "the name of a file")
        if self.frame_interval is not None:
            interval = positive("frame_interval", self.frame_interval, "picosecond")
            object.__setattr__(self, "frame_interval", interval)


def frame_interval_of(source: TrajectoryFile | mdtraj.Trajectory, times: np.ndarray) -> float | NotDefined:
    """The time between frames, ps.

    Parameters
    ----------
    source : TrajectoryFile or mdtraj.Trajectory
    times : (n_frames,)
        Times that mdtraj has read, ps. It numbers the frames of formats that store none.

    Returns
    -------
    float or NotDefined
        What the source states; else what the file says, where it says so.
    """
    if isinstance(source, TrajectoryFile):
        if source.frame_interval is not None:
            return source.frame_interval
        suffix = Path(source.path).suffix.lower()
        if suffix == ".dcd":
            clock = _dcd_clock(Path(source.path))
            return clock if isinstance(clock, NotDefined) else float(f"{clock[1]:.5g}")
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


def place_in_time(source: TrajectoryFile | mdtraj.Trajectory, number: int, time: float) -> str:
    """How to name a frame in a message: by its number from 0, and by its time where that is known.

    Parameters
    ----------
    source : TrajectoryFile or mdtraj.Trajectory
    number : int
        The frame's, from 0.
    time : float
        Its time as mdtraj has read it, ps.
    """
    counted = f"frame {number}, counted from 0"
    if not isinstance(source, TrajectoryFile) or Path(source.path).suffix.lower() in _STORES_TIME:
        return f"at time {time:g} ps ({counted})"
    if source.frame_interval is not None:
        return f"in {counted}, {number * source.frame_interval:g} ps after the first"
    if Path(source.path).suffix.lower() == ".dcd":
        clock = _dcd_clock(Path(source.path))
        if not isinstance(clock, NotDefined):
            return f"at time {clock[0] + number * clock[1]:g} ps ({counted})"
    return f"in {counted} (the file does not tell its time)"


def _dcd_clock(path: Path) -> tuple[float, float] | NotDefined:
    """Time of the first frame and frame interval, from the header, which mdtraj does not show.

    It holds steps before the first frame, steps between frames, and the step in AKMA units. Programs without a time to
    tell write one step of 1 unit, or of 0.
    """
    with path.open("rb") as file:
        header = file.read(48)
    order = "<" if header[:4] == struct.pack("<i", 84) else ">"
    start, steps = struct.unpack(order + "2i", header[12:20])
    units = struct.unpack(order + "f", header[44:48])[0]
    if steps <= 0 or not units > 0:
        return NotDefined("the DCD file's header has no time step: give the frame interval")
    if steps == 1 and units == 1.0:
        return NotDefined(
            "the DCD file's header has no time step, but the default that programs write without one (NSAVC 1, DELTA "
            "1): give the frame interval"
        )
    return start * units * _AKMA, steps * units * _AKMA
