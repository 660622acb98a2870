"""Potential energies of frames, kJ/mol, in amber14 with GBn2 whatever force field made them: all are measured alike."""

from __future__ import annotations

from dataclasses import dataclass

import mdtraj
import numpy as np
import openmm
from openmm import unit

from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.systems import implicit_system


@dataclass(frozen=True, eq=False)
class Energies:
    """Energies of frames as they are, (n_frames,) kJ/mol; infinite where atoms of a generated frame coincide."""

    generated: np.ndarray
    reference: np.ndarray

    @property
    def share_above(self) -> float:
        """Share of generated frames above all of real MD."""
        return float((self.generated > self.reference.max()).mean())


def energies(generated: mdtraj.Trajectory, reference: mdtraj.Trajectory) -> Energies | NotDefined:
    """Compute those of all frames; not defined where atoms that the force field needs, such as hydrogens, are missing.

    Parameters
    ----------
    generated, reference : mdtraj.Trajectory
        Frames of one molecule.

    Returns
    -------
    Energies or NotDefined
    """
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


def potential_energies(
    trajectory: mdtraj.Trajectory, system: openmm.System, *, platform: str | None = None
) -> np.ndarray:
    """Compute the potential energies of frames as they are.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
        All atoms of the System, in its order.
    system : openmm.System
    platform : str, optional
        Name of an OpenMM platform. Default: OpenMM's own choice.

    Returns
    -------
    (n_frames,) float64, kJ/mol

    Raises
    ------
    MDGenError
        If the System has another number of particles.
    """
    if system.getNumParticles() != trajectory.n_atoms:
        raise MDGenError(
            f"the System has {system.getNumParticles()} particles and the trajectory {trajectory.n_atoms} atoms: pass "
            "frames with all atoms, and the System made from their topology"
        )
    integrator = openmm.VerletIntegrator(0.001)
    if platform is None:
        context = openmm.Context(system, integrator)
    else:
        context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(platform))
    found = np.empty(trajectory.n_frames)
    for k, frame in enumerate(trajectory.xyz):
        context.setPositions(frame.astype(float))
        energy = context.getState(energy=True).getPotentialEnergy()
        found[k] = energy.value_in_unit(unit.kilojoule_per_mole)
    return found
