from openmm import LangevinMiddleIntegrator, app, unit

from openmm_mdgen import MDGenSimulation

pdb = app.PDBFile("traj.pdb")
field = app.ForceField("amber14-all.xml", "implicit/gbn2.xml")
system = field.createSystem(pdb.topology, constraints=app.HBonds, hydrogenMass=3 * unit.dalton)


def made() -> MDGenSimulation:
    integrator = LangevinMiddleIntegrator(350 * unit.kelvin, 0.3 / unit.picosecond, 4 * unit.femtosecond)
    return MDGenSimulation(pdb.topology, system, integrator, seed=7)


simulation = made()
simulation.context.setPositions(pdb.positions)
simulation.reporters.append(app.CheckpointReporter("run.chk", 250_000))  # each ns
simulation.step(500_000)
simulation.saveState("run.xml")

# Later, in another process:
simulation = made()
simulation.loadState("run.xml")  # or loadCheckpoint("run.chk"), on the same kind of machine
simulation.step(500_000)
