from openmm.app import PDBFile

from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.exploration import Exploration, Plan
from openmm_mdgen.md.swarm import Swarm

pdb = PDBFile("traj.pdb")
generated = TrajectoryGenerator.load(topology=pdb.topology).rollout(pdb.topology, pdb.positions, 3000, seed=1)

plan = Plan(runs=16, piece=200.0, lagtime=40.0)  # ps
exploration = Exploration(Swarm(pdb.topology, pdb.positions), "explored", plan)
while exploration.n_rounds < 3:
    kinetics = exploration.round(generated)
    print(f"{exploration.nanoseconds:.2f} ns: slowest relaxation {kinetics.timescales[0]} ps")

left_handed = exploration.kinetics().population(lambda piece: piece["PHI 0 LYS 2"] > 0)
print(f"phi of residue 2 is positive in a share of {left_handed}")
