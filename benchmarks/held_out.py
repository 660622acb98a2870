"""What weights of any task generate for real MD that they have not seen, beside what other real MD would give.

python benchmarks/held_out.py FOLDER WEIGHTS

FOLDER holds NAME.pdb and NAME.xtc of one peptide each, or a folder of that name with both. Prints a figure for each, by
the task: torsion distances of what is generated (0 equal, 0.83 disjoint), or the share of wrong residue types. *Real*
is the same figure between that MD and itself, where it has a meaning.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from openmm_mdgen.data import read_folders
from openmm_mdgen.model import checkpoints
from openmm_mdgen.training.validation import HeldOut, figure_for

folder, weights = Path(sys.argv[1]), sys.argv[2]
torch.manual_seed(0)
flow, info = checkpoints.load(weights)
recordings = read_folders([folder])
held_out = HeldOut(recordings, info.n_frames, info.frame_interval, seed=1)
figure = figure_for(flow.config.task)

print(f"{info.name}: {figure.name}\n\n| peptide | generated | real |\n|---|---|---|")
rows = []
for recording, windows, ours in zip(recordings, held_out.windows, held_out.figures(flow), strict=True):
    rows.append((ours, figure.floor(windows, held_out.seed)))
    print(f"| {recording.name} | {ours:.3f} | {'' if rows[-1][1] is None else f'{rows[-1][1]:.3f}'} |")
ours, theirs = zip(*rows, strict=True)
print(f"| mean | {np.mean(ours):.3f} | {'' if theirs[0] is None else f'{np.mean(theirs):.3f}'} |")
