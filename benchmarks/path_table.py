"""Scores generated transition paths by long MD, beside paths of Markov models of shorter MD (the paper's figure 3).

python benchmarks/path_table.py LONG SHORT [WEIGHTS] [N_PATHS]

LONG and SHORT are folders with NAME.pdb and NAME.xtc of the same peptides, from independent runs, with a frame each
picosecond. States are found in LONG. Paths lead between the two states with the smallest flux that is not zero; their
ends are frames drawn from these states. N_PATHS (default 100) are generated for each peptide.
"""

from pathlib import Path

import mdtraj
import numpy as np
from openmm import app

from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.analysis import NotDefined, UndefinedError
from openmm_mdgen.analysis.folders import pairs, read_md
from openmm_mdgen.analysis.paths import PathScores
from shared import print_header, print_row, shown, states_of, words

given = words(__doc__, 2)
long, short = map(Path, given[:2])
weights, n_paths = given[2] if len(given) > 2 else "interpolation_tetrapeptide", int((given[3:] or ["100"])[0])
PAIRS = 20  # pairs of ends, each with as many paths
LENGTHS = (200.0, 500.0, 1000.0, 2000.0)  # ps of the shorter MD
generator = TrajectoryGenerator.load(weights)
rows: dict[str, list[PathScores]] = {}


def ends_met(path: mdtraj.Trajectory, ends: mdtraj.Trajectory) -> float:
    """The larger heavy-atom deviation of the two ends after superposition, nm."""
    heavy = path.topology.select("element != H")
    return max(float(mdtraj.rmsd(path[i], ends[k], atom_indices=heavy)[0]) for k, i in ((0, 0), (1, -1)))


worst = 0.0
print_header("peptide", "what", "JSD", "possible", "probability")
for name, (top, xtc) in pairs(long).items():
    md = read_md(top, xtc)
    topology = app.PDBFile(str(top)).topology
    try:
        reference = states_of(top, xtc)
    except UndefinedError as error:
        print_row(name, f"no states: {error}", "", "", "")
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
        print_row(name, what, shown(scores.jsd), f"{scores.valid_rate:.2f}", f"{scores.mean_probability:.2e}")
print(f"\nends: at most {worst:.4f} nm away\n")
print_header("mean", "JSD", "possible", "probability", "without a path")
for what, several in rows.items():
    known = [s.jsd for s in several if not isinstance(s.jsd, NotDefined)]
    rates, probabilities = ([getattr(s, key) for s in several] for key in ("valid_rate", "mean_probability"))
    jsd = shown(np.mean(known) if known else None)
    print_row(what, jsd, f"{np.mean(rates):.2f}", f"{np.mean(probabilities):.2e}", str(len(several) - len(known)))
