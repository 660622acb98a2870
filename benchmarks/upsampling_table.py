"""Compares autocorrelation functions of torsions within picoseconds: real, upsampled, and along straight lines.

python benchmarks/upsampling_table.py FOLDER [WEIGHTS] [FIGURE.png]

FOLDER holds NAME.pdb and NAME.xtc of real MD with frames as close as those of the weights (0.1 ps). The frames that the
weights ask for are kept, and the others are filled in. For each kind of torsion the script prints the mean absolute
difference from the real autocorrelation function over lags up to 10 ps, twice: for the mean over all torsions of the
kind, and as the mean over single torsions. It draws the means into FIGURE.png (default: upsampling.png).
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.analysis.folders import pairs, read_md
from openmm_mdgen.analysis.kinetics import circular_autocorrelation
from openmm_mdgen.analysis.sources import measure
from openmm_mdgen.analysis.torsions import TorsionSeries
from shared import print_header, print_row, words

given = words(__doc__, 1)
folder = Path(given[0])
weights = given[1] if len(given) > 1 else "upsampling_tetrapeptide"
figure = given[2] if len(given) > 2 else "upsampling.png"
LONGEST = 10.0  # ps
generator = TrajectoryGenerator.load(weights)
factor, interval = generator.flow.config.task.factor, generator.frame_interval
n_lags = round(LONGEST / interval) + 1
curves: dict[str, dict[str, list[np.ndarray]]] = {}


def straight(coarse: TorsionSeries) -> np.ndarray:
    """Angles between the coarse ones, along the shorter arc."""
    turns = np.angle(np.exp(1j * np.diff(coarse.angles, axis=0)))
    share = np.arange(factor)[:, None] / factor
    between = coarse.angles[:-1, None] + share * turns[:, None]  # (n, factor, torsions)
    return np.concatenate([between.reshape(-1, between.shape[-1]), coarse.angles[-1:]])


for k, (top, xtc) in enumerate(pairs(folder).values()):
    md = read_md(top, xtc)
    md = md[: (md.n_frames - 1) // factor * factor + 1]
    real = measure(md).torsions
    made = measure(generator.upsample(md[::factor], seed=k)).torsions.ordered(real.names)
    kinds = {"real": real.angles, "upsampled": made.angles, "straight lines": straight(real.every(factor))}
    for column, name in enumerate(real.names):
        of_kind = curves.setdefault(name.split()[0], {})
        for what, angles in kinds.items():
            of_kind.setdefault(what, []).append(circular_autocorrelation(angles[:, column], n_lags))

print(f"{generator.info.name}: mean absolute difference from the real autocorrelation function up to {LONGEST:g} ps\n")
print_header("torsions", "mean: upsampled", "straight lines", "each: upsampled", "straight lines")
shown, axes = plt.subplots(1, len(curves), figsize=(3 * len(curves), 3), sharey=True)
for ax, (kind, of_kind) in zip(np.atleast_1d(axes), curves.items(), strict=True):
    off = {what: np.array(rows)[:, 1:] - np.array(of_kind["real"])[:, 1:] for what, rows in of_kind.items()}
    means = [np.abs(off[what].mean(axis=0)).mean() for what in ("upsampled", "straight lines")]
    each = [np.abs(off[what]).mean() for what in ("upsampled", "straight lines")]
    print_row(f"{kind} ({len(of_kind['real'])})", *(f"{value:.4f}" for value in [*means, *each]))
    for what, rows in of_kind.items():
        ax.semilogx(interval * np.arange(1, n_lags), np.mean(rows, axis=0)[1:], label=what)
    ax.set(title=kind, xlabel="lag, ps")
axes = np.atleast_1d(axes)
axes[0].set_ylabel("autocorrelation")
axes[-1].legend(frameon=False)
shown.tight_layout()
shown.savefig(figure, dpi=150)
