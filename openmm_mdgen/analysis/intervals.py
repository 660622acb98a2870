"""Times of frames, as files of any format tell them. Picosecond."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mdtraj
import numpy as np

from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.arguments import positive, require
from openmm_mdgen.times import even_interval
from openmm_mdgen.trajectory_formats import FORMATS, dcd_clock, format_of

_STORES_TIME = set(FORMATS) - {".dcd"}


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
        suffix = format_of(Path(source.path))
        if suffix == ".dcd":
            clock = dcd_clock(Path(source.path))
            if isinstance(clock, str):
                return NotDefined(f"{clock}: give the frame interval")
            return float(f"{clock[1]:.5g}")
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
    if not isinstance(source, TrajectoryFile) or format_of(Path(source.path)) in _STORES_TIME:
        return f"at time {time:g} ps ({counted})"
    if source.frame_interval is not None:
        return f"in {counted}, {number * source.frame_interval:g} ps after the first"
    if format_of(Path(source.path)) == ".dcd":
        clock = dcd_clock(Path(source.path))
        if not isinstance(clock, str):
            return f"at time {clock[0] + number * clock[1]:g} ps ({counted})"
    return f"in {counted} (the file does not tell its time)"
