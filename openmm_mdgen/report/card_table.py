"""The tables of a card, in Markdown, from the measures that `card` has made. Times in picosecond."""

from __future__ import annotations

from typing import Any

import numpy as np

from openmm_mdgen.analysis.memory import TIMES
from openmm_mdgen.report.card import OTHER_HALF
from openmm_mdgen.report.table import DISTANCES, LENGTHS, Row, markdown, markdown_table

MINOR = "minor states"
_NONE = ""


def tables(found: dict[str, dict[str, dict[str, Any]]], weights: list[str]) -> list[str]:
    """The lines of all tables.

    Parameters
    ----------
    found : dict
        By peptide, then by row: what `card.of_weights` gave for each name in `weights`, and the rows of
        `card.of_real_md`.
    weights : list of str
        Names of the weights, those that the card is of first.
    """
    lines = ["### Means over the peptides", "", *_means(found, weights), "", *_minor_line(found, weights)]
    lines += ["### Each peptide", "", f"{' / '.join(weights)} / {OTHER_HALF}", "", *_each(found, weights)]
    for name in weights:
        taken = {peptide: rows[name] for peptide, rows in found.items() if "refused" not in rows[name]}
        lines += ["", f"### {name}: memory, kinetics, frames, worth", "", *_motion(taken), "", *_whole(taken)]
        refused = [f"{peptide}: {rows[name]['refused']}" for peptide, rows in found.items() if "refused" in rows[name]]
        lines += ["", *refused] if refused else []
    return lines


def _means(found: dict[str, dict[str, dict[str, Any]]], weights: list[str]) -> list[str]:
    rows = []
    for label in (*weights, *LENGTHS, OTHER_HALF):
        values = {p: r[label]["distances"] for p, r in found.items() if "distances" in r.get(label, {})}
        if values:
            seconds = {p: r[label]["seconds"] for p, r in found.items() if "seconds" in r.get(label, {})}
            told = label if len(values) == len(found) else f"{label} ({len(values)} peptides)"
            rows.append(Row(told, values, seconds))
    return markdown(rows)


def _minor_line(found: dict[str, dict[str, dict[str, Any]]], weights: list[str]) -> list[str]:
    """How far above the floor the first weights' error of minor populations is, in parts of the second's."""
    if len(weights) < 2:
        return []
    labels = (*weights[:2], OTHER_HALF)
    shared = [
        [rows[label]["distances"][MINOR] for label in labels]
        for rows in found.values()
        if all("distances" in rows[label] and isinstance(rows[label]["distances"][MINOR], float) for label in labels)
    ]
    if not shared:
        return []
    new, old, floor = np.mean(shared, axis=0)
    told = f"{MINOR}: {weights[0]} {new:.3f}, {weights[1]} {old:.3f}, {OTHER_HALF} {floor:.3f}"
    if min(new, old) <= floor:
        return [f"{told}; MD is too short to tell the excess over it", ""]
    return [f"{told}; excess over MD in parts of that of {weights[1]}: {(new - floor) / (old - floor):.2f}", ""]


def _each(found: dict[str, dict[str, dict[str, Any]]], weights: list[str]) -> list[str]:
    labels = (*weights, OTHER_HALF)
    body = [
        [peptide, *(" / ".join(_distance(rows[label], column) for label in labels) for column in DISTANCES)]
        for peptide, rows in found.items()
    ]
    return markdown_table(["peptide", *DISTANCES], body)


def _motion(taken: dict[str, dict[str, Any]]) -> list[str]:
    """Memory after some times, and the slowest relaxation; generated / real MD."""
    times = [f"{time:g} ps" for time in TIMES]
    body = []
    for peptide, row in taken.items():
        cosines = [" / ".join(_number(_cosine(row, side, t)) for side in ("generated", "md")) for t in times]
        name = next(iter(row["slow_times"]), "")
        relaxation = " / ".join(_relaxation(found) for found in row["slow_times"].get(name, {}).values())
        body.append([peptide, *cosines, name, relaxation])
    pairs = [[(_cosine(row, "generated", t), _cosine(row, "md", t)) for row in taken.values()] for t in times]
    apart = [[ours - theirs for ours, theirs in found if ours is not None and theirs is not None] for found in pairs]
    body.append(["mean difference", *(f"{np.mean(d):+.3f}" if d else _NONE for d in apart), "", ""])
    header = ["peptide", *(f"cosine after {t}" for t in times), "slowest", "relaxation, ps (95 % interval)"]
    return markdown_table(header, body)


def _cosine(row: dict[str, Any], side: str, time: str) -> float | None:
    return row["memory"][side].get(time) if isinstance(row["memory"], dict) else None


def _whole(taken: dict[str, dict[str, Any]]) -> list[str]:
    shares = {"valid": "whole", "unbroken": "no broken bond", "rings": "proline closed"}
    body = [
        [
            peptide,
            str(row["n_frames"]),
            *(_number(row["validity"][name], "{:.2%}") for name in shares),
            _number(row["segments"]["generated"]) if isinstance(row["segments"], dict) else _NONE,
            f"{row['nanoseconds']:.3g} in {row['seconds']:.3g} s",
            row["equivalent"].removeprefix("not defined: "),
        ]
        for peptide, row in taken.items()
    ]
    header = ["peptide", "frames", *shares.values(), "segments, torsions (all)", "made, ns", "as near as MD of"]
    return markdown_table(header, body)


def _relaxation(found: Any) -> str:
    if not isinstance(found, dict):
        return _NONE
    bounds = " to ".join("no decay" if bound is None else f"{bound:.3g}" for bound in (found["low"], found["high"]))
    return f"{_number(found['time'], '{:.3g}') or 'none'} ({bounds})"


def _distance(row: dict[str, Any], column: str) -> str:
    return _number(row["distances"][column]) or "none" if "distances" in row else "refused"


def _number(value: Any, form: str = "{:.3f}") -> str:
    return form.format(value) if isinstance(value, float | int) else _NONE
