import sys
from openmm.app import *
from openmm import *
from openmm.unit import *

restart = sys.argv[1] if len(sys.argv) > 1 else None
pdb = PDBFile('input.pdb')
forcefield = ForceField('amber14-all.xml', 'implicit/gbn2.xml')
system = forcefield.createSystem(pdb.topology, nonbondedMethod=NoCutoff,
        constraints=HBonds, hydrogenMass=1.5*amu)
integrator = LangevinMiddleIntegrator(350*kelvin, 1/picosecond, 4*femtoseconds)
simulation = Simulation(pdb.topology, system, integrator)
if restart is None:
    simulation.context.setPositions(pdb.positions)
    simulation.minimizeEnergy()
    simulation.context.setVelocitiesToTemperature(350*kelvin)
elif restart.endswith('.chk'):
    simulation.loadCheckpoint(restart)
else:
    simulation.loadState(restart)

append = restart is not None
simulation.reporters.append(DCDReporter('trajectory.dcd', 2500, append=append))
simulation.reporters.append(XTCReporter('trajectory.xtc', 2500, append=append))
simulation.reporters.append(PDBReporter('part.pdb', 2500))
simulation.reporters.append(StateDataReporter('log.csv', 2500, step=True, time=True,
        potentialEnergy=True, kineticEnergy=True, totalEnergy=True, temperature=True,
        volume=True, density=True, progress=True, remainingTime=True, speed=True,
        elapsedTime=True, totalSteps=25000, append=append))
simulation.reporters.append(CheckpointReporter('checkpoint.chk', 5000))
simulation.reporters.append(CheckpointReporter('checkpoint.xml', 5000, writeState=True))
simulation.step(25000 - simulation.currentStep if append else 10000)
simulation.saveState('end.xml')
