import mdtraj

from openmm_mdgen import TrajectoryGenerator

trajectory = mdtraj.load("traj.dcd", top="traj.pdb")[:100]
generator = TrajectoryGenerator.load(task="upsampling")
fine = generator.upsample(trajectory, seed=1, frame_interval=10.0)  # ps between the given frames
fine.save_xtc("fine.xtc")  # a frame each 0.1 ps
