from openmm.app import *
from openmm import *
from openmm.unit import *
from sys import stdout

psf = CharmmPsfFile('input.psf')
crd = CharmmCrdFile('input.crd')
params = CharmmParameterSet('input.rtf', 'input.prm')
system = psf.createSystem(params, nonbondedMethod=NoCutoff, constraints=HBonds,
        implicitSolvent=OBC2)
integrator = LangevinMiddleIntegrator(300*kelvin, 1/picosecond, 0.002*picoseconds)
platform = Platform.getPlatform('CPU')
properties = {'Threads': '1'}
simulation = Simulation(psf.topology, system, integrator, platform, properties)
simulation.context.setPositions(crd.positions)
simulation.minimizeEnergy()
simulation.context.setVelocitiesToTemperature(300*kelvin)
simulation.reporters.append(PDBxReporter('output.cif', 5000))
simulation.reporters.append(StateDataReporter(stdout, 5000, step=True,
        potentialEnergy=True, kineticEnergy=True, totalEnergy=True, temperature=True))
simulation.step(20000)
