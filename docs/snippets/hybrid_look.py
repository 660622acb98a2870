import mdtraj
import numpy as np

trajectory = mdtraj.load("hybrid.dcd", top="traj.pdb")
is_real = np.loadtxt("hybrid.mask.csv", delimiter=",", skiprows=1)[:, 2] > 0
print(f"{is_real.sum()} of {len(trajectory)} frames are of real MD")
real = trajectory[is_real]
