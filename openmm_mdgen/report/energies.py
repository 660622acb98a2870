"""Potential energies of some frames, in amber14 with GBn2 whatever force field made them: both are measured alike."""

from __future__ import annotations

from dataclasses import dataclass

import mdtraj
import numpy as np

from openmm_mdgen.analysis.energies import potential_energies
from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.systems import implicit_system


@dataclass(frozen=True, eq=False)
class Energies:
    """Of frames as they are, (n_frames,) kJ/mol; infinite where atoms of a generated frame coincide."""

    generated: np.ndarray
    reference: np.ndarray


def energies(generated: mdtraj.Trajectory, reference: mdtraj.Trajectory) -> Energies | NotDefined:
    """Of all frames; not defined where hydrogens or other atoms that the force field needs are missing."""
    found = []
    for whose, frames in (("the generated trajectory", generated), ("real MD", reference)):
        try:
            system = implicit_system(frames.topology.to_openmm())
        except MDGenError as error:
            return NotDefined(f"{whose}: {error}")
        found.append(np.nan_to_num(potential_energies(frames, system, platform="CPU"), nan=np.inf, posinf=np.inf))
    if not np.isfinite(found[1]).all():
        return NotDefined("real MD has frames of infinite energy")
    return Energies(*found)
