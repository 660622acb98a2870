"""One trajectory of real MD."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mdtraj
import numpy as np
import torch

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.tokens import Frames
from openmm_mdgen.topology import ProteinChain


@dataclass(frozen=True)
class Recording:
    """One trajectory: all its frames as one batch member of `Frames`, and the picoseconds between them."""

    name: str
    sequence: str
    frames: Frames
    interval: float


def read_recording(topology: Path, trajectory: Path) -> Recording:
    """Read a PDB file with its trajectory (any format that mdtraj reads).

    Raises
    ------
    MDGenError
        Naming the file, if it cannot be read, has coordinates that are not finite, or frames unevenly spaced.
    """
    try:
        data = mdtraj.load(str(trajectory), top=str(topology))
        chain = ProteinChain.from_openmm(data.topology.to_openmm()).resolved(data.xyz[0])
    except Exception as error:  # mdtraj raises what its readers raise
        raise MDGenError(f"{trajectory} with {topology}: {error}") from error
    if not np.isfinite(data.xyz).all():
        raise MDGenError(f"{trajectory} has coordinates that are not finite")
    steps = np.diff(data.time)
    if len(steps) == 0 or not np.allclose(steps, steps[0], rtol=1e-3):
        raise MDGenError(f"{trajectory}: its frames are not evenly spaced in time")
    # float32 holds a coordinate to 1e-6 Å only near the origin
    xyz = data.xyz - data.xyz.mean(axis=1, keepdims=True)
    positions = chain.atom14(xyz).float()[None]
    frames = Frames.from_atom14(torch.from_numpy(chain.aatype)[None], positions)
    return Recording(topology.stem, chain.sequence, frames, float(steps[0]))
