"""Generates ten nanoseconds of a peptide on the CPU, beside a short stretch of real MD.

    python examples/quickstart.py [SEQUENCE] [FOLDER] [--quick]

Takes two minutes on two CPU cores, seconds with --quick. Writes both trajectories, their topology and a figure into
FOLDER (default: the present one). Without arguments it is AKLV, Ala-Lys-Leu-Val with free ends.
"""

import argparse
import time
from pathlib import Path

import mdtraj
import numpy as np
import torch
from matplotlib.figure import Figure
from openmm import Platform
from openmm.app import DCDReporter, PDBFile

from openmm_mdgen import Integrate, MDGenSimulation
from openmm_mdgen.analysis import mean_torsion_distances, torsion_distances, torsions
from openmm_mdgen.analysis.folders import read_md
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import implicit_system, langevin
from openmm_mdgen.progress import progress_bar

STEPS_PER_PS = 250  # of 4 fs

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("sequence", nargs="?", default="AKLV", help="one-letter codes (default: %(default)s)")
parser.add_argument("folder", nargs="?", default=".", type=Path)
parser.add_argument("--quick", action="store_true", help="100 ps beside 10 ps of MD, which compare nothing")
options = parser.parse_args()
GENERATED_PS, MD_PS = (100, 10) if options.quick else (10_000, 200)


def simulate(simulation, file: Path, picoseconds: int, report_ps: int) -> float:
    """Write a trajectory through OpenMM's own reporter, and return the speed in nanoseconds per second."""
    simulation.reporters.append(DCDReporter(str(file), report_ps * STEPS_PER_PS))
    start = time.perf_counter()
    with progress_bar(f"{picoseconds / 1000:g} ns to {file.name}", picoseconds // report_ps) as advance:
        for _ in range(picoseconds // report_ps):
            simulation.step(report_ps * STEPS_PER_PS)
            advance(1)
    simulation.reporters.clear()
    return picoseconds / 1000 / (time.perf_counter() - start)


def draw_ramachandran(axes, title: str, trajectory: mdtraj.Trajectory) -> None:
    angles = torsions(trajectory)
    for residue in (name[4:] for name in angles if name.startswith("PHI ") and f"PSI {name[4:]}" in angles):
        phi, psi = np.degrees(angles[f"PHI {residue}"]), np.degrees(angles[f"PSI {residue}"])
        axes.scatter(phi, psi, s=4, alpha=0.5, label=residue[2:])
    axes.set(title=title, xlabel="phi (degrees)", ylabel="psi (degrees)", xlim=(-180, 180), ylim=(-180, 180))
    axes.legend(loc="lower right")


sequence, folder = options.sequence, options.folder
folder.mkdir(parents=True, exist_ok=True)
dcd, md_dcd, pdb, png = (folder / f"quickstart{end}" for end in (".dcd", "_md.dcd", ".pdb", ".png"))
torch.set_num_threads(1)  # network and molecule are small: threads would wait for each other
cpu, one_thread = Platform.getPlatformByName("CPU"), {"Threads": "1"}

# A structure, amber14 with GBn2, and a short real simulation from its energy minimum.
topology, positions = build_peptide(sequence, seed=1)
system = implicit_system(topology)
md = MDGenSimulation(topology, system, langevin(seed=1), cpu, one_thread, schedule=Integrate())
md.context.setPositions(positions)
md.minimizeEnergy()
minimum = md.context.getState(positions=True).getPositions()
with open(pdb, "w") as file:
    PDBFile.writeFile(topology, minimum, file)
md.context.setVelocitiesToTemperature(350, 1)
md_speed = simulate(md, md_dcd, MD_PS, 1)

# The same script with frames that are generated.
simulation = MDGenSimulation(topology, system, langevin(seed=1), cpu, one_thread, seed=7)
simulation.context.setPositions(minimum)
speed = simulate(simulation, dcd, GENERATED_PS, 10)

# How they compare.
generated, real = read_md(pdb, dcd), read_md(pdb, md_dcd)
figure = Figure(figsize=(9, 4), layout="constrained")
left, right = figure.subplots(1, 2, sharey=True)
draw_ramachandran(left, f"{sequence}, generated: {GENERATED_PS / 1000:g} ns", generated)
draw_ramachandran(right, f"{sequence}, real MD: {MD_PS} ps", real)
figure.savefig(png, dpi=150)
distance = mean_torsion_distances(torsion_distances(generated, real)).all
halves = mean_torsion_distances(torsion_distances(real[: MD_PS // 2], real[MD_PS // 2 :])).all
print(
    f"{dcd}: {GENERATED_PS / 1000:g} ns of {sequence} generated at {speed:.2g} ns/s, {speed / md_speed:.0f} times as "
    f"fast as the real MD of this run. Mean torsion distance to that MD, only {MD_PS} ps long: {distance:.2f} "
    f"(0 equal, 0.83 disjoint; the halves of the MD are {halves:.2f} apart). Figure: {png}"
)
