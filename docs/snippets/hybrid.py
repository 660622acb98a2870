from openmm import LangevinMiddleIntegrator, app, unit

from openmm_mdgen import Alternate, Gate, MaskReporter, MDGenSimulation, SegmentReporter, Summary

pdb = app.PDBFile("traj.pdb")
field = app.ForceField("amber14-all.xml", "implicit/gbn2.xml")
system = field.createSystem(pdb.topology, constraints=app.HBonds, hydrogenMass=3 * unit.dalton)
integrator = LangevinMiddleIntegrator(350 * unit.kelvin, 0.3 / unit.picosecond, 4 * unit.femtosecond)

simulation = MDGenSimulation(
    pdb.topology,
    system,
    integrator,
    schedule=Alternate(integrate=10 * unit.picosecond, generate=490 * unit.picosecond),
    gate=Gate(retries=2),
    seed=7,
)
simulation.context.setPositions(pdb.positions)
simulation.context.setVelocitiesToTemperature(350 * unit.kelvin)

frame = 2500  # steps of 4 fs: 10 ps
simulation.reporters.append(app.DCDReporter("hybrid.dcd", frame))
simulation.reporters.append(MaskReporter("hybrid.mask.csv", frame))
simulation.reporters.append(SegmentReporter("hybrid.segments.csv", 50 * frame))
simulation.step(100 * frame)  # 1 ns
print(Summary.of(simulation.segments))
