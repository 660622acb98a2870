"""Figures of a protein's ensembles, each as an SVG data URI. Real MD is blue, the generated ensemble orange.

Axes: ``n_frames`` of an ensemble, evenly spaced over its trajectories, ``n_residues``. Lengths in nanometre.
"""

from __future__ import annotations

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from openmm_mdgen.analysis.ensemble_measures import EnsemblePair, fluctuations, secondary_shares
from openmm_mdgen.analysis.ensembles import SECONDARY
from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.report.figures import GENERATED, REFERENCE, STYLE, densities, grid, legend, uri

_SECOND = "#7fa6cc"  # a second MD run
_COLOURS = ("#eceff2", "#a6375e", "#e3b022")  # of `SECONDARY`
_WIDE = 7.4  # inches
_MOST_LABELS = 40  # residues, of which more are numbered by tens
_BINS = 40
_NAMES_ABOVE_EACH_OTHER = 14  # in a panel of secondary structure over time


def fluctuations_by_residue(pair: EnsemblePair, second: EnsemblePair | None) -> str:
    """Draw the root mean square fluctuation of each residue's C-alpha atom; that of a second MD run too."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(_WIDE, 2.6), layout="constrained")
        axes = figure.subplots()
        place = np.arange(len(pair.reference.labels))
        if second is not None:
            axes.plot(place, fluctuations(second.generated), color=_SECOND, lw=1.2, ls="--", label="second MD run")
        axes.plot(place, fluctuations(pair.reference), "o-", ms=3, color=REFERENCE, label="real MD")
        axes.plot(place, fluctuations(pair.generated), "o-", ms=3, color=GENERATED, label="generated")
        axes.set(ylabel="RMSF, nm", ylim=(0, None))
        _residues_along(axes, pair.reference.labels)
        legend(figure, axes)
        return uri(figure)


def secondary_over_time(pair: EnsemblePair) -> str:
    """Draw the secondary structure of each residue in each frame, real MD above the generated ensemble."""
    with mpl.rc_context(STYLE):
        n_residues = len(pair.reference.labels)
        figure = Figure(figsize=(_WIDE, 2 * min(0.8 + 0.07 * n_residues, 3.2) + 0.6), layout="constrained")
        panels = figure.subplots(2, 1)
        for axes, side, title in zip(panels, (pair.reference, pair.generated), ("real MD", "generated"), strict=True):
            assert not isinstance(side.secondary, NotDefined)
            axes.imshow(
                side.secondary.T,
                aspect="auto",
                interpolation="nearest",
                cmap=ListedColormap(_COLOURS),
                vmin=-0.5,
                vmax=len(SECONDARY) - 0.5,
            )
            for border in np.cumsum(side.runs)[:-1]:
                axes.axvline(border - 0.5, color="0.3", lw=0.8)
            axes.set_title(title + (f", {len(side.runs)} trajectories" if len(side.runs) > 1 else ""), loc="left")
            axes.set_ylabel("residue")
            _residue_ticks(side.labels, axes.set_yticks, step=-(-n_residues // _NAMES_ABOVE_EACH_OTHER))
        panels[1].set_xlabel("frame, evenly spaced in time")
        kinds = [Patch(color=colour, label=kind) for colour, kind in zip(_COLOURS, SECONDARY, strict=True)]
        figure.legend(handles=kinds, loc="outside upper right", ncols=3)
        return uri(figure)


def secondary_by_residue(pair: EnsemblePair, second: EnsemblePair | None) -> str:
    """Draw how often each residue is in a helix and in a strand."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(_WIDE, 3.6), layout="constrained")
        panels = figure.subplots(2, 1, sharex=True)
        sides = [(pair.reference, REFERENCE, "real MD", "-"), (pair.generated, GENERATED, "generated", "-")]
        if second is not None:
            sides.insert(0, (second.generated, _SECOND, "second MD run", "--"))
        for code, axes in zip((1, 2), panels, strict=True):
            for side, colour, label, line in sides:
                axes.plot(secondary_shares(side)[:, code], line, color=colour, label=label, drawstyle="steps-mid")
            axes.set(ylabel=f"share in {SECONDARY[code]}", ylim=(-0.03, 1.03))
        _residues_along(panels[1], pair.reference.labels)
        legend(figure, panels[0])
        return uri(figure)


def exposure_by_residue(pair: EnsemblePair) -> str:
    """Draw how often each side chain is exposed to the solvent; those that the structure buries are shaded."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(_WIDE, 2.4), layout="constrained")
        axes = figure.subplots()
        place = np.arange(len(pair.reference.labels))
        for shift, side, colour, label in (
            (-0.2, pair.reference, REFERENCE, "real MD"),
            (0.2, pair.generated, GENERATED, "generated"),
        ):
            assert not isinstance(side.exposed, NotDefined)
            axes.bar(place + shift, side.exposed.mean(axis=0), 0.38, color=colour, label=label)
        assert not isinstance(pair.structure.exposed, NotDefined)
        for k in np.flatnonzero(~pair.structure.exposed[0]):
            if not pair.reference.labels[k].startswith("GLY"):
                axes.axvspan(k - 0.5, k + 0.5, color="0.9", lw=0, zorder=0)
        axes.set(ylabel="share of frames", ylim=(0, 1.03))
        _residues_along(axes, pair.reference.labels)
        legend(figure, axes)
        return uri(figure)


def contact_map(pair: EnsemblePair) -> str:
    """Draw how often each pair of residues is in contact: real MD above the diagonal, generated below."""
    n = len(pair.reference.labels)
    shares = np.full((n, n), np.nan)
    above = np.triu_indices(n, 1)
    shares[above] = pair.reference.contacts.mean(axis=0)
    shares.T[above] = pair.generated.contacts.mean(axis=0)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.4, 3.7), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(np.ma.masked_invalid(shares), cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
        axes.set(xlabel="residue", ylabel="residue", title="above the diagonal real MD, below it generated")
        _residue_ticks(pair.reference.labels, axes.set_yticks, names=False)
        _residue_ticks(pair.reference.labels, axes.set_xticks, names=False)
        figure.colorbar(image, ax=axes, label="share of frames in contact")
        return uri(figure)


def principal_plane(pair: EnsemblePair) -> str:
    """Draw both ensembles on the first two principal components of real MD."""
    mean, components = pair.components
    ours, theirs = ((cloud - mean) @ components.T for cloud in pair.clouds)
    root = np.sqrt(len(pair.reference.labels))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 2.8), layout="constrained")
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, points, others, colour, title in (
            (panels[0], theirs, ours, REFERENCE, "real MD"),
            (panels[1], ours, theirs, GENERATED, "generated"),
        ):
            axes.scatter(*(others / root).T, s=6, color="0.86", lw=0)
            axes.scatter(*(points / root).T, s=9, color=colour, lw=0, alpha=0.7)
            axes.set(title=title, xlabel="PC 1, nm")
        panels[0].set_ylabel("PC 2, nm")
        return uri(figure)


def sizes(pair: EnsemblePair) -> str:
    """Draw the densities of the radius of gyration, and of RMSD from the structure and between frames."""
    quantities = {
        "radius of gyration": lambda side: side.gyration,
        "RMSD from the structure": lambda side: side.rmsd_to_structure,
        "RMSD between frames": lambda side: side.rmsd[np.triu_indices(side.n_frames, 1)],
    }
    with mpl.rc_context(STYLE):
        figure, panels = grid(len(quantities))
        for axes, (name, values_of) in zip(panels, quantities.items(), strict=True):
            values = [values_of(side) for side in (pair.reference, pair.generated)]
            edges = np.histogram_bin_edges(np.concatenate(values), _BINS)
            densities(axes, edges, *(np.histogram(found, edges)[0] for found in values))
            axes.set(title=name, yticks=[])
        legend(figure, panels[0])
        figure.supxlabel("nm", fontsize=9)
        return uri(figure)


def _residues_along(axes: Axes, labels: tuple[str, ...]) -> None:
    axes.set_xlim(-0.5, len(labels) - 0.5)
    _residue_ticks(labels, axes.set_xticks)
    if len(labels) <= _MOST_LABELS:
        axes.tick_params(axis="x", labelrotation=90)
    else:
        axes.set_xlabel("residue")


def _residue_ticks(labels: tuple[str, ...], place: Callable[..., object], *, names: bool = True, step: int = 1) -> None:
    """Every residue, or each of some step, by name where there is room, else each fifth or tenth by its number."""
    if len(labels) <= _MOST_LABELS and names:
        shown = range(0, len(labels), step)
        place(shown, [labels[k].capitalize() for k in shown], fontsize=7)
        return
    step = 5 if len(labels) <= _MOST_LABELS else 10 * -(-len(labels) // (200 if names else 100))
    shown = range(step - 1, len(labels), step)
    place(shown, [labels[k].split()[1] for k in shown], fontsize=7)
