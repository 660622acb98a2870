"""Figures of a comparison, each as an SVG data URI. The reference is blue, the generated trajectory orange.

Angles in radian as given, drawn in degrees. Drawn without pyplot: no state is left behind, no display is needed.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from openmm_mdgen.analysis.equivalent import EquivalentTime
from openmm_mdgen.analysis.kinetics import Curve
from openmm_mdgen.analysis.results import Relaxation, States
from openmm_mdgen.analysis.surfaces import Surface
from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.analysis.validity import Histogram

REFERENCE, GENERATED = "#2f5d8a", "#d9662b"
STYLE: dict = {
    "svg.fonttype": "path",
    "svg.hashsalt": "openmm_mdgen",  # one input, one file
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "legend.frameon": False,
}
_DEEPEST = 7.0  # kT, the most that the colour scale spans
_COLUMNS = 4  # of small panels
_FLOOR = 0.6  # of the smallest share seen, where a state without frames is drawn


def surface_pair(surface: Surface, *, angles: bool) -> str:
    """Draw the free energies of reference and generated trajectory side by side, on one scale."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 2.5), layout="constrained")
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        scale = np.degrees if angles else np.asarray
        x, y = scale(surface.x_edges), scale(surface.y_edges)
        energies = np.concatenate([surface.reference, surface.generated])
        deepest = min(_DEEPEST, energies[np.isfinite(energies)].max())
        for axes, energy, title in zip(
            panels, (surface.reference, surface.generated), ("real MD", "generated"), strict=True
        ):
            image = axes.imshow(
                np.ma.masked_invalid(energy).T,
                origin="lower",
                extent=(x[0], x[-1], y[0], y[-1]),
                aspect="equal" if angles else "auto",
                interpolation="nearest",
                cmap="viridis",
                vmin=0,
                vmax=max(deepest, 1),
            )
            axes.set(title=title, xlabel=_axis(surface.names[0]), facecolor="0.93")
            if angles:
                axes.set(xticks=range(-180, 181, 90), yticks=range(-180, 181, 90))
        panels[0].set_ylabel(_axis(surface.names[1]))
        figure.colorbar(image, ax=list(panels), label="free energy, kT", extend="max")
        return uri(figure)


def torsion_histograms(generated: dict[str, np.ndarray], reference: dict[str, np.ndarray], names: Sequence[str]) -> str:
    """Draw the densities of torsions.

    Parameters
    ----------
    generated, reference : dict of str to (100,) int
        Counts over (-pi, pi), by torsion.
    names : sequence of str
        The torsions to draw.

    Returns
    -------
    str
        Data URI of an SVG file, as of every function here.
    """
    with mpl.rc_context(STYLE):
        figure, panels = grid(len(names))
        edges = np.linspace(-180, 180, 101)
        for axes, name in zip(panels, names, strict=True):
            densities(axes, edges, reference[name], generated[name])
            axes.set(title=readable(name), xlim=(-180, 180), xticks=(-180, -90, 0, 90, 180), yticks=[])
        legend(figure, panels[0])
        figure.supxlabel("degrees", fontsize=9)
        return uri(figure)


def decorrelation(relaxations: dict[str, Relaxation]) -> str:
    """Draw autocorrelation functions, with a line at 1/e; those that are not defined are left out."""
    found = [c for r in relaxations.values() for c in (r.reference_curve, r.generated_curve) if isinstance(c, Curve)]
    times = [curve.times[[1, -1]] for curve in found] or [np.array([1.0, 10.0])]  # lag 0 has no place on the axis
    with mpl.rc_context(STYLE):
        figure, panels = grid(len(relaxations))
        for axes, (name, relaxation) in zip(panels, relaxations.items(), strict=True):
            axes.set(title=readable(name), xscale="log", xlim=(np.min(times), np.max(times)), ylim=(-0.45, 1.05))
            axes.axhline(np.exp(-1), color="0.6", lw=0.7, ls=":")
            axes.axhline(0, color="0.8", lw=0.7)
            for curve, colour, label in (
                (relaxation.reference_curve, REFERENCE, "real MD"),
                (relaxation.generated_curve, GENERATED, "generated"),
            ):
                drawn = curve if isinstance(curve, Curve) else Curve(np.empty(0), np.empty(0))
                axes.plot(drawn.times[1:], drawn.values[1:], color=colour, label=label, lw=1.3)
        legend(figure, panels[0])
        figure.supxlabel("time, ps", fontsize=9)
        return uri(figure)


def occupancies(states: States) -> str:
    """Draw the share of each metastable state, generated against reference."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6, 3.4), layout="constrained")
        axes = figure.subplots()
        theirs, ours = states.reference_shares, states.generated_shares
        seen = np.concatenate([theirs[theirs > 0], ours[ours > 0]])
        low, high = seen.min() * _FLOOR**2, 1.3
        visited = ours > 0
        axes.plot([low, high], [low, high], color="0.7", lw=0.8)
        axes.scatter(theirs[visited], ours[visited], color=GENERATED, zorder=3)
        axes.scatter(
            theirs[~visited],
            np.full((~visited).sum(), seen.min() * _FLOOR),
            marker="v",
            facecolor="none",
            edgecolor=GENERATED,
            label="never visited" if (~visited).any() else None,
        )
        for k in np.flatnonzero(visited):
            axes.annotate(str(k), (theirs[k], ours[k]), xytext=(4, 3), textcoords="offset points", fontsize=7)
        if (~visited).any():
            axes.legend(loc="upper left")
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
        axes.set(xlabel="share of frames, real MD", ylabel="share of frames, generated")
        return uri(figure)


def equivalent_time(equivalent: EquivalentTime) -> str:
    """Draw the torsion distance of real MD against its length, and that of the generated trajectory."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.0), layout="constrained")
        axes = figure.subplots()
        axes.plot(equivalent.lengths, equivalent.distances, "o-", color=REFERENCE, ms=3, label="real MD of that length")
        axes.axhline(equivalent.distance, color=GENERATED, label="generated")
        if not isinstance(equivalent.time, NotDefined):
            axes.axvline(equivalent.time, color="0.5", lw=0.8, ls=":")
            if not isinstance(equivalent.low, NotDefined) and not isinstance(equivalent.high, NotDefined):
                axes.axvspan(equivalent.low, equivalent.high, color=GENERATED, alpha=0.15, lw=0, label="95 % interval")
        axes.set(xscale="log", xlabel="length of real MD, ps", ylabel="torsion distance to the reference")
        axes.set_ylim(bottom=0)
        axes.legend()
        return uri(figure)


def geometry(generated: dict[str, Histogram], reference: dict[str, Histogram], edges: np.ndarray, unit: str) -> str:
    """Draw the densities of bond lengths or angles by elements.

    Parameters
    ----------
    generated, reference : dict of str to Histogram
    edges : (121,)
        Edges of the bins.
    unit : str

    Returns
    -------
    str
    """
    names = [name for name in reference if name in generated]
    with mpl.rc_context(STYLE):
        figure, panels = grid(len(names))
        for axes, name in zip(panels, names, strict=True):
            counts = reference[name].counts, generated[name].counts
            densities(axes, edges, *counts)
            filled = np.flatnonzero(counts[0] + counts[1])
            axes.set(title=name, xlim=(edges[max(filled[0] - 2, 0)], edges[min(filled[-1] + 3, 120)]), yticks=[])
        legend(figure, panels[0])
        figure.supxlabel(unit, fontsize=9)
        return uri(figure)


def energies(generated: np.ndarray, reference: np.ndarray) -> str:
    """Draw the densities of energies, kJ/mol; what lies far above real MD is counted in the last bin."""
    low, high = min(generated.min(), reference.min()), reference.max() + max(np.ptp(reference), 1)
    edges = np.linspace(low, high, 41)
    counts = [np.histogram(np.clip(values, low, high), edges)[0] for values in (reference, generated)]
    with mpl.rc_context(STYLE):
        figure, panels = grid(1)
        densities(panels[0], edges, *counts)
        panels[0].set(yticks=[], xlabel="potential energy, kJ/mol")
        legend(figure, panels[0])
        return uri(figure)


def readable(name: str) -> str:
    """The name as chemists write it, ``"φ ALA 2"`` for ``"PHI 0 ALA 2"``; chains other than the first are named."""
    parts = name.split()
    if len(parts) != 4:
        return name
    kind, chain, residue, number = parts
    greek = {"PHI": "φ", "PSI": "ψ"}.get(kind, kind.replace("CHI", "χ"))
    return f"{greek} {residue} {number}" + ("" if chain == "0" else f" (chain {chain})")


def _axis(name: str) -> str:
    return f"{readable(name)}, degrees" if len(name.split()) == 4 else name


def grid(n: int) -> tuple[Figure, list[Axes]]:
    """`n` small panels."""
    columns = min(n, _COLUMNS)
    rows = -(-n // columns)
    figure = Figure(figsize=(2.4 * columns if n > 1 else 3.6, 1.7 * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for unused in panels[n:]:
        unused.remove()
    return figure, list(panels[:n])


def densities(axes: Axes, edges: np.ndarray, reference: np.ndarray, generated: np.ndarray) -> None:
    """Draw two histograms, each scaled to the same area."""
    axes.stairs(reference / reference.sum(), edges, color=REFERENCE, fill=True, alpha=0.35, label="real MD")
    axes.stairs(generated / generated.sum(), edges, color=GENERATED, lw=1.2, label="generated")
    axes.set_ylim(bottom=0)


def legend(figure: Figure, axes: Axes) -> None:
    """Name what is drawn, above all panels."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)


def uri(figure: Figure) -> str:
    """The figure as an SVG data URI."""
    text = io.BytesIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(text.getvalue()).decode('ascii')}"
