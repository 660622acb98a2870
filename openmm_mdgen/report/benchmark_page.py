"""What a benchmark looks like: a figure, and a page that refers to nothing outside of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.files import replacing
from openmm_mdgen.report.benchmark import COUNTED, METHODS, Comparison, Run, rows, worth_table
from openmm_mdgen.report.figures import GENERATED, REFERENCE, uri
from openmm_mdgen.report.page import environment
from openmm_mdgen.report.table import DISTANCES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {
    "md": REFERENCE,
    "packed_md": "#4f5b66",
    "generated": GENERATED,
    "from_generated": "#2f7d4f",
    "explored": "#8fc3a0",
}


_NARROWEST = 7.2  # inches, that the names of all methods take in two rows


def draw(path: Path, found: list[Comparison], seconds: float) -> None:
    """Write a figure of the speeds, and of the distances after equal wall time."""
    _figure(found, seconds).savefig(path, dpi=150)


def write_page(path: Path, found: list[Comparison], facts: dict[str, object]) -> None:
    """Write all rows, the figure, and what is counted as one HTML file that opens without a network.

    Parameters
    ----------
    path : Path
        The file; it appears when it is complete.
    found : list of Comparison
    facts : dict
        All that a repetition needs, by name; ``"seconds"`` is the wall time of each method.
    """
    seconds = float(str(facts["seconds"]))
    header, worth = worth_table(found)
    made = [
        [c.name, METHODS[method], f"{run.nanoseconds:.3g}", f"{run.seconds:.1f}", f"{run.speed:.3g}", *_distances(run)]
        for c in found
        for method, run in c.runs.items()
        if isinstance(run, Run)
    ]
    text = environment().get_template("benchmark.html").render(
        title=f"Benchmark of {', '.join(c.name for c in found)}",
        seconds=f"{seconds:g}",
        counted=COUNTED,
        worth_header=header,
        worth=worth,
        means_header=["", *DISTANCES],
        means=[[row.name, *(row.mean(column) for column in DISTANCES)] for row in rows(found)],
        made_header=["", "", "made, ns", "wall time, s", "ns a second", *DISTANCES],
        made=made,
        figure=uri(_figure(found, seconds)),
        references=[[c.name, c.reference, c.packing] for c in found],
        settings=[[name.replace("_", " "), _in_words(value)] for name, value in facts.items()],
    )  # fmt: skip
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return str(value)


def _distances(run: Run) -> list[str]:
    return [x if isinstance(x, str) else f"{x:.3f}" for x in run.distances.values()]


def _figure(found: list[Comparison], seconds: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(_NARROWEST, 4.0 + 1.4 * len(found)), 3.4), layout="constrained")
    speeds, apart = figure.subplots(1, 2)
    place = np.arange(len(found))
    methods = [method for method in METHODS if any(isinstance(c.runs.get(method), Run) for c in found)]
    width = 0.8 / len(methods)
    for k, method in enumerate(methods):
        shift = (k - (len(methods) - 1) / 2) * width
        runs = [c.runs[method] for c in found]
        colour, label = _COLOURS[method], METHODS[method]
        speeds.bar(place + shift, [_number(r, "speed") for r in runs], 0.95 * width, color=colour, label=label)
        apart.bar(place + shift, [_number(r, "distance") for r in runs], 0.95 * width, color=colour)
    speeds.set(yscale="log", ylabel="ns per second", title="speed")
    apart.set(ylabel="mean torsion distance", title=f"after {seconds:g} s of wall time each")
    for axes in (speeds, apart):
        axes.set_xticks(place, [c.name for c in found])
        axes.set_xlim(-0.5, len(found) - 0.5)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*speeds.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _number(run: Run | NotDefined, name: str) -> float:
    value = np.nan if isinstance(run, NotDefined) else getattr(run, name)
    return np.nan if isinstance(value, str) else value
