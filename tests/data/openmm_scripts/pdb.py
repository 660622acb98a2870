from openmm.app import *
from openmm import *
from openmm.unit import *
from sys import stdout

pdb = PDBFile('input.pdb')
forcefield = ForceField('amber14-all.xml', 'amber14/tip3pfb.xml')
modeller = Modeller(pdb.topology, pdb.positions)
modeller.addHydrogens(forcefield)
modeller.addSolvent(forcefield, boxSize=Vec3(2.1, 2.1, 2.1)*nanometers, ionicStrength=0.1*molar)
system = forcefield.createSystem(modeller.topology, nonbondedMethod=PME,
        nonbondedCutoff=1*nanometer, constraints=HBonds)
system.addForce(MonteCarloBarostat(1*bar, 350*kelvin))
integrator = LangevinMiddleIntegrator(350*kelvin, 1/picosecond, 0.004*picoseconds)
simulation = Simulation(modeller.topology, system, integrator)
simulation.context.setPositions(modeller.positions)
simulation.minimizeEnergy(maxIterations=20)
simulation.reporters.append(PDBReporter('output.pdb', 2500))
simulation.reporters.append(StateDataReporter(stdout, 2500, step=True,
        potentialEnergy=True, temperature=True))
simulation.step(10000)
