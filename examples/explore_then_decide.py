"""Starts short runs of real MD where the generator says a molecule may go, and gets populations from them.

python examples/explore_then_decide.py SEQUENCE FOLDER [REFERENCE]

Runs rounds of short real MD in FOLDER; the same command goes on where it was stopped. The first round starts from
generated frames, later ones start where populations are least certain. A Markov model of the real runs gives the
populations of metastable states and the slowest relaxation time, with intervals of 95 %. REFERENCE is a folder of long
runs of the sequence, such as `openmm-mdgen simulate SEQUENCE --replicas 8 --time 5ns --out REFERENCE` writes. With it,
the states are those of the long runs, and a column of the table is for them.
"""

import sys
from pathlib import Path

import mdtraj
import numpy as np

from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.analysis import Definitions
from openmm_mdgen.analysis.folders import read_md
from openmm_mdgen.analysis.interpolation import PathReference
from openmm_mdgen.analysis.sources import measure
from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.commands.terminal import progress_bar
from openmm_mdgen.exploration import Exploration, Kinetics, Plan
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.structures import load_structure
from openmm_mdgen.md.swarm import Swarm
from openmm_mdgen.md.systems import relaxed

sequence, folder, reference = sys.argv[1], sys.argv[2], sys.argv[3:4]
N_ROUNDS, N_STATES, PIECE_OF_REFERENCE = 9, 5, 1000.0  # ps
plan = Plan()
replicas = sorted(Path(reference[0]).glob(f"{sequence}_*/*.xtc")) if reference else []
if reference and not replicas:
    sys.exit(f"{reference[0]} has no folders {sequence}_0, {sequence}_1 ... with an XTC file each")
topology, built = (
    load_structure(replicas[0].with_suffix(".pdb"), seed=0) if replicas else build_peptide(sequence, seed=1)
)
positions = relaxed(topology, built)
generated = TrajectoryGenerator.load().rollout(topology, positions, 3000, seed=1)

exploration = Exploration(Swarm(topology, positions), folder, plan)
while exploration.n_rounds < N_ROUNDS:
    with progress_bar(f"round {exploration.n_rounds + 1}", plan.runs, "runs") as advance:
        kinetics = exploration.round(generated, progress=advance)
    print(f"slowest relaxation {kinetics.timescales[0]} ps; {kinetics.unconnected:.0%} of the frames unconnected")
kinetics = exploration.kinetics()

long = [read_md(xtc.with_suffix(".pdb"), xtc) for xtc in replicas]
shown = mdtraj.join(long) if long else generated  # the trajectory whose states are found
shown.time = shown.timestep * np.arange(shown.n_frames)
sorted_by = PathReference.fit(shown, definitions=Definitions.SOUND, n_clusters=50, n_states=N_STATES)
longer = Kinetics.of(kinetics.pieces, lagtime=2 * plan.lagtime, n_microstates=plan.n_microstates)
columns = {"explored, then decided": kinetics, "the same at twice the lag time": longer}
if long:
    runs = [measure(run).torsions for run in long]
    n = runs[0].frames_in(PIECE_OF_REFERENCE)
    cut = [TorsionSeries(r.names, r.angles[k : k + n], r.frame_interval) for r in runs for k in range(0, r.n_frames, n)]
    length = f"MD, {len(cut) * PIECE_OF_REFERENCE / 1000:g} ns"
    columns = {length: Kinetics.of(cut, lagtime=plan.lagtime, n_microstates=plan.n_microstates)} | columns
print(f"\n{exploration.nanoseconds:.2f} ns of real MD in {len(exploration.pieces)} runs\n")
names = [*columns, "the same frames without a Markov model", "generated"]
print(f"| | {' | '.join(names)} |\n|---{'|---' * len(names)}|")
seen = measure(generated).torsions
for state in range(N_STATES):

    def share(piece: TorsionSeries, state: int = state) -> np.ndarray:
        return sorted_by.label(piece) == state

    cells = [str(column.population(share)) for column in columns.values()]
    cells += [f"{kinetics.raw(share):.3g}", f"{share(seen).mean():.3g}"]
    print(f"| state {state + 1} | {' | '.join(cells)} |")
print(f"| slowest relaxation, ps | {' | '.join(str(column.timescales[0]) for column in columns.values())} | | |")
worst = kinetics.need.argsort()[::-1][:3]
print(f"more is needed in microstates {', '.join(map(str, worst))}: {kinetics.need[worst].sum():.0%} of the errors")
