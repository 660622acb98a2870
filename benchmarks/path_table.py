"""Generated transition paths beside those of Markov models of shorter MD, scored by long MD (the paper's figure 3).

python benchmarks/path_table.py LONG SHORT [WEIGHTS] [N_PATHS]

LONG and SHORT are folders with NAME.pdb and NAME.xtc of the same peptides, two independent runs of each, a frame a
picosecond. States are found in LONG; paths go between the two states with the least flux that is not zero, from and to
frames drawn from them.
"""

import sys
from pathlib import Path

import mdtraj
import numpy as np
from openmm import app

from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.analysis import Definitions, NotDefined, TrajectoryFile, UndefinedError
from openmm_mdgen.analysis.folders import pairs, read_md
from openmm_mdgen.analysis.interpolation import PathReference
from openmm_mdgen.analysis.paths import PathScores

long, short = Path(sys.argv[1]), Path(sys.argv[2])
weights, n_paths = sys.argv[3] if len(sys.argv) > 3 else "interpolation_tetrapeptide", int((sys.argv[4:] or ["100"])[0])
PAIRS = 20  # of ends, each with as many paths
LENGTHS = (200.0, 500.0, 1000.0, 2000.0)  # ps of the shorter MD
generator = TrajectoryGenerator.load(weights)
rows: dict[str, list[PathScores]] = {}


def ends_met(path: mdtraj.Trajectory, ends: mdtraj.Trajectory) -> float:
    """The larger heavy-atom deviation of the two ends after superposition, nm."""
    heavy = path.topology.select("element != H")
    return max(float(mdtraj.rmsd(path[i], ends[k], atom_indices=heavy)[0]) for k, i in ((0, 0), (1, -1)))


def told(value: float | NotDefined) -> str:
    return "" if isinstance(value, NotDefined) else f"{value:.3f}"


worst = 0.0
print("| peptide | what | JSD | possible | probability |\n|---|---|---|---|---|")
for name, (top, xtc) in pairs(long).items():
    md = read_md(top, xtc)
    topology = app.PDBFile(str(top)).topology
    try:
        reference = PathReference.fit(
            TrajectoryFile(xtc, top), definitions=Definitions.SOUND, n_clusters=50, n_states=5
        )
    except UndefinedError as error:
        print(f"| {name} | no states: {error} | | | |")
        continue
    rng = np.random.default_rng(0)
    starts, ends = (rng.choice(frames, PAIRS) for frames in reference.end_frames())
    paths = []
    for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
        made = generator.interpolate(topology, md.xyz[start], md.xyz[end], paths=n_paths // PAIRS, seed=k)
        worst = max(worst, *(ends_met(path, md[[start, end]]) for path in made))
        paths += made
    found = {f"{len(paths)} generated": reference.score(paths)}
    replicate = read_md(*pairs(short)[name])
    for length in LENGTHS:
        if length <= replicate.n_frames * replicate.timestep:
            found[f"MD, {length:g} ps"] = reference.score_md(replicate, time=length)
    for what, scores in found.items():
        rows.setdefault(what, []).append(scores)
        print(
            f"| {name} | {what} | {told(scores.jsd)} | {scores.valid_rate:.2f} | {scores.mean_probability:.2e} |",
            flush=True,
        )
print(
    f"\nends: at most {worst:.4f} nm away\n\n"
    "| mean | JSD | possible | probability | without a path |\n|---|---|---|---|---|"
)
for what, several in rows.items():
    known = [s.jsd for s in several if not isinstance(s.jsd, NotDefined)]
    rates, probabilities = ([getattr(s, key) for s in several] for key in ("valid_rate", "mean_probability"))
    jsd = f"{np.mean(known):.3f}" if known else ""
    print(f"| {what} | {jsd} | {np.mean(rates):.2f} | {np.mean(probabilities):.2e} | {len(several) - len(known)} |")
