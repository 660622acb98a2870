"""A hybrid run in a box of water at constant pressure.

    python examples/hybrid_explicit.py [SEQUENCE] [OUTPUT]

The generator moves the peptide alone, so the trajectory holds the peptide alone. Before MD goes on from a generated
frame, targeted MD moves the peptide from where MD left it to that frame while the water follows. The bundled weights
were trained on implicit solvent: here they propose where to look, and the MD in water finds what is there.
"""

import sys
from pathlib import Path

import mdtraj
import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen import Alternate, MaskReporter, MDGenSimulation, Summary
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import langevin, relaxed, solvated
from openmm_mdgen.simulation.reporters import write_segments

sequence = sys.argv[1] if len(sys.argv) > 1 else "GAVS"
output = Path(sys.argv[2] if len(sys.argv) > 2 else "hybrid_water")
output.mkdir(parents=True, exist_ok=True)

topology, positions = build_peptide(sequence, seed=1)
positions = relaxed(topology, positions)
peptide = list(range(topology.getNumAtoms()))
mdtraj.Trajectory(positions[None], mdtraj.Topology.from_openmm(topology)).save_pdb(str(output / "peptide.pdb"))

topology, system, positions = solvated(topology, positions, edge=2.3)
simulation = MDGenSimulation(
    topology,
    system,
    langevin(friction=1.0, seed=1),  # 350 K, steps of 4 fs
    openmm.Platform.getPlatform("CPU"),
    schedule=Alternate(integrate=10 * unit.picosecond, generate=490 * unit.picosecond),
    seed=7,
)
simulation.context.setPositions(positions)
simulation.minimizeEnergy(maxIterations=200)
simulation.context.setVelocitiesToTemperature(350 * unit.kelvin, 1)

frame = 2500  # steps: 10 ps
simulation.reporters += [
    app.DCDReporter(str(output / "peptide.dcd"), frame, atomSubset=peptide),
    MaskReporter(output / "peptide.mask.csv", frame),
]
simulation.step(51 * frame)
simulation.reporters.clear()  # closes the trajectory
write_segments(output / "segments.csv", simulation.segments)

for segment in simulation.segments:
    verdict = "" if segment.accepted else f"rejected: {segment.reason}"
    print(f"{segment.kind:10s} from step {segment.start_step:7d}, {segment.steps:6d} steps  {verdict}")
print(Summary.of(simulation.segments))
is_real = np.loadtxt(output / "peptide.mask.csv", delimiter=",", skiprows=1)[:, 2] > 0
print(f"{len(is_real)} frames, {is_real.sum()} of them of real MD")
