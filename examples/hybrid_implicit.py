"""A hybrid run in implicit solvent: real MD and generated segments take turns, and a record says which is which.

    python examples/hybrid_implicit.py STRUCTURE [OUTPUT] [--quick]

Takes a minute on two CPU cores, seconds with --quick. STRUCTURE is a sequence such as AKLV, or a PDB file such as
`openmm-mdgen run` writes. The folder OUTPUT (default: hybrid) gets the trajectory, a table that tells of each of its
frames whether MD made it (1) or the generator (0), and the record of all segments, those that were rejected among them.
"""

import argparse
import sys
from pathlib import Path

import mdtraj
import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen import Alternate, Gate, MaskReporter, MDGenSimulation, SegmentReporter, Summary
from openmm_mdgen.analysis.folders import read_md
from openmm_mdgen.md.structures import load_structure
from openmm_mdgen.md.systems import implicit_system, langevin, relaxed
from openmm_mdgen.simulation.reporters import write_segments

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("structure", help="sequence or PDB file")
parser.add_argument("output", nargs="?", default="hybrid", type=Path)
parser.add_argument("--quick", action="store_true", help="one short segment in place of two")
options = parser.parse_args(sys.argv[1:] or ["--help"])
output, generated, n_frames = options.output, 90 if options.quick else 490, 11 if options.quick else 101
output.mkdir(parents=True, exist_ok=True)

topology, positions = load_structure(options.structure, seed=1)
positions = relaxed(topology, positions)
mdtraj.Trajectory(positions[None], mdtraj.Topology.from_openmm(topology)).save_pdb(str(output / "start.pdb"))

simulation = MDGenSimulation(
    topology,
    implicit_system(topology),
    langevin(seed=1),  # 350 K, steps of 4 fs
    openmm.Platform.getPlatform("CPU"),
    schedule=Alternate(integrate=10 * unit.picosecond, generate=generated * unit.picosecond),
    gate=Gate(retries=2),
    seed=7,
)
simulation.context.setPositions(positions)
simulation.context.setVelocitiesToTemperature(350 * unit.kelvin, 1)

frame = 2500  # steps: 10 ps
simulation.reporters += [
    app.DCDReporter(str(output / "trajectory.dcd"), frame),
    MaskReporter(output / "trajectory.mask.csv", frame),
    SegmentReporter(output / "segments.csv", 50 * frame),
    app.CheckpointReporter(str(output / "run.chk"), 50 * frame),
]
simulation.step(n_frames * frame)
simulation.reporters.clear()  # closes the trajectory
write_segments(output / "segments.csv", simulation.segments)

trajectory = read_md(output / "start.pdb", output / "trajectory.dcd")
is_real = np.loadtxt(output / "trajectory.mask.csv", delimiter=",", skiprows=1)[:, 2] > 0
for segment in simulation.segments:
    verdict = "" if segment.accepted else f"rejected: {segment.reason}"
    print(f"{segment.kind:10s} from step {segment.start_step:7d}, {segment.steps:6d} steps  {verdict}")
print(Summary.of(simulation.segments))
print(f"{len(trajectory)} frames, {is_real.sum()} of them of real MD: trajectory[is_real] takes those alone")
