"""How a trajectory whose format cannot be cut back is completed, and taken up again to be lengthened.

It grows in a file beside it (`md.trajectory_files.grows_in`). When it is complete the whole of it is written at once,
the checkpoint says so, and then the other file is removed: at each time one of the two is what the checkpoint says.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from openmm import app

from openmm_mdgen.errors import CheckpointError
from openmm_mdgen.md.growing import Extent, Timing
from openmm_mdgen.md.trajectory_files import frames_of, grows_in, write_trajectory


def held_in(path: Path, extent: Extent) -> Path:
    """The file that an extent is of: a trajectory, or the one in which it grows.

    Raises
    ------
    CheckpointError
        If neither is as the run left it.
    """
    grown = grows_in(path)
    if grown != path and grown.exists():
        with suppress(CheckpointError):
            extent.require(path)
            return path
        extent.require(grown)
        return grown
    extent.require(path)
    return path


def completed(path: Path, extent: Extent, topology: app.Topology, timing: Timing) -> Extent:
    """Write a trajectory of the file in which it has grown; one that grows in place stays as it is."""
    held = held_in(path, extent)
    if held == path:
        return extent
    write_trajectory(path, topology, frames_of(held, extent.n_frames), timing)
    return _whole(path, extent.n_frames)


def taken_up(path: Path, extent: Extent, topology: app.Topology, timing: Timing) -> Extent:
    """Let a trajectory that is complete grow again; what is given is where it ends in the file that grows."""
    grown = grows_in(path)
    if held_in(path, extent) == grown:
        return extent
    write_trajectory(grown, topology, frames_of(path, extent.n_frames), timing)
    return _whole(grown, extent.n_frames)


def _whole(path: Path, n_frames: int) -> Extent:
    return Extent.of(path, n_frames, path.stat().st_size)
