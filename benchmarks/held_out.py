"""Measures weights of any task on peptides that they were not trained on, by the figure that validates their training.

python benchmarks/held_out.py FOLDER WEIGHTS

FOLDER holds NAME.pdb and NAME.xtc of each peptide, or a folder of that name with both. For design weights the figure is
the share of residue types that are wrong. For weights of other tasks it is the distance between torsion distributions
of generated and of real frames: 0 where they are equal, 0.83 where they are disjoint. The column "real" has the
same distance between two samples of the real frames.
"""

from pathlib import Path

import numpy as np
import torch

from openmm_mdgen.data import read_folders
from openmm_mdgen.model import checkpoints
from openmm_mdgen.training.validation import HeldOut, figure_for
from shared import print_header, print_row, shown, words

folder, weights = words(__doc__, 2)[:2]
torch.manual_seed(0)
flow, info = checkpoints.load(weights)
recordings = read_folders([Path(folder)])
held_out = HeldOut(recordings, info.n_frames, info.frame_interval, seed=1)
figure = figure_for(flow.config.task)

print(f"{info.name}: {figure.name}\n")
print_header("peptide", "generated", "real")
rows = []
for recording, windows, ours in zip(recordings, held_out.windows, held_out.figures(flow), strict=True):
    rows.append((ours, figure.floor(windows, held_out.seed)))
    print_row(recording.name, *map(shown, rows[-1]))
ours, theirs = zip(*rows, strict=True)
print_row("mean", shown(np.mean(ours)), shown(None if theirs[0] is None else np.mean(theirs)))
