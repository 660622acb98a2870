"""Measures how many evaluations of the network a flow needs: solvers with fixed steps against dopri5.

python benchmarks/evaluations.py WEIGHTS FOLDER

WEIGHTS is a name or a file, and FOLDER holds NAME.pdb and NAME.xtc of real MD. Windows of each peptide are generated
from their known frames, by every solver from the same noise. The truth is dopri5 at a relative tolerance of 1e-5; the
row "dopri5" has the tolerance at which the published program samples, 1e-3.

- error: root mean square difference of tokens from the truth, in units of the tokens; then as a share of the standard
  deviation of the true tokens of different windows.
- distance, of steps: square root of the Jensen-Shannon divergence between generated and real torsions, and between
  their changes from frame to frame; a mean over torsions and peptides.
- more than dopri5: the difference of these distances from those of the row "dopri5", with the middle 95 % of the
  differences over draws of the windows with replacement. The rows above have half of that interval of their distances.
- same: no more than half of the interval of dopri5's own distance lies between the two, for both distances.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from openmm_mdgen.analysis.distances import FULL_TURN, N_BINS, js_distance
from openmm_mdgen.data import Recording, Windows, read_folders
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.flow import TrajectoryFlow
from openmm_mdgen.model.ode import SOLVERS, DormandPrince, OdeSolver
from openmm_mdgen.model.tokens import Frames
from shared import print_header, print_row

DEFAULT = "euler:10,20 midpoint:10,12,20 heun:12,20 rk4:12,20 multistep:10,12,14,16,20"
N_DRAWS = 400  # with replacement
_TURNS = np.linspace(*FULL_TURN, N_BINS + 1)


@dataclass(frozen=True, eq=False)
class Peptide:
    """Windows of one molecule, their noise, and the histograms of its MD."""

    frames: Frames  # B windows
    noise: Tensor  # (B, T, L, D)
    real: tuple[np.ndarray, np.ndarray]  # (n_torsions, n_bins) each: torsions, and their changes


@dataclass(frozen=True, eq=False)
class Solved:
    """What a solver made of all peptides."""

    tokens: list[Tensor]  # for each peptide, (B, n): those that are generated
    counts: list[tuple[np.ndarray, np.ndarray]]  # for each peptide, (B, n_torsions, n_bins) each
    evaluations: float  # mean of the peptides
    seconds: float  # for one segment


def peptide(recording: Recording, flow: TrajectoryFlow, interval: float, n_windows: int, seed: int) -> Peptide:
    """Draw windows and noise."""
    n_frames, width = flow.config.network.n_frames, flow.config.network.token_width
    windows = Windows([recording], n_frames=n_frames, frame_interval=interval, time_reversal=False)
    frames = windows.batch(n_windows, np.random.default_rng(seed))
    noise = torch.randn(*frames.rigids.shape, width, generator=torch.Generator().manual_seed(seed))
    torsions = recording.frames.torsions[:, :: windows.strides[0]]
    real = tuple(counts.sum(0) for counts in histograms(torsions, frames.torsion_mask[0]))
    return Peptide(frames, noise, (real[0], real[1]))


def histograms(torsions: Tensor, mask: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Counts (B, n_torsions, n_bins) of torsions (B, T, L, 7, 2) and of their changes from frame to frame."""
    exists = mask > 0
    exists[:, 0] = False  # pre-omega, which hardly moves
    angles = torch.atan2(torsions[..., 0], torsions[..., 1])[:, :, exists].double()  # (B, T, n_torsions)
    changes = torch.remainder(angles.diff(dim=1) + np.pi, 2 * np.pi) - np.pi
    return _counted(angles.numpy()), _counted(changes.numpy())


def _counted(angles: np.ndarray) -> np.ndarray:
    bins = np.clip(np.digitize(angles, _TURNS) - 1, 0, N_BINS - 1)
    return (bins[..., None] == np.arange(N_BINS)).sum(axis=1)


def solved(flow: TrajectoryFlow, peptides: list[Peptide], solver: OdeSolver) -> Solved:
    """Generate all windows by a solver."""
    tokens, counts, evaluations, start = [], [], [], time.process_time()
    for molecule in peptides:
        sample = flow.sample(molecule.frames, molecule.noise, solver)
        evaluations.append(sample.evaluations)
        known = flow.config.task.condition_mask(molecule.frames.n_frames, molecule.frames.aatype.shape[1])
        free = flow.config.tokenizer.channel_mask(molecule.frames)[0] * (1 - known.float())[..., None]  # (T, L, D)
        tokens.append(sample.tokens[:, free > 0])
        _, torsions = flow.config.tokenizer.decode(sample.tokens, molecule.frames.rigids[:, 0])
        counts.append(histograms(torsions, molecule.frames.torsion_mask[0]))
    seconds = (time.process_time() - start) / sum(len(molecule.noise) for molecule in peptides)
    return Solved(tokens, counts, float(np.mean(evaluations)), seconds)


def error(ours: Solved, truth: Solved) -> tuple[float, float]:
    """Root mean square error of tokens in their own units, and over the standard deviation of the true ones."""
    pairs = [(a.double(), b.double()) for a, b in zip(ours.tokens, truth.tokens, strict=True)]
    square = float(np.mean([float((a - b).square().mean()) for a, b in pairs]))
    variance = float(np.mean([float(b.var(0).mean()) for _, b in pairs]))
    return square**0.5, (square / variance) ** 0.5


def distances(found: Solved, peptides: list[Peptide], draws: list[np.ndarray]) -> np.ndarray:
    """Distance of torsions and of their changes for each draw of windows, (n_draws, 2)."""
    means = []
    for molecule, both, weights in zip(peptides, found.counts, draws, strict=True):
        of_kinds = [
            js_distance(np.tensordot(weights, counts, axes=1), real).mean(axis=-1)
            for counts, real in zip(both, molecule.real, strict=True)
        ]
        means.append(np.stack(of_kinds, axis=-1))
    return np.mean(means, axis=0)


def drawn(peptides: list[Peptide], seed: int) -> list[np.ndarray]:
    """How often each window counts, (1 + N_DRAWS, B) for each peptide: once in the first row."""
    rng = np.random.default_rng(seed)
    found = []
    for molecule in peptides:
        n = len(molecule.noise)
        found.append(np.concatenate([np.ones((1, n)), rng.multinomial(n, np.full(n, 1 / n), size=N_DRAWS)]))
    return found


def solvers(text: str) -> list[tuple[str, OdeSolver]]:
    """Solvers of a text such as ``euler:10,20 multistep:12``."""
    found: list[tuple[str, OdeSolver]] = []
    for part in text.split():
        name, _, numbers = part.partition(":")
        found += [(name, SOLVERS[name](int(number))) for number in numbers.split(",")]  # type: ignore[call-arg]
    return found


def cells(values: np.ndarray, reference: np.ndarray) -> tuple[list[str], bool]:
    """Distances with their difference from the reference's, and whether that is nothing."""
    texts, same = [], True
    for ours, theirs in zip(values.T, reference.T, strict=True):
        more = ours - theirs
        low, high = np.percentile(more[1:], [2.5, 97.5])
        same &= bool(abs(more[0]) < _half(theirs[1:]))
        texts += [f"{ours[0]:.4f}", f"{more[0]:+.4f} ({low:+.4f} to {high:+.4f})"]
    return texts, same


def _half(values: np.ndarray) -> float:
    """Half of the interval that the middle 95 % of the values span."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(high - low) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", help="name or file of weights")
    parser.add_argument("folder", type=Path, help="folder of real MD")
    parser.add_argument(
        "--peptides", type=int, default=8, help="how many molecules of the folder are used, evenly spaced"
    )
    parser.add_argument("--windows", type=int, default=16, help="windows of each")
    parser.add_argument("--solvers", default=DEFAULT, help="such as 'euler:10,20 multistep:12'")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    flow, info = checkpoints.load(options.weights)
    recordings = [r for r in read_folders([options.folder]) if flow.config.network.takes(len(r.sequence))]
    kept = np.unique(np.linspace(0, len(recordings) - 1, options.peptides).round().astype(int))
    chosen = [recordings[k] for k in kept]
    peptides = [peptide(r, flow, info.frame_interval, options.windows, options.seed + k) for k, r in enumerate(chosen)]
    draws = drawn(peptides, options.seed)
    n = sum(p.numel() for p in flow.parameters())
    print(
        f"{info.name}: {n:,} parameters, {info.n_frames} frames of {info.frame_interval:g} ps, {options.windows} "
        f"windows of each of {', '.join(r.name for r in chosen)}\n"
    )
    truth = solved(flow, peptides, DormandPrince(1e-5, 1e-6))
    adaptive = solved(flow, peptides, DormandPrince())
    reference = distances(adaptive, peptides, draws)
    more = "more than dopri5"
    columns = ["error", "share of deviation", "distance", more, "of steps", more, "same", "seconds a segment"]
    print_header("solver", "evaluations", *columns)
    for name, found in (("truth", truth), ("dopri5", adaptive)):
        measured = distances(found, peptides, draws)
        texts = [text for column in measured.T for text in (f"{column[0]:.4f}", f"± {_half(column[1:]):.4f}")]
        errors = [f"{e:.4f}" for e in error(found, truth)]
        print_row(name, f"{found.evaluations:.0f}", *errors, *texts, "", f"{found.seconds:.3f}")
    for name, solver in solvers(options.solvers):
        found = solved(flow, peptides, solver)
        texts, same = cells(distances(found, peptides, draws), reference)
        errors = [f"{e:.4f}" for e in error(found, truth)]
        told = "yes" if same else "no"
        print_row(name, f"{found.evaluations:.0f}", *errors, *texts, told, f"{found.seconds:.3f}")


if __name__ == "__main__":
    main()
