"""Counts how often a designed residue is the one of the peptide whose motion was given, beside chance.

python benchmarks/design_table.py FOLDER WEIGHTS [MORE_WEIGHTS ...]

FOLDER holds NAME.pdb and NAME.xtc of peptides that none of the weights were trained on, with a frame each picosecond.
Windows are drawn at random, and where the busiest transition between two metastable states happens (the paper's
high-flux windows). Two lines stand for comparison: a residue drawn at random, and leucine everywhere, which is the most
frequent residue of proteins.
"""

import sys
from pathlib import Path

import mdtraj
import numpy as np

from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.analysis import Definitions, UndefinedError
from openmm_mdgen.analysis.design import design_recovery
from openmm_mdgen.analysis.folders import pairs, read_md
from openmm_mdgen.analysis.markov import busiest_transition, flux_matrix
from shared import print_header, print_row, states_of, words

given = words(__doc__, 2)
folder, N_WINDOWS, N_SAMPLES = Path(given[0]), 20, 5
peptides = {name: (read_md(*files), files) for name, files in pairs(folder).items()}


def high_flux_starts(files: tuple[Path, Path], length: int) -> np.ndarray:
    """The first frames of those windows of `length` frames that begin and end as the busiest transition does."""
    reference = states_of(*files)
    coarse = reference.states.coarse
    flux = flux_matrix(coarse.transition, coarse.stationary, definitions=Definitions.SOUND)
    start, end = (int(coarse.active[k]) for k in busiest_transition(flux))
    labels = reference.states.labels
    return np.flatnonzero((labels[: -length + 1] == start) & (labels[length - 1 :] == end))


def sequences(generator: TrajectoryGenerator, md: mdtraj.Trajectory, starts: np.ndarray, length: int) -> list[str]:
    return [
        design.sequence
        for seed, start in enumerate(starts)
        for design in generator.inpaint(md[start : start + length], samples=N_SAMPLES, seed=seed, accept_chance=True)
    ]


print_header("weights", "windows", "right", "right, majority", "peptides")
for weights in given[1:]:
    generator = TrajectoryGenerator.load(weights)
    length = round((generator.info.n_frames - 1) * generator.frame_interval) + 1
    found: dict[str, list] = {"random": [], "high flux": []}
    for name, (md, files) in peptides.items():
        rng = np.random.default_rng(0)
        windows = {"random": np.arange(md.n_frames - length + 1)}
        try:
            windows["high flux"] = high_flux_starts(files, length)
        except UndefinedError as error:
            print(f"{name}: no states, {error}", file=sys.stderr)
        for kind, candidates in windows.items():
            if len(candidates):
                starts = rng.choice(candidates, N_WINDOWS)
                made = sequences(generator, md, starts, length)
                found[kind].append(design_recovery(made, name[:4], definitions=Definitions.SOUND))
    for kind, rows in found.items():
        right, majority = (np.mean([getattr(r, key) for r in rows]) for key in ("designed", "majority_designed"))
        print_row(generator.info.name, kind, f"{right:.3f}", f"{majority:.3f}", str(len(rows)))
inner = [letter for name in peptides for letter in name[1:3]]
print_row("chance", "", "0.050", "", "")
print_row("always L", "", f"{np.mean([letter == 'L' for letter in inner]):.3f}", "", "")
