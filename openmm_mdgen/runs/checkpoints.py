"""What a run that was stopped goes on from: a file beside its trajectory that appears whole.

It is an npz archive of plain arrays, and opening it runs no code. A *report* is a frame that is written. Positions are
``(n_atoms, 3)`` in nanometre.
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from openmm_mdgen.errors import CheckpointError
from openmm_mdgen.files import read_arrays, replacing
from openmm_mdgen.md.growing import Extent

Arrays = dict[str, np.ndarray]

SUFFIX = ".checkpoint.npz"
_FORMAT = "openmm_mdgen run 1"
_SOURCE = "source."  # prefix of the arrays of what generates


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where a run stands.

    Parameters
    ----------
    run : str
        Which run it is of; the run's manifest has the same.
    n_reports : int
        Frames in each trajectory file.
    start : (n_atoms, 3) nm
        The minimised structure that the run began with.
    extents : tuple of Extent
        Of the trajectory files, in their order.
    overlapping : int
        Written frames in which chains overlap.
    seconds : float
        Time that was spent so far, without what was done after checkpoints and lost.
    source : dict of str to array
        State of what generates.
    """

    run: str
    n_reports: int
    start: np.ndarray
    extents: tuple[Extent, ...]
    overlapping: int
    seconds: float
    source: Arrays

    def save(self, path: Path) -> None:
        """Write to a file, which appears whole."""
        said = {
            "run": self.run,
            "n_reports": self.n_reports,
            "overlapping": self.overlapping,
            "seconds": self.seconds,
            "extents": [astuple(extent) for extent in self.extents],
        }
        arrays = {_SOURCE + name: np.asarray(value) for name, value in self.source.items()}
        with replacing(path) as temporary:
            np.savez(temporary, format=_FORMAT, said=json.dumps(said), start=self.start, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a file.

        Raises
        ------
        CheckpointError
            If it is damaged, or something else.
        """
        try:
            arrays = read_arrays(path)
        except ValueError as error:
            raise CheckpointError(f"{path} cannot be read as the checkpoint of a run ({error})") from error
        if str(arrays.get("format", "")) != _FORMAT:
            raise CheckpointError(f"{path} is no checkpoint of a run of openmm-mdgen run")
        said = json.loads(str(arrays["said"]))
        said["extents"] = tuple(Extent(*values) for values in said["extents"])
        source = {name.removeprefix(_SOURCE): x for name, x in arrays.items() if name.startswith(_SOURCE)}
        return cls(**said, start=arrays["start"], source=source)
