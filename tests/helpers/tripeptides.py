"""A few picoseconds of real MD of two tripeptides, as a folder to train on."""

from pathlib import Path

import mdtraj
import numpy as np
from openmm import LangevinMiddleIntegrator, LocalEnergyMinimizer, Platform, app, unit

from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import implicit_system

INTERVAL = 0.04  # ps


def write_tripeptides(path: Path, sequences: tuple[str, ...] = ("AGV", "SLA")) -> Path:
    """``NAME.pdb`` and ``NAME.xtc`` of each, 60 frames."""
    for sequence in sequences:
        topology, positions = build_peptide(sequence)
        integrator = LangevinMiddleIntegrator(350 * unit.kelvin, 1 / unit.picosecond, 0.004 * unit.picosecond)
        integrator.setRandomNumberSeed(1)
        simulation = app.Simulation(
            topology, implicit_system(topology), integrator, Platform.getPlatformByName("Reference")
        )
        simulation.context.setPositions(positions)
        LocalEnergyMinimizer.minimize(simulation.context, maxIterations=100)
        frames = []
        for _ in range(60):
            simulation.step(10)
            state = simulation.context.getState(positions=True)
            frames.append(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
        trajectory = mdtraj.Trajectory(
            np.array(frames), mdtraj.Topology.from_openmm(topology), time=np.arange(60) * INTERVAL
        )
        trajectory[0].save_pdb(str(path / f"{sequence}.pdb"))
        trajectory.save_xtc(str(path / f"{sequence}.xtc"))
    return path
