"""What an evaluation says in words, line by line: each number with its error, or why there is none.

An `Evaluation` prints itself by this, so its class is not imported here.
"""

from __future__ import annotations

from typing import Any

from openmm_mdgen.analysis.comparison import Number
from openmm_mdgen.analysis.metrics import labels
from openmm_mdgen.analysis.proteins import measures
from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.analysis.validity import SHARES


def summary(evaluation: Any) -> list[str]:
    """Lines for the terminal: each number with its error where there is one, and a second MD run's where there is."""
    second = evaluation.replicate_jsd
    lines = [
        _line(label, _text(getattr(evaluation.jsd, name), "{:.3f}", evaluation.error("jsd", name)))
        + ("" if isinstance(second, NotDefined) else _beside(getattr(second, name), getattr(evaluation.jsd, name)))
        for name, label in labels().items()
    ]
    worth = evaluation.equivalent_md_time
    text = str(worth) if isinstance(worth, NotDefined) else _text(worth.time, "{:.4g} ps")
    if not isinstance(worth, NotDefined) and isinstance(worth.low, float) and isinstance(worth.high, float):
        text += f" (95 % interval {worth.low:.4g} to {worth.high:.4g} ps)"
    lines.append(_line("equivalent MD time", text))
    lines += _kinetic_lines(evaluation)
    lines += _ensemble_lines(evaluation)
    for side, title in (("generated", "generated"), ("reference", "real MD")):
        share, error = getattr(evaluation.validity, side).valid, evaluation.error("validity", side, "valid")
        facts = getattr(evaluation, side)
        trajectories = "" if facts.n_trajectories == 1 else f" of {facts.n_trajectories} trajectories"
        between = _text(facts.frame_interval, "{:g} ps apart")
        lines.append(_line(f"whole molecules, {title}", _text(share, "{:.1%}", error), 28))
        lines.append(_line(f"frames, {title}", f"{facts.n_frames}{trajectories}, {between}", 28))
    return lines + _left_out(evaluation)


def _kinetic_lines(evaluation: Any) -> list[str]:
    """The slowest relaxation times with their intervals, and how much is remembered, generated / real MD."""
    slow = [
        _line(f"relaxation, {name}", f"{found.generated} / {found.reference}", 28)
        for name, found in evaluation.slow_times.items()
    ]
    remembered = [
        _line(f"cosine after {name}", " / ".join(_text(x, "{:.3f}") for x in (found.generated, found.reference)))
        for name, found in evaluation.memory.items()
    ]
    heading = _line("relaxation times, with 95 % intervals, and mean cosines of torsions", "generated / real MD")
    return [heading, *slow, *remembered]


def _ensemble_lines(evaluation: Any) -> list[str]:
    """The measures of a protein's ensembles, and both measures of whether its chain holds together."""
    found, second = evaluation.ensemble, evaluation.replicate_ensemble
    if isinstance(found, NotDefined):
        return []
    others = [] if isinstance(second, NotDefined) else [second]
    rows = [("ensembles", "generated", "real MD", *(["second MD run"] if others else []))]
    reasons: list[str] = []

    def cell(value: Number, form: str, error: Number | None = None) -> str:
        if isinstance(value, NotDefined):
            reasons.extend([] if value.why in reasons else [value.why])
            return f"not defined [{reasons.index(value.why) + 1}]"
        return _text(value, form, error)

    for measure in measures():
        error = evaluation.error("ensemble", measure.name, *(["generated"] if measure.own else []))
        values = [getattr(one, measure.name) for one in (found, *others)]
        ours = [value[0] if measure.own else value for value in values]
        cells = [cell(ours[0], measure.form, error), cell(values[0][1], measure.form) if measure.own else ""]
        rows.append((measure.label, *cells, *(cell(value, measure.form) for value in ours[1:])))
    geometries = [evaluation.validity.generated, evaluation.validity.reference]
    geometries += [] if isinstance(evaluation.replicate_geometry, NotDefined) else [evaluation.replicate_geometry]
    for name in ("loose", "strict"):
        shares = [cell(getattr(geometry, name), "{:.1%}") for geometry in geometries[1:]]
        error = evaluation.error("validity", "generated", name)
        rows.append((SHARES[name], cell(getattr(geometries[0], name), "{:.1%}", error), *shares))
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = ["  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return ["", *lines, *(f"[{k}] {why}" for k, why in enumerate(reasons, start=1)), ""]


def _beside(value: Number, first: Number) -> str:
    """A second MD run's number; nothing where it is missing for the same reason as the first."""
    return "" if value == first and not isinstance(value, float) else f"   second MD run {_text(value, '{:.3f}')}"


def _line(label: str, text: str, width: int = 24) -> str:
    """Label and number in columns; a label that fills its column is still kept apart from the number."""
    return f"{label:{width - 2}}  {text}"


def _left_out(evaluation: Any) -> list[str]:
    """What is not compared, kind by kind."""
    left_out = evaluation.left_out
    lines = []
    for names, side in ((left_out.only_generated, "GENERATED"), (left_out.only_reference, "the reference")):
        kinds = dict.fromkeys(name.split()[0] for name in names)
        counted = ", ".join(f"{sum(n.split()[0] == kind for n in names)} {kind}" for kind in kinds)
        if names:
            lines.append(
                f"left out, as only {side} has them: {counted} ({', '.join(names[:4])}{', ...' * (len(names) > 4)})"
            )
    if left_out.holes:
        lines.append(f"left out, as the chain is not bonded there: torsions between {'; '.join(left_out.holes)}")
    return lines


def _text(value: Number, form: str, error: Number | None = None) -> str:
    if not isinstance(value, float):
        return str(value)
    return form.format(value) + (f" ± {form.format(error)}" if isinstance(error, float) else "")
