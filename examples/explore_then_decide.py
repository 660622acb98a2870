"""Starts short runs of real MD where the generator says a molecule may go, and gets populations from them.

    python examples/explore_then_decide.py SEQUENCE FOLDER [REFERENCE] [--quick]

Takes hours on two CPU cores: nine rounds, about 30 ns of real MD; a minute with --quick, which decides nothing. The
rounds of short real MD are kept in FOLDER; the same command goes on where it was stopped. The first round starts from
generated frames, later ones start where populations are least certain. A Markov model of the real runs gives the
populations of metastable states and the slowest relaxation time, with intervals of 95 %. REFERENCE is a folder of long
runs of the sequence, such as `openmm-mdgen simulate SEQUENCE --replicas 8 --time 5ns --out REFERENCE` writes. With it,
the states are those of the long runs, and a column of the table is for them.
"""

import argparse
import sys
from pathlib import Path

import mdtraj
import numpy as np

from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.analysis import Definitions, UndefinedError
from openmm_mdgen.analysis.folders import read_md
from openmm_mdgen.analysis.folders import replicas as replicas_in
from openmm_mdgen.analysis.interpolation import PathReference
from openmm_mdgen.analysis.sources import measure
from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.exploration import Exploration, Kinetics, Plan
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.structures import load_structure
from openmm_mdgen.md.swarm import Swarm
from openmm_mdgen.md.systems import relaxed
from openmm_mdgen.progress import progress_bar

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("sequence", help="one-letter codes, such as CACS")
parser.add_argument("folder", type=Path, help="where the runs are kept")
parser.add_argument("reference", type=Path, nargs="?", help="folder of long runs")
parser.add_argument("--quick", action="store_true", help="one round of runs of 20 ps")
options = parser.parse_args(sys.argv[1:] or ["--help"])
sequence, folder = options.sequence, options.folder
N_ROUNDS, N_STATES, N_GENERATED = (1, 2, 300) if options.quick else (9, 5, 3000)
plan = Plan(runs=16, piece=20.0, frame_interval=0.5, lagtime=1.0, n_microstates=2) if options.quick else Plan()
replicas: list[tuple[Path, Path]] = []  # topology and trajectory of each long run
if options.reference:
    found = replicas_in(options.reference)
    if sequence not in found:
        sys.exit(f"{options.reference} has runs of {', '.join(found)}, and none of {sequence}")
    replicas = found[sequence]
topology, built = load_structure(replicas[0][0], seed=0) if replicas else build_peptide(sequence, seed=1)
positions = relaxed(topology, built)
generated = TrajectoryGenerator.load().rollout(topology, positions, N_GENERATED, seed=1)

swarm = Swarm(topology, positions, n_places=8) if options.quick else Swarm(topology, positions)
exploration = Exploration(swarm, folder, plan)
while exploration.n_rounds < N_ROUNDS:
    with progress_bar(f"round {exploration.n_rounds + 1}", plan.runs, "runs") as advance:
        kinetics = exploration.round(generated, progress=advance)
    print(f"slowest relaxation {kinetics.timescales[0]} ps; {kinetics.unconnected:.0%} of the frames unconnected")
kinetics = exploration.kinetics()

long = [read_md(*files) for files in replicas]
shown = mdtraj.join(long) if long else generated  # the trajectory whose states are found
shown.time = shown.timestep * np.arange(shown.n_frames)
sorted_by = PathReference.fit(shown, definitions=Definitions.SOUND, n_clusters=50, n_states=N_STATES)
columns = {"explored, then decided": kinetics}
try:
    twice = Kinetics.of(kinetics.pieces, lagtime=2 * plan.lagtime, n_microstates=plan.n_microstates)
    columns["the same at twice the lag time"] = twice
except UndefinedError as error:
    print(f"nothing at twice the lag time: {error}")
if long:
    runs = [measure(run).torsions for run in long]
    n = min(runs[0].frames_in(1000.0), *(run.n_frames for run in runs))  # of pieces of 1 ns, or of shorter runs
    cut = [TorsionSeries(r.names, r.angles[k : k + n], r.frame_interval) for r in runs for k in range(0, r.n_frames, n)]
    length = f"MD, {sum(piece.n_frames for piece in cut) * runs[0].known_interval() / 1000:.3g} ns"
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
