from openmm import LangevinMiddleIntegrator, app, unit

from openmm_mdgen import MDGenSimulation

pdb = app.PDBFile("traj.pdb")
field = app.ForceField("amber14-all.xml", "implicit/gbn2.xml")
system = field.createSystem(pdb.topology, constraints=app.HBonds, hydrogenMass=3 * unit.dalton)
integrator = LangevinMiddleIntegrator(350 * unit.kelvin, 0.3 / unit.picosecond, 4 * unit.femtosecond)

simulation = MDGenSimulation(pdb.topology, system, integrator, seed=7)
simulation.context.setPositions(pdb.positions)
simulation.reporters.append(app.DCDReporter("script.dcd", 2500))  # a frame each 10 ps
simulation.reporters.append(app.StateDataReporter("script.csv", 2500, time=True, potentialEnergy=True))
simulation.step(2_500_000)  # 10 ns in steps of 4 fs
