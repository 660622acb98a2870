from openmm import app

from openmm_mdgen import MDGenSimulation
from openmm_mdgen.md.systems import implicit_system, langevin

pdb = app.PDBFile("traj.pdb")
system, integrator = implicit_system(pdb.topology), langevin()  # 350 K, steps of 4 fs
simulation = MDGenSimulation(pdb.topology, system, integrator, upsampling="upsampling_tetrapeptide", seed=7)
simulation.context.setPositions(pdb.positions)
simulation.reporters.append(app.DCDReporter("fine.dcd", 25))  # a frame each 0.1 ps
simulation.step(25_000)  # 100 ps
