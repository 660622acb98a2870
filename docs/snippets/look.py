import mdtraj
import numpy as np
from matplotlib.figure import Figure

from openmm_mdgen.analysis import torsions

trajectory = mdtraj.load("traj.dcd", top="traj.pdb")
angles = torsions(trajectory)  # by name, such as "PHI 0 LYS 2", in radian
names = [name[4:] for name in angles if name.startswith("PHI ") and f"PSI {name[4:]}" in angles]

figure = Figure(figsize=(3 * len(names), 3), layout="constrained")
for axes, name in zip(np.atleast_1d(figure.subplots(1, len(names))), names, strict=True):
    axes.plot(np.degrees(angles[f"PHI {name}"]), np.degrees(angles[f"PSI {name}"]), ".", markersize=2)
    axes.set(title=name[2:], xlabel="phi (degrees)", ylabel="psi (degrees)", xlim=(-180, 180), ylim=(-180, 180))
figure.savefig("ramachandran.png", dpi=150)
