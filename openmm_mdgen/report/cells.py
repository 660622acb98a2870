"""Rows of the report's tables, and how its numbers are written.

A cell is text. What is not defined becomes marked-up text that says so and why; all other text is escaped by the page's
templates.
"""

from __future__ import annotations

import platform

import numpy as np
from markupsafe import Markup

import openmm_mdgen
from openmm_mdgen.analysis.comparison import Number
from openmm_mdgen.analysis.markov import FluxCorrelation
from openmm_mdgen.analysis.metrics import Distances
from openmm_mdgen.analysis.results import Evaluation, Relaxation, States, Validity
from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.analysis.validity import Geometry, Histogram
from openmm_mdgen.report.energies import Energies
from openmm_mdgen.report.figures import readable


def number(value: object, form: str = "{:.3f}") -> str:
    """A number in a form of `str.format`, or why there is none."""
    if isinstance(value, NotDefined):
        return Markup('<span class="undefined">{}</span>').format(str(value))
    return form.format(value)


def time(value: Number) -> str:
    """A time given in ps, in ps or ns."""
    if isinstance(value, NotDefined):
        return number(value)
    return f"{value:.3g} ps" if value < 1000 else f"{value / 1000:.3g} ns"


def residue(pair: str) -> str:
    """The residue of a pair of torsions: ``"ALA 2"`` of ``"PHI 0 ALA 2|PSI 0 ALA 2"``."""
    return readable(pair.split("|")[0]).split(" ", 1)[1]


def distance_rows(columns: list[Distances]) -> list[list[str]]:
    """Each metric, of every column."""
    named = [column.labelled() for column in columns]
    return [[label, *(number(values[label]) for values in named)] for label in named[0]]


def torsion_rows(columns: list[Distances]) -> list[list[str]]:
    """The distance of each torsion, of every column."""
    return [[readable(name), *(number(c.per_torsion[name]) for c in columns)] for name in columns[0].per_torsion]


def flux_rows(flux: FluxCorrelation | NotDefined) -> list[list[str]]:
    """Correlations of the fluxes between metastable states."""
    if isinstance(flux, NotDefined):
        return [["fluxes between states, correlation", number(flux)]]
    return [
        ["fluxes between states, Spearman correlation", number(flux.spearman)],
        ["fluxes between states, Pearson correlation", number(flux.pearson)],
    ]


def share_rows(states: States) -> list[list[str]]:
    """The share of each metastable state."""
    shares = zip(states.reference_shares, states.generated_shares, strict=True)
    return [[str(k), f"{theirs:.4f}", f"{ours:.4f}"] for k, (theirs, ours) in enumerate(shares)]


def relaxation_table(shown: dict[str, Relaxation]) -> dict[str, list]:
    """Header and rows of relaxation times, with wall times where one is known."""
    header = ["", "real MD", "generated", "wall time, real MD", "wall time, generated"]
    rows = [
        [
            readable(name),
            time(relaxation.reference),
            time(relaxation.generated),
            number(relaxation.reference_seconds, "{:.3g} s"),
            number(relaxation.generated_seconds, "{:.3g} s"),
        ]
        for name, relaxation in shown.items()
    ]
    seconds = [x for relaxation in shown.values() for x in (relaxation.reference_seconds, relaxation.generated_seconds)]
    if all(isinstance(x, NotDefined) for x in seconds):
        header, rows = header[:3], [row[:3] for row in rows]
    return {"header": header, "rows": rows}


def validity_rows(reference: Geometry, generated: Geometry) -> list[list[str]]:
    """Shares of frames without a fault."""
    labels = {
        "whole molecules": "valid",
        "without clash": "without_clash",
        "without chain break": "without_break",
        "right chirality": "right_chirality",
    }
    return [
        [label, *(number(getattr(side, name), "{:.2%}") for side in (reference, generated))]
        for label, name in labels.items()
    ]


def geometry_rows(validity: Validity) -> list[list[str]]:
    """Bond lengths and angles by elements, and their distances."""
    ours, theirs = validity.generated, validity.reference
    return [
        [f"{name}, {unit}", *(_spread(found[name], digits) for found in (a, b)), number(apart[name])]
        for a, b, apart, unit, digits in (
            (theirs.bonds, ours.bonds, validity.bond_distances, "nm", 4),
            (theirs.angles, ours.angles, validity.angle_distances, "degrees", 1),
        )
        for name in apart
    ]


def energy_rows(found: Energies) -> list[list[str]]:
    """Quartiles of the energies."""
    rows = []
    for name, values in (("real MD", found.reference), ("generated", found.generated)):
        # infinite energies have no values between them
        quartiles = np.quantile(values, [0.25, 0.5, 0.75], method="nearest")
        rows.append([f"{name} ({len(values)} frames)", *(number(x, "{:.0f} kJ/mol") for x in quartiles)])
    return rows


def settings_rows(evaluation: Evaluation, inputs: dict[str, str]) -> list[list[str]]:
    """All that a repetition of the evaluation needs."""
    settings = evaluation.settings
    rows = [[name, value] for name, value in inputs.items()]
    parts = {"generated": evaluation.generated, "real MD": evaluation.reference, "second MD run": evaluation.replicate}
    for name, facts in parts.items():
        if isinstance(facts, NotDefined):
            continue
        rows.append([f"{name}: frames", str(facts.n_frames)])
        rows.append([f"{name}: frame interval", number(facts.frame_interval, "{:g} ps")])
        rows.append([f"{name}: wall time", number(facts.wall_seconds, "{:.4g} s")])
    rows += [
        ["definitions", settings.definitions.value],
        ["lag time", f"{settings.lagtime:g} ps"],
        ["TICA dimensions", number(evaluation.tica_dimensions, "{:g}")],
        ["clusters, states", f"{settings.n_clusters}, {settings.n_states}"],
        ["seed of clustering and bootstrap", str(settings.seed)],
        ["openmm_mdgen", openmm_mdgen.__version__],
        ["Python", platform.python_version()],
    ]
    return rows + [[name, version] for name, version in settings.versions.items()]


def _spread(histogram: Histogram, digits: int) -> str:
    return f"{histogram.mean:.{digits}f} ± {histogram.deviation:.{digits}f}"
