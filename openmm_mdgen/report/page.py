"""The report: an evaluation as one HTML file without references to anything outside of it.

A *section* is a piece of HTML. All text that comes from the user's files is escaped by `html.escape`.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from html import escape
from importlib.resources import files as package_files
from pathlib import Path
from string import Template

import numpy as np

import openmm_mdgen
from openmm_mdgen.analysis.results import Distances, Evaluation, Relaxation
from openmm_mdgen.analysis.sources import Source
from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.analysis.validity import ANGLE_EDGES, BOND_EDGES
from openmm_mdgen.files import replacing
from openmm_mdgen.report import figures
from openmm_mdgen.report.energies import Energies, energies
from openmm_mdgen.report.figures import readable
from openmm_mdgen.report.survey import Survey, overlay, survey

_MOST_PANELS = 24  # small panels of one kind; a protein has hundreds of torsions
_MOST_SURFACES = 12


def write_report(
    path: str | Path,
    evaluation: Evaluation,
    generated: Source,
    reference: Source,
    *,
    title: str = "Generated trajectory and real MD",
    inputs: dict[str, str] | None = None,
) -> None:
    """Write an evaluation as one HTML file that opens without a network.

    Parameters
    ----------
    path : str or Path
        Appears when it is complete.
    evaluation : Evaluation
        Of the two trajectories that follow.
    generated, reference : TrajectoryFile or mdtraj.Trajectory
        Read once more, for histograms and for the frames of the 3-D view.
    title : str
    inputs : dict of str, optional
        What was compared, by name: shown as given.

    Raises
    ------
    MDGenError
        If a trajectory cannot be read.
    """
    ours, theirs = (
        survey(source, facts.n_frames)
        for source, facts in ((generated, evaluation.generated), (reference, evaluation.reference))
    )
    sections = [
        _summary(evaluation),
        _distances(evaluation),
        _equivalent(evaluation),
        _ramachandran(evaluation),
        _torsions(evaluation, ours, theirs),
        _slow(evaluation),
        _states(evaluation),
        _dynamics(evaluation),
        _validity(evaluation),
        _energies(energies(ours.complete, theirs.complete)),
        _view(evaluation),
        _settings(evaluation, inputs or {}),
    ]
    text = _file("template.html").substitute(
        title=escape(title),
        body="\n".join(sections),
        overlay=json.dumps(overlay(ours, theirs)).replace("<", "\\u003c"),
        viewer=_file("viewer.js").template,
    )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _file(name: str) -> Template:
    return Template((package_files("openmm_mdgen.report") / name).read_text(encoding="utf-8"))


def _summary(evaluation: Evaluation) -> str:
    jsd, equivalent = evaluation.jsd, evaluation.equivalent_md_time
    lines = [
        f"Mean torsion distance to real MD: <b>{_number(jsd.torsions_all)}</b> (0 for equal distributions, 0.83 for "
        "disjoint ones).",
    ]
    if isinstance(evaluation.replicate_jsd, Distances):
        lines.append(f"A second MD run comes to {_number(evaluation.replicate_jsd.torsions_all)}.")
    if isinstance(equivalent, NotDefined):
        lines.append(f"Equivalent MD time: {_undefined(equivalent)}.")
    else:
        lines.append(f"Equivalent MD time: <b>{_time(equivalent.time)}</b>.")
    lines.append(f"Frames that are whole molecules: <b>{evaluation.validity.generated.valid:.1%}</b>.")
    legend = (
        '<p class="note">In all figures <span class="blue">blue is real MD</span> and '
        '<span class="orange">orange is the generated trajectory</span>.</p>'
    )
    return f'<p class="lead">{" ".join(lines)}</p>{legend}'


def _distances(evaluation: Evaluation) -> str:
    columns = [evaluation.jsd]
    header = ["", "generated"]
    note = f"Second MD run: {_undefined(evaluation.replicate_jsd)}."
    if isinstance(evaluation.replicate_jsd, Distances):
        columns.append(evaluation.replicate_jsd)
        header.append("second MD run")
        note = "The second MD run is the floor: no surrogate can be expected to come nearer."
    rows = [[label, *(_number(c.labelled()[label]) for c in columns)] for label in evaluation.jsd.labelled()]
    each = [[escape(readable(n)), *(_number(c.per_torsion[n]) for c in columns)] for n in evaluation.jsd.per_torsion]
    return (
        "<h2>Distances to the reference</h2><p>Square roots of Jensen-Shannon divergences of histograms (natural "
        f"logarithm).</p>{_table(header, rows)}<p class='note'>{note}</p>"
        f"<details><summary>Each torsion</summary>{_table(header, each)}</details>"
    )


def _equivalent(evaluation: Evaluation) -> str:
    heading = "<h2>How much real MD it is worth</h2>"
    equivalent = evaluation.equivalent_md_time
    if isinstance(equivalent, NotDefined):
        return f"{heading}<p>{_undefined(equivalent)}</p>"
    rows = [
        ["equivalent MD time", _time(equivalent.time)],
        ["lower end of the 95 % interval", _time(equivalent.low)],
        ["upper end", _time(equivalent.high)],
        ["wall time of that much MD", _number(evaluation.equivalent_md_seconds, "{:.3g} s")],
        ["wall time of the generated trajectory", _number(evaluation.generated.wall_seconds, "{:.3g} s")],
    ]
    explained = (
        "The length of real MD whose torsions are as far from the reference as the generated trajectory's. It counts "
        "what is visited and how often, not how fast."
    )
    picture = _picture(figures.equivalent_time(equivalent), "Torsion distance of real MD by its length.")
    return f'{heading}<p>{explained}</p><div class="figures">{picture}<div>{_table(["", ""], rows)}</div></div>'


def _ramachandran(evaluation: Evaluation) -> str:
    heading = "<h2>Ramachandran maps</h2>"
    found = [name for name in evaluation.jsd.ramachandran if name in evaluation.surfaces]
    if not found:
        return f"{heading}<p>{_undefined(NotDefined('no residue has both φ and ψ'))}</p>"
    names, left_out = _farthest(found, evaluation.jsd.ramachandran, _MOST_SURFACES)
    pictures = [
        _picture(
            figures.surface_pair(evaluation.surfaces[name], angles=True),
            f"{_residue(name)}: distance {evaluation.jsd.ramachandran[name]:.3f}",
        )
        for name in names
    ]
    note = "Grey: no frame. A chain's first residue has no φ and its last no ψ, so they have no map."
    return f'{heading}<p class="note">{note}{left_out}</p><div class="figures">{"".join(pictures)}</div>'


def _torsions(evaluation: Evaluation, ours: Survey, theirs: Survey) -> str:
    names, left_out = _farthest(list(theirs.histograms), evaluation.jsd.per_torsion, _MOST_PANELS)
    picture = _picture(
        figures.torsion_histograms(ours.histograms, theirs.histograms, names),
        f"How often each angle is seen.{left_out}",
    )
    return f"<h2>Torsions</h2>{picture}"


def _slow(evaluation: Evaluation) -> str:
    heading = "<h2>Slow coordinates</h2>"
    name = "TICA-0|TICA-1"
    if name not in evaluation.surfaces:
        one = NotDefined(f"TICA of the reference has {evaluation.tica_dimensions} dimension, a map takes two")
        why = evaluation.tica_dimensions if isinstance(evaluation.tica_dimensions, NotDefined) else one
        return f"{heading}<p>{_undefined(why)}</p>"
    pair = _picture(
        figures.surface_pair(evaluation.surfaces[name], angles=False),
        f"Free energy on the two slowest coordinates of the reference; grey: no frame. "
        f"Distance {_number(evaluation.jsd.tica_01)}.",
    )
    return f'{heading}<div class="figures">{pair}</div>'


def _states(evaluation: Evaluation) -> str:
    heading = "<h2>Metastable states</h2>"
    states = evaluation.states
    if isinstance(states, NotDefined):
        return f"{heading}<p>{_undefined(states)}</p>"
    flux = states.flux_correlation
    correlations = (
        [["fluxes between states, correlation", _undefined(flux)]]
        if isinstance(flux, NotDefined)
        else [
            ["fluxes between states, Spearman correlation", f"{flux.spearman:.3f}"],
            ["fluxes between states, Pearson correlation", f"{flux.pearson:.3f}"],
        ]
    )
    never = ", ".join(map(str, states.never_visited)) or "none"
    rows = [
        ["distance of the shares", _number(evaluation.jsd.msm)],
        ["states of real MD never visited", never],
        *correlations,
    ]
    shares = [
        [str(k), f"{b:.4f}", f"{a:.4f}"]
        for k, (a, b) in enumerate(zip(states.generated_shares, states.reference_shares, strict=True))
    ]
    picture = _picture(figures.occupancies(states), "Share of the frames in each state.")
    tables = _table(["", ""], rows) + _table(["state", "real MD", "generated"], shares)
    return f'{heading}<div class="figures">{picture}<div>{tables}</div></div>'


def _dynamics(evaluation: Evaluation) -> str:
    names, left_out = _farthest(list(evaluation.relaxation), evaluation.jsd.per_torsion, _MOST_PANELS)
    shown = {name: evaluation.relaxation[name] for name in names}
    if isinstance(evaluation.tica_relaxation, Relaxation):
        shown["TICA-0"] = evaluation.tica_relaxation
    rows = [
        [
            escape(readable(name)),
            _time(relaxation.reference),
            _time(relaxation.generated),
            _number(relaxation.reference_seconds, "{:.3g} s"),
            _number(relaxation.generated_seconds, "{:.3g} s"),
        ]
        for name, relaxation in shown.items()
    ]
    header = ["", "real MD", "generated", "wall time, real MD", "wall time, generated"]
    if all(isinstance(x, NotDefined) for r in shown.values() for x in (r.reference_seconds, r.generated_seconds)):
        header, rows = header[:3], [row[:3] for row in rows]
    picture = _picture(figures.decorrelation(shown), f"Autocorrelation; dotted: 1/e, the relaxation time.{left_out}")
    intervals = [_number(facts.frame_interval, "{:g} ps") for facts in (evaluation.reference, evaluation.generated)]
    note = (
        f"Frames are {intervals[0]} (real MD) and {intervals[1]} (generated) apart: of a relaxation time below that, "
        "nothing more is known. Wall times are those in which a trajectory of that length was made."
    )
    return (
        f"<h2>How fast it moves</h2>{picture}<h3>Relaxation times</h3><p class='note'>{note}</p>{_table(header, rows)}"
    )


def _validity(evaluation: Evaluation) -> str:
    ours, theirs = evaluation.validity.generated, evaluation.validity.reference
    labels = {
        "whole molecules": "valid",
        "without clash": "without_clash",
        "without chain break": "without_break",
        "right chirality": "right_chirality",
    }
    shares = [[label, *(f"{getattr(g, name):.2%}" for g in (theirs, ours))] for label, name in labels.items()]
    rows = [
        [f"{name}, {unit}", *(_spread(found[name], digits) for found in (a, b)), f"{apart[name]:.3f}"]
        for a, b, apart, unit, digits in (
            (theirs.bonds, ours.bonds, evaluation.validity.bond_distances, "nm", 4),
            (theirs.angles, ours.angles, evaluation.validity.angle_distances, "degrees", 1),
        )
        for name in apart
    ]
    pictures = "".join(
        _picture(figures.geometry(a, b, edges, unit), caption)
        for a, b, edges, unit, caption in (
            (ours.bonds, theirs.bonds, BOND_EDGES, "nm", "Bond lengths between heavy atoms, by elements."),
            (ours.angles, theirs.angles, ANGLE_EDGES, "degrees", "Bond angles between heavy atoms, by elements."),
        )
    )
    table = _table(["mean ± standard deviation", "real MD", "generated", "distance"], rows)
    return (
        f"<h2>Are the frames molecules?</h2>{_table(['share of frames', 'real MD', 'generated'], shares)}{pictures}"
        f"<details><summary>Bonds and angles</summary>{table}</details>"
    )


def _energies(found: Energies | NotDefined) -> str:
    heading = "<h2>Energies</h2>"
    if isinstance(found, NotDefined):
        return f"{heading}<p>{_undefined(found)}</p>"
    rows = [
        [f"{name} ({len(values)} frames)", *(f"{x:.0f} kJ/mol" for x in _quartiles(values))]
        for name, values in (("real MD", found.reference), ("generated", found.generated))
    ]
    above = float((found.generated > found.reference.max()).mean())
    note = (
        "Of the protein alone, in amber14 with GBn2, frames evenly spaced in time and as they are. Frames without "
        "thermal vibration of bonds and angles lie below real MD; clashes lie far above, and are counted at the right "
        f"edge. Generated frames above all of real MD: {above:.0%}."
    )
    picture = _picture(figures.energies(found.generated, found.reference), "How often each energy is seen.")
    quartiles = _table(["", "lower quartile", "median", "upper quartile"], rows)
    return f"{heading}<p class='note'>{note}</p><div class='figures'>{picture}<div>{quartiles}</div></div>"


def _quartiles(values: np.ndarray) -> np.ndarray:
    return np.quantile(values, [0.25, 0.5, 0.75], method="nearest")  # infinite ones have no values between them


def _view(evaluation: Evaluation) -> str:
    boxes = "".join(
        f'<label class="{colour}"><input type="checkbox" id="show-{name}" checked> {text}</label>'
        for name, text, colour in (("reference", "real MD", "blue"), ("generated", "generated", "orange"))
    )
    return (
        "<h2>Frames overlaid</h2><p class='note'>Frames evenly spaced in time, superposed on the backbone of real MD's "
        "first. Heavy atoms; the backbone alone in large proteins. Nitrogen is violet, oxygen red, sulfur yellow. "
        "Drag or use the arrow keys to turn, the wheel or + and - to zoom.</p>"
        f"<p>{boxes}</p><canvas id='view' width='860' height='520' tabindex='0' "
        "aria-label='Stick drawing of overlaid frames'></canvas><noscript><p>The 3-D view needs JavaScript; nothing "
        "else on this page does.</p></noscript>"
    )


def _settings(evaluation: Evaluation, inputs: dict[str, str]) -> str:
    settings = evaluation.settings
    rows = [[escape(name), escape(value)] for name, value in inputs.items()]
    parts = [("generated", evaluation.generated), ("real MD", evaluation.reference)]
    if not isinstance(evaluation.replicate, NotDefined):
        parts.append(("second MD run", evaluation.replicate))
    for name, facts in parts:
        rows.append([f"{name}: frames", str(facts.n_frames)])
        rows.append([f"{name}: frame interval", _number(facts.frame_interval, "{:g} ps")])
        rows.append([f"{name}: wall time", _number(facts.wall_seconds, "{:.4g} s")])
    rows += [
        ["definitions", settings.definitions.value],
        ["lag time", f"{settings.lagtime:g} ps"],
        ["TICA dimensions", _number(evaluation.tica_dimensions, "{:g}")],
        ["clusters, states", f"{settings.n_clusters}, {settings.n_states}"],
        ["seed of clustering and bootstrap", str(settings.seed)],
        ["openmm_mdgen", openmm_mdgen.__version__],
        ["Python", platform.python_version()],
    ]
    rows += [[escape(name), escape(value)] for name, value in settings.versions.items()]
    return f"<h2>Settings</h2>{_table(['', ''], rows)}"


def _farthest(names: list[str], distances: dict[str, float], most: int) -> tuple[list[str], str]:
    """At most that many names, those that differ most, in their own order; and what to say of the others."""
    if len(names) <= most:
        return names, ""
    kept = set(sorted(names, key=lambda name: -distances[name])[:most])
    return [name for name in names if name in kept], f" Shown: the {most} of {len(names)} that differ most."


def _residue(pair: str) -> str:
    kind_and_residue = readable(pair.split("|")[0])
    return escape(kind_and_residue.split(" ", 1)[1])


def _spread(histogram: figures.Histogram, digits: int) -> str:
    return f"{histogram.mean:.{digits}f} ± {histogram.deviation:.{digits}f}"


def _number(value: float | NotDefined, form: str = "{:.3f}") -> str:
    return _undefined(value) if isinstance(value, NotDefined) else form.format(value)


def _time(value: float | NotDefined) -> str:
    if isinstance(value, NotDefined):
        return _undefined(value)
    return f"{value:.3g} ps" if value < 1000 else f"{value / 1000:.3g} ns"


def _undefined(value: object) -> str:
    return f'<span class="undefined">{escape(str(value))}</span>'


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML."""
    head = f"<tr>{''.join(f'<th>{cell}</th>' for cell in header)}</tr>" if any(header) else ""
    body = "".join(f"<tr><td>{row[0]}</td>{''.join(_cell(cell) for cell in row[1:])}</tr>" for row in rows)
    return f"<table>{head}{body}</table>"


def _cell(text: str) -> str:
    return f"<td>{text}</td>" if "<" in text or len(text) > 30 else f'<td class="number">{text}</td>'


def _picture(uri: str, caption: str) -> str:
    return f'<figure><img src="{uri}" alt="{escape(caption)}"><figcaption>{caption}</figcaption></figure>'
