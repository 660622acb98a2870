"""Ten generated nanoseconds of a peptide on the CPU, beside a short stretch of real MD.

python examples/quickstart.py [SEQUENCE] [FOLDER]
"""

import sys
import time
from pathlib import Path

import mdtraj
import numpy as np
from matplotlib.figure import Figure
from openmm import Platform
from openmm.app import DCDReporter, PDBFile
from rich.progress import track

from openmm_mdgen import Integrate, MDGenSimulation
from openmm_mdgen.analysis import mean_torsion_distances, torsion_distances, torsions
from openmm_mdgen.structure import build_peptide, implicit_system, langevin

GENERATED_PS, MD_PS = 10_000, 200
STEPS_PER_PS = 250  # of 4 fs

sequence = sys.argv[1] if len(sys.argv) > 1 else "AKLV"
folder = Path(sys.argv[2] if len(sys.argv) > 2 else ".")
folder.mkdir(parents=True, exist_ok=True)
output = folder / "quickstart.dcd"

topology, positions = build_peptide(sequence, seed=1)
system = implicit_system(topology)  # amber14, GBn2


def simulate(simulation, trajectory, picoseconds, report_ps):
    """Write a trajectory through OpenMM's own reporter; return nanoseconds per second."""
    simulation.reporters.append(DCDReporter(str(trajectory), report_ps * STEPS_PER_PS))
    simulation.context.setPositions(positions)
    start = time.perf_counter()
    for _ in track(range(picoseconds // report_ps), f"{picoseconds / 1000:g} ns to {trajectory.name}"):
        simulation.step(report_ps * STEPS_PER_PS)
    simulation.reporters.clear()
    return picoseconds / 1000 / (time.perf_counter() - start)


cpu = Platform.getPlatformByName("CPU")
md = MDGenSimulation(topology, system, langevin(seed=1), cpu, schedule=Integrate())  # openmm.app.Simulation does the same
md.context.setPositions(positions)
md.minimizeEnergy()
positions = md.context.getState(positions=True).getPositions()
with open(output.with_suffix(".pdb"), "w") as file:
    PDBFile.writeFile(topology, positions, file)

generating = MDGenSimulation(topology, system, langevin(seed=1), cpu, seed=7)  # bundled weights
speed = simulate(generating, output, GENERATED_PS, 10)
md_speed = simulate(md, folder / "quickstart_md.dcd", MD_PS, 1)

generated, real = (mdtraj.load(path, top=output.with_suffix(".pdb")) for path in (output, folder / "quickstart_md.dcd"))
figure = Figure(figsize=(9, 4), layout="constrained")
titles = f"generated, {GENERATED_PS / 1000:g} ns", f"real MD, {MD_PS} ps"
for axes, title, trajectory in zip(figure.subplots(1, 2, sharey=True), titles, (generated, real), strict=True):
    angles = torsions(trajectory)
    for residue in [name.removeprefix("PHI") for name in angles if name.startswith("PHI") and "PSI" + name[3:] in angles]:
        phi, psi = np.degrees(angles["PHI" + residue]), np.degrees(angles["PSI" + residue])
        axes.scatter(phi, psi, s=4, alpha=0.5, label=residue[3:])
    axes.set(title=title, xlabel="phi (degrees)", ylabel="psi (degrees)", xlim=(-180, 180), ylim=(-180, 180))
    axes.legend(loc="upper right")
figure.savefig(output.with_suffix(".png"), dpi=150)

distance, halves = (
    mean_torsion_distances(torsion_distances(a, b)).all
    for a, b in ((generated, real), (real[: MD_PS // 2], real[MD_PS // 2 :]))
)
print(
    f"{output}: {GENERATED_PS / 1000:g} ns of {sequence} generated at {speed:.2g} ns/s, {speed / md_speed:.0f} times the "
    f"real MD of this run; mean torsion distance to that MD, only {MD_PS} ps long: {distance:.2f} (0 equal, 0.83 "
    f"disjoint; the two halves of the MD are {halves:.2f} apart)."
)
