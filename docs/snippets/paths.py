from openmm import app, unit
from openmm.app import PDBFile

from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.analysis import torsions
from openmm_mdgen.md.systems import implicit_system, langevin
from openmm_mdgen.steering import TorsionSpace, TransitionPath, path_force, pull

# Frames of two states: here, those with psi of the second residue above and below 60 degrees.
pdb = PDBFile("traj.pdb")
seen = TrajectoryGenerator.load().rollout(pdb.topology, pdb.positions, 2000, seed=7)
# --8<-- [start:states]
psi = torsions(seen)["PSI 0 LYS 2"]
start_frames, end_frames = seen[psi < 1.05], seen[psi > 1.05]
space = TorsionSpace.between(start_frames, end_frames)  # the torsions that tell the two states apart
first, last = space.typical(start_frames).xyz[0], space.typical(end_frames).xyz[0]
# --8<-- [end:states]

# --8<-- [start:path]
paths = TrajectoryGenerator.load(task="interpolation").interpolate(pdb.topology, first, last, paths=16, seed=1)
path = TransitionPath.through(space, paths)
# --8<-- [end:path]

# --8<-- [start:pull]
system = implicit_system(pdb.topology)
system.addForce(path_force(path))
simulation = app.Simulation(pdb.topology, system, langevin(temperature=350, seed=1))
simulation.context.setPositions(first)
simulation.minimizeEnergy()
simulation.context.setVelocitiesToTemperature(350 * unit.kelvin, 1)
led = pull(simulation, path, time=100.0)  # ps, from one end to the other
print(f"from {led.progress[0]:.2f} to {led.progress[-1]:.2f} with {led.work[-1]:.0f} kJ/mol of work")
# --8<-- [end:pull]
