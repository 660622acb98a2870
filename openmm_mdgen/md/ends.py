"""Where real MD ended, kept beside its trajectory so that it can be lengthened.

Positions and velocities are those of all atoms that were integrated, water included. They say nothing of OpenMM's
random numbers, so they serve any platform, processor and version; what follows has random forces of its own. Lengths
in nanometre, velocities in nanometre per picosecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import openmm
from openmm import unit

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import read_arrays, replacing
from openmm_mdgen.md.engines import Engine

_FORMAT = "openmm_mdgen end 1"
_SUFFIX = ".end.npz"


@dataclass(frozen=True, eq=False)
class End:
    """The last configuration of an integrated System, or of a part of it."""

    positions: np.ndarray  # (N, 3) nm
    velocities: np.ndarray  # (N, 3) nm/ps
    box: np.ndarray  # (3, 3) nm: vectors of the periodic box, which mean nothing where there is none

    @classmethod
    def of(cls, context: openmm.Context) -> End:
        """Of a System as it stands."""
        state = context.getState(positions=True, velocities=True)
        return cls(
            np.array(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)),
            np.array(state.getVelocities(asNumpy=True).value_in_unit(unit.nanometer / unit.picosecond)),
            np.array(state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.nanometer)),
        )

    @classmethod
    def joined(cls, ends: Sequence[End]) -> End:
        """Of several molecules that are packed into one System."""
        return cls(
            np.concatenate([end.positions for end in ends]),
            np.concatenate([end.velocities for end in ends]),
            ends[0].box,
        )

    def share_out(self, folders: Sequence[Path], slices: Sequence[slice], n_frames: int) -> None:
        """Keep the part of each molecule in its folder; what stands alone keeps all, with its solvent."""
        parts = [slice(None)] if len(folders) == 1 else slices
        for folder, atoms in zip(folders, parts, strict=True):
            End(self.positions[atoms], self.velocities[atoms], self.box).save(end_file(folder, n_frames))

    def put(self, engine: Engine, context: openmm.Context) -> None:
        """Let a Context of the engine's System go on from here."""
        if context.getSystem().usesPeriodicBoundaryConditions():
            context.setPeriodicBoxVectors(*self.box)
        context.setPositions(engine.recentred(self.positions))
        context.setVelocities(self.velocities)

    def save(self, path: Path) -> None:
        """Write to a file, which appears whole."""
        with replacing(path) as temporary:
            np.savez(temporary, format=_FORMAT, **asdict(self))

    @classmethod
    def load(cls, path: Path) -> End:
        """Read a file.

        Raises
        ------
        MDGenError
            If it is damaged, or something else.
        """
        with suppress(ValueError, KeyError):
            arrays = read_arrays(path)
            if str(arrays["format"]) == _FORMAT:
                return cls(arrays["positions"], arrays["velocities"], arrays["box"])
        raise MDGenError(f"{path} is where real MD kept its end, and cannot be read as that: it cannot be lengthened")


def end_file(folder: Path, n_frames: int) -> Path:
    """The file of the end of a system's trajectory of so many frames, in the system's folder."""
    return folder / f"{folder.name}.{n_frames}{_SUFFIX}"


def remove_older(folder: Path, n_frames: int) -> None:
    """Remove the ends of shorter trajectories."""
    for path in folder.glob(f"*{_SUFFIX}"):
        if path != end_file(folder, n_frames):
            path.unlink()
