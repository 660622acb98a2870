from openmm.app import PDBFile

from openmm_mdgen import TrajectoryGenerator

pdb = PDBFile("traj.pdb")
generator = TrajectoryGenerator.load(topology=pdb.topology)  # the bundled weights that take the molecule
trajectory = generator.rollout(pdb.topology, pdb.positions, n_frames=1000, seed=7)  # mdtraj.Trajectory
trajectory.save_xtc("rollout.xtc")
eight = generator.rollouts(pdb.topology, pdb.positions, n_frames=500, replicas=8, seed=7)  # in one batch
