"""Explore with the generator, decide with real MD; beside long real MD where there is some.

python examples/explore_then_decide.py SEQUENCE FOLDER [REFERENCE.pdb REFERENCE.xtc]

Runs rounds of short real MD in FOLDER (the same command goes on where it was), first from generated frames, then from
where populations are least certain, and prints populations and the slowest relaxation with their 95 % intervals. With a
reference, states are those of the reference, whose own intervals come from pieces of it.
"""

import sys

import numpy as np

from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.analysis import Definitions
from openmm_mdgen.analysis.interpolation import PathReference
from openmm_mdgen.analysis.sources import measure
from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.commands.peptides import read_md
from openmm_mdgen.commands.terminal import progress_bar
from openmm_mdgen.data.swarm import Swarm
from openmm_mdgen.exploration import Exploration, Kinetics, Plan
from openmm_mdgen.structure import build_peptide, load_structure, relaxed

sequence, folder, reference = sys.argv[1], sys.argv[2], sys.argv[3:5]
N_ROUNDS, N_STATES = 3, 4
plan = Plan(runs=16, piece=50.0, lagtime=10.0)
topology, built = load_structure(reference[0], seed=0) if reference else build_peptide(sequence, seed=1)
positions = relaxed(topology, built)
generated = TrajectoryGenerator.load().rollout(topology, positions, 3000, seed=1)

exploration = Exploration(Swarm(topology, positions), folder, plan)
while exploration.n_rounds < N_ROUNDS:
    with progress_bar(f"round {exploration.n_rounds + 1}", plan.runs, "runs") as advance:
        kinetics = exploration.round(generated, progress=advance)
    print(f"slowest relaxation {kinetics.timescales[0]} ps; {kinetics.unconnected:.0%} of the frames unconnected")
kinetics = exploration.kinetics()

source = read_md(*reference) if reference else generated
sorted_by = PathReference.fit(source, definitions=Definitions.SOUND, n_clusters=50, n_states=N_STATES)
series = measure(source).torsions
print(f"\n{exploration.nanoseconds:.2f} ns of real MD in {len(exploration.pieces)} runs")
columns = ["explored, then decided", "the same frames without a Markov model", "generated"]
if reference:
    length = round(250.0 / series.known_interval())
    cuts = range(0, series.n_frames - length + 1, length)
    pieces = [TorsionSeries(series.names, series.angles[k : k + length], series.frame_interval) for k in cuts]
    long = Kinetics.of(pieces, lagtime=plan.lagtime, n_microstates=plan.n_microstates)
    columns.insert(0, f"MD, {series.n_frames * series.known_interval() / 1000:g} ns")


def share(state: int, piece: TorsionSeries) -> np.ndarray:
    return sorted_by.label(piece) == state


print(f"\n| | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|")
seen = sorted_by.label(measure(generated).torsions)
for state in range(N_STATES):
    cells = [kinetics.population(lambda p, s=state: share(s, p)), f"{kinetics.raw(lambda p, s=state: share(s, p)):.3g}"]
    cells.append(f"{(seen == state).mean():.3g}")
    if reference:
        cells.insert(0, long.population(lambda p, s=state: share(s, p)))
    print(f"| state {state + 1} | {' | '.join(map(str, cells))} |")
cells = [kinetics.timescales[0], "", ""]
if reference:
    cells.insert(0, long.timescales[0])
print(f"| slowest relaxation, ps | {' | '.join(map(str, cells))} |")
worst = kinetics.need.argsort()[::-1][:3]
print(f"more is needed in microstates {', '.join(map(str, worst))}: {kinetics.need[worst].sum():.0%} of the errors")
