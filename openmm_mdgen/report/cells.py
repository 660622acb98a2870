"""Rows of the report's tables, and how its numbers are written.

A cell is text. What is not defined becomes marked-up text that says so and why; all other text is escaped by the page's
templates.
"""

from __future__ import annotations

import math
import platform

import numpy as np
from markupsafe import Markup

import openmm_mdgen
from openmm_mdgen.analysis.comparison import Number
from openmm_mdgen.analysis.markov import FluxCorrelation
from openmm_mdgen.analysis.metrics import Distances, labels
from openmm_mdgen.analysis.proteins import EnsembleComparison, measures
from openmm_mdgen.analysis.results import Evaluation, Relaxation, States, Validity
from openmm_mdgen.analysis.slow_times import Timescale
from openmm_mdgen.analysis.sources import LeftOut
from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.analysis.validity import SHARES, Histogram
from openmm_mdgen.report.energies import Energies
from openmm_mdgen.report.figures import readable


def number(value: object, form: str = "{:.3f}", error: object = None) -> str:
    """A number in a form of `str.format`, with its error where there is one; or why there is none."""
    if isinstance(value, NotDefined):
        return Markup('<span class="undefined">{}</span>').format(str(value))
    return form.format(value) + (f" ± {form.format(error)}" if isinstance(error, float) else "")


def time(value: Number, error: object = None) -> str:
    """A time given in ps, in ps or ns; with its error where there is one."""
    if isinstance(value, NotDefined):
        return number(value)
    if value < 1000:
        return number(value, "{:.3g}", error) + " ps"
    return number(value / 1000, "{:.3g}", error / 1000 if isinstance(error, float) else None) + " ns"


def residue(pair: str) -> str:
    """The residue of a pair of torsions: ``"ALA 2"`` of ``"PHI 0 ALA 2|PSI 0 ALA 2"``."""
    return readable(pair.split("|")[0]).split(" ", 1)[1]


def distance_rows(evaluation: Evaluation) -> list[list[str]]:
    """Each metric of the generated trajectory, and of the second MD run where there is one."""
    return [
        [label, number(getattr(evaluation.jsd, name), error=evaluation.error("jsd", name))]
        + [_beside(getattr(second, name), getattr(evaluation.jsd, name)) for second in _second(evaluation)]
        for name, label in labels().items()
    ]


def torsion_rows(evaluation: Evaluation) -> list[list[str]]:
    """The distance of each torsion, likewise."""
    return [
        [readable(name), number(value, error=evaluation.error("jsd", "per_torsion", name))]
        + [number(second.per_torsion[name]) for second in _second(evaluation)]
        for name, value in evaluation.jsd.per_torsion.items()
    ]


def _beside(value: Number, first: Number, form: str = "{:.3f}") -> str:
    """A second number of a row; where it is missing for the same reason as the first, the reason is not repeated."""
    if isinstance(value, NotDefined) and value == first:
        return Markup('<span class="undefined">not defined either</span>')
    return number(value, form)


def _second(evaluation: Evaluation) -> list[Distances]:
    return [] if isinstance(evaluation.replicate_jsd, NotDefined) else [evaluation.replicate_jsd]


def left_out_rows(left_out: LeftOut) -> list[list[str]]:
    """What is not compared, and why."""
    rows = []
    for names, side in ((left_out.only_generated, "the generated trajectory"), (left_out.only_reference, "real MD")):
        if names:
            rows.append([f"torsions that only {side} has the atoms for", ", ".join(map(readable, names))])
    if left_out.holes:
        rows.append(["torsions where the chain is not bonded", f"between {'; '.join(left_out.holes)}"])
    return rows


def ensemble_rows(evaluation: Evaluation, found: EnsembleComparison) -> list[list[str]]:
    """Each measure of a protein's ensembles: of real MD by itself where it has a value, then of the others."""
    rows = []
    for measure in measures():
        error = evaluation.error("ensemble", measure.name, *(["generated"] if measure.own else []))
        own_error = evaluation.error("ensemble", measure.name, "reference") if measure.own else None
        values = [getattr(found, measure.name)]
        if not isinstance(evaluation.replicate_ensemble, NotDefined):
            values.append(getattr(evaluation.replicate_ensemble, measure.name))
        ours = [value[0] if measure.own else value for value in values]
        row = [measure.label, number(values[0][1], measure.form, own_error) if measure.own else ""]
        row.append(number(ours[0], measure.form, error))
        rows.append(row + [_beside(value, ours[0], measure.form) for value in ours[1:]])
    return rows


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


def relaxation_table(evaluation: Evaluation, shown: dict[str, Relaxation]) -> dict[str, list]:
    """Header and rows of relaxation times, with wall times where one is known."""

    def error(name: str, side: str) -> Number | None:
        return evaluation.error("relaxation", name, side) if name in evaluation.relaxation else None

    header = ["", "real MD", "generated", "wall time, real MD", "wall time, generated"]
    rows = [
        [
            readable(name),
            time(relaxation.reference, error(name, "reference")),
            time(relaxation.generated, error(name, "generated")),
            number(relaxation.reference_seconds, "{:.3g} s"),
            number(relaxation.generated_seconds, "{:.3g} s"),
        ]
        for name, relaxation in shown.items()
    ]
    seconds = [x for relaxation in shown.values() for x in (relaxation.reference_seconds, relaxation.generated_seconds)]
    if all(isinstance(x, NotDefined) for x in seconds):
        header, rows = header[:3], [row[:3] for row in rows]
    return {"header": header, "rows": rows}


def slow_rows(evaluation: Evaluation) -> list[list[str]]:
    """Relaxation times of the slowest coordinates with their intervals."""
    return [
        [readable(name), *(_interval(side) for side in (found.reference, found.generated))]
        for name, found in evaluation.slow_times.items()
    ]


def _interval(found: Timescale | NotDefined) -> str:
    if isinstance(found, NotDefined):
        return number(found)
    bounds = ["no decay" if math.isinf(bound) else time(bound) for bound in (found.low, found.high)]
    return time(found.time) + f" ({' to '.join(bounds)})"


def memory_rows(evaluation: Evaluation) -> list[list[str]]:
    """Mean cosines of the angles that torsions turn in some times."""
    return [[name, number(found.reference), number(found.generated)] for name, found in evaluation.memory.items()]


def validity_rows(evaluation: Evaluation) -> list[list[str]]:
    """Shares of frames without a fault: of real MD, of the generated trajectory, and of a second MD run."""

    def share(side: str, name: str) -> str:
        value = getattr(getattr(evaluation.validity, side), name)
        return number(value, "{:.2%}", evaluation.error("validity", side, name))

    second = evaluation.replicate_geometry
    return [
        [label, share("reference", name), share("generated", name)]
        + ([] if isinstance(second, NotDefined) else [number(getattr(second, name), "{:.2%}")])
        for name, label in SHARES.items()
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
        rows.append([f"{name}: trajectories, frames", f"{facts.n_trajectories}, {facts.n_frames}"])
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
