"""A hybrid run in a box of water at constant pressure.

    python examples/hybrid_explicit.py STRUCTURE [OUTPUT] [--quick]

Takes a few minutes on two CPU cores, half a minute with --quick. STRUCTURE is a sequence such as GAVS, or a PDB file
such as `openmm-mdgen run` writes; the folder OUTPUT (default: hybrid_water) gets all files.

The generator moves the peptide alone, so the trajectory holds the peptide alone. Before MD goes on from a generated
frame, targeted MD moves the peptide from where MD left it to that frame while the water follows. The bundled weights
were trained on implicit solvent: here they propose where to look, and the MD in water finds what is there.
"""

import argparse
import sys
from pathlib import Path

import mdtraj
import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen import Alternate, LandingSettings, MaskReporter, MDGenSimulation, Summary
from openmm_mdgen.md.structures import load_structure
from openmm_mdgen.md.systems import langevin, relaxed, solvated
from openmm_mdgen.simulation.reporters import write_segments

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("structure", help="sequence or PDB file of a small peptide")
parser.add_argument("output", nargs="?", default="hybrid_water", type=Path)
parser.add_argument("--quick", action="store_true", help="a short segment in a small box")
options = parser.parse_args(sys.argv[1:] or ["--help"])
output, generated, n_frames = options.output, 20 if options.quick else 490, 3 if options.quick else 51
edge = 2.0 if options.quick else 2.3  # nm
landing = LandingSettings(targeting_time=4.0, reference_interval=0.1, reference_delay=0.5) if options.quick else None
output.mkdir(parents=True, exist_ok=True)

topology, positions = load_structure(options.structure, seed=1)
positions = relaxed(topology, positions)
peptide = list(range(topology.getNumAtoms()))
mdtraj.Trajectory(positions[None], mdtraj.Topology.from_openmm(topology)).save_pdb(str(output / "peptide.pdb"))

topology, system, positions = solvated(topology, positions, edge=edge)
simulation = MDGenSimulation(
    topology,
    system,
    langevin(friction=1.0, seed=1),  # 350 K, steps of 4 fs
    openmm.Platform.getPlatform("CPU"),
    schedule=Alternate(integrate=10 * unit.picosecond, generate=generated * unit.picosecond),
    landing=landing,
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
simulation.step(n_frames * frame)
simulation.reporters.clear()  # closes the trajectory
write_segments(output / "segments.csv", simulation.segments)

for segment in simulation.segments:
    verdict = "" if segment.accepted else f"rejected: {segment.reason}"
    print(f"{segment.kind:10s} from step {segment.start_step:7d}, {segment.steps:6d} steps  {verdict}")
print(Summary.of(simulation.segments))
is_real = np.loadtxt(output / "peptide.mask.csv", delimiter=",", skiprows=1)[:, 2] > 0
print(f"{len(is_real)} frames, {is_real.sum()} of them of real MD")
