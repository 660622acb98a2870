"""Measures what each departure from the published model brings, on pairs of small networks that differ in it alone.

python benchmarks/before_after.py OUT TRAIN FINE HELD_OUT HELD_OUT_FINE [STEPS]

TRAIN and HELD_OUT are folders of real MD with a frame each picosecond, FINE and HELD_OUT_FINE with one each 0.1 ps. The
networks are trained in OUT for STEPS steps (default 400) from the same seed. Two figures are measured on the held-out
peptides: the distance between the torsions of generated and of real frames (0 where the distributions are equal, 0.83
where they are disjoint), and the share of designed residues that are right, which is measured on the training peptides
too.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from openmm_mdgen.data import Recording, Windows, held_out_sequences, read_folders
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.flow import TrajectoryFlow
from openmm_mdgen.training import TrainingConfig, train
from openmm_mdgen.training.initial_flow import new_flow
from openmm_mdgen.training.validation import HeldOut, generate
from shared import print_header, print_row, words

given = words(__doc__, 5)
out, folders = Path(given[0]), [read_folders([f]) for f in given[1:5]]
steps = int(given[5]) if len(given) > 5 else 400
coarse, fine, unseen, unseen_fine = folders
coarse, fine = ([r for r in rs if r.sequence not in held_out_sequences()] for rs in (coarse, fine))
SMALL = TrainingConfig(steps=steps, batch_size=16, width=64, n_layers=2, n_heads=4, seed=3)
PATHS = replace(SMALL, task="interpolation", n_frames=50, frame_interval=10.0)
FILLED = replace(SMALL, task="upsampling", factor=50, n_frames=51, frame_interval=0.1)
DESIGNED = replace(SMALL, task="inpainting", n_frames=25, frame_interval=4.0)


def trained(name: str, config: TrainingConfig, recordings: list[Recording], **changes: object) -> TrajectoryFlow:
    """Train a flow in OUT/name whose configuration differs by `changes`."""
    torch.manual_seed(config.seed)
    windows = Windows(recordings, n_frames=config.n_frames, frame_interval=config.frame_interval)
    flow = new_flow(config, windows)
    if changes:
        other = TrajectoryFlow(replace(flow.config, **changes))
        other.load_state_dict(flow.state_dict())
        flow = other
    info = ModelInfo(name, config.n_frames, config.frame_interval, 350.0)
    return checkpoints.load(train(recordings, out / name, config, info, flow=flow, progress=False))[0]


def figure(flow: TrajectoryFlow, config: TrainingConfig, recordings: list[Recording]) -> float:
    """The mean of the task's figure over the recordings."""
    return float(np.mean(HeldOut(recordings, config.n_frames, config.frame_interval, seed=1).figures(flow)))


def at_the_seam(flow: TrajectoryFlow, config: TrainingConfig) -> float:
    """Root-mean-square change of torsions onto the next given frame, over that of all other steps; 1 shows no seam."""
    ratios = []
    for recording in unseen_fine:
        windows = Windows([recording], n_frames=config.factor + 1, frame_interval=config.frame_interval)
        real = windows.batch(16, np.random.default_rng(0))
        shown = replace(real, rigids=real.rigids[:, : config.n_frames], torsions=real.torsions[:, : config.n_frames])
        made = generate(flow, shown, torch.Generator().manual_seed(0)).torsions
        made = torch.cat([made[:, : config.factor], real.torsions[:, config.factor :]], dim=1)
        cos = (made[:, 1:] * made[:, :-1]).sum(-1).clamp(-1, 1)  # (B, T - 1, L, 7)
        squared = cos.acos().square() * real.torsion_mask[:, None]
        ratios.append(float((squared[:, -1].mean() / squared[:, :-1].mean()).sqrt()))
    return float(np.mean(ratios))


def row(choice: str, measured: str, before: float, after: float) -> None:
    print_row(choice, measured, f"{before:.3f}", f"{after:.3f}")


print_header("choice", "measured", "before", "after")
after = trained("held", PATHS, coarse)
before = trained("noised", PATHS, coarse, hold_known=False)
row("known frames kept", "distance between the ends", figure(before, PATHS, unseen), figure(after, PATHS, unseen))

lags = replace(PATHS, time_mixer="bidirectional_hyena")
one_way = replace(PATHS, time_mixer="hyena")
flows = trained("one_way", one_way, coarse), trained("two_way", lags, coarse)
row("bidirectional Hyena", "distance between the ends", *(figure(flow, PATHS, unseen) for flow in flows))

open_ended = replace(FILLED, n_frames=FILLED.factor)
flows = trained("open", open_ended, fine), trained("closed", FILLED, fine)
pairs = list(zip(flows, (open_ended, FILLED), strict=True))
row("closing key frame", "distance of torsion steps", *(figure(f, c, unseen_fine) for f, c in pairs))
row("closing key frame", "step onto the next given frame over the ordinary", *(at_the_seam(f, c) for f, c in pairs))

best = trained("design", DESIGNED, coarse)
simplex, task = best.config.simplex, best.config.task
table = TrajectoryFlow(replace(best.config, simplex=replace(simplex, exact=False)))
table.load_state_dict(best.state_dict())
by_frame = trained("by_frame", DESIGNED, coarse, simplex=replace(simplex, per_residue=False))
shown = trained("shown", DESIGNED, coarse, task=replace(task, hides_designed=False))
seen = coarse[:: max(1, len(coarse) // 16)]
for what, other in (("exact Dirichlet factor", table), ("one state a residue", by_frame), ("key frames hidden", shown)):
    for where, recordings in (("trained on", seen), ("unseen", unseen)):
        right = [1 - figure(flow, DESIGNED, recordings) for flow in (other, best)]
        row(what, f"right residues, peptides {where}", *right)
