"""Proteins beside other MD: for each a row a method, and a table over all proteins as the ATLAS evaluations have it.

The reference is the first half of a protein's real MD; other MD is its second half, as a whole and cut to half the
length. A column is a measure of ensembles or a share of frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from openmm_mdgen.analysis.comparison import Number
from openmm_mdgen.analysis.evaluation import evaluate
from openmm_mdgen.analysis.proteins import EnsembleComparison, measures, tabulate
from openmm_mdgen.analysis.results import Evaluation, with_reasons
from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.analysis.validity import Geometry
from openmm_mdgen.report.table import GENERATED, REPLICATE, Halves

REFERENCE, HALF = "MD, reference", "MD, half the length"
_SHARES = {"valid": "whole molecules", "loose": "chain, loose", "strict": "chain, strict"}
_OVER_ALL = {
    "pairwise_rmsd_correlation": "pairwise RMSD correlation",
    "global_rmsf_correlation": "RMSF correlation, all residues",
    "rmsf_correlation": "RMSF correlation, median",
    "root_mean_w2": "root mean W2, nm, median",
    "md_pca_w2": "MD PCA W2, nm, median",
    "similar_components": "first components with cosine above 0.5",
    "weak_contacts": "weak contacts, median",
    "transient_contacts": "transient contacts, median",
    "exposed_residues": "exposed residues, median",
}


@dataclass
class Proteins:
    """What has been measured, by protein and method."""

    values: dict[str, dict[str, dict[str, Number]]] = field(default_factory=dict)  # by protein, method and column
    compared: dict[str, list[EnsembleComparison]] = field(default_factory=dict)  # by method

    def add(self, name: str, generated: Evaluation, replicate: Evaluation, halves: Halves, options: dict) -> None:
        """Measure one molecule; nothing where its ensembles are not compared, as those of peptides.

        Parameters
        ----------
        name : str
            The protein's.
        generated, replicate : Evaluation
            Against the first half of its MD.
        halves : Halves
        options : dict
            Keywords of `evaluate`.
        """
        if isinstance(generated.ensemble, NotDefined):
            return
        shorter = halves.replicate[: halves.replicate.n_frames // 2]
        half = evaluate(shorter, halves.reference, **options)
        rows = {REFERENCE: _cells(generated.ensemble, generated.validity.reference, of_reference=True)}
        for method, found in ((GENERATED, generated), (HALF, half), (REPLICATE, replicate)):
            rows[method] = _cells(found.ensemble, found.validity.generated, of_reference=False)
            if not isinstance(found.ensemble, NotDefined):
                self.compared.setdefault(method, []).append(found.ensemble)
        self.values[name] = rows

    def include(self, others: Proteins) -> None:
        """Take in what was measured of other proteins."""
        self.values |= others.values
        for method, found in others.compared.items():
            self.compared.setdefault(method, []).extend(found)

    def as_dict(self) -> dict[str, Any]:
        """All numbers, null where there is none, with the reasons beside."""
        over_all = {method: vars(tabulate(found)) for method, found in self.compared.items()}
        return with_reasons({"proteins": self.values, "over_all": over_all})

    def markdown(self) -> list[str]:
        """The lines of the tables, followed by the reasons of what is not defined; none where there is no protein."""
        if not self.values:
            return []
        notes = _Notes()
        forms = {m.column: m.form for m in measures() if m.column} | dict.fromkeys(_SHARES.values(), "{:.1%}")
        lines = ["", *_head("", "", *forms)]
        for name, rows in self.values.items():
            for method, values in rows.items():
                cells = (notes.cell(values[column], form) if column in values else "" for column, form in forms.items())
                lines.append(_row(name, method, *cells))
        if len(self.values) > 1:
            lines += ["", *_head(f"over {len(self.values)} proteins", *_OVER_ALL.values())]
            for method, found in self.compared.items():
                table = tabulate(found)
                lines.append(_row(method, *(notes.cell(getattr(table, column), "{:.3f}") for column in _OVER_ALL)))
        return lines + notes.lines()


class _Notes:
    """Reasons that are told once, below."""

    def __init__(self) -> None:
        self._reasons: list[str] = []

    def cell(self, value: Number, form: str) -> str:
        if not isinstance(value, NotDefined):
            return form.format(value)
        if value.why not in self._reasons:
            self._reasons.append(value.why)
        return f"not defined [{self._letter(self._reasons.index(value.why))}]"

    def lines(self) -> list[str]:
        return [f"[{self._letter(k)}] {why}" for k, why in enumerate(self._reasons)]

    @staticmethod
    def _letter(k: int) -> str:
        return chr(ord("a") + k)  # numbers stand in the table of peptides


def _cells(found: EnsembleComparison | NotDefined, geometry: Geometry, *, of_reference: bool) -> dict[str, Number]:
    """Values by column; of the reference only those that it has by itself."""
    cells: dict[str, Number] = {}
    for measure in measures():
        if measure.column is None or (of_reference and not measure.own):
            continue
        value = found if isinstance(found, NotDefined) else getattr(found, measure.name)
        cells[measure.column] = value[int(of_reference)] if isinstance(value, tuple) else value
    return cells | {column: getattr(geometry, name) for name, column in _SHARES.items()}


def _head(*columns: str) -> list[str]:
    return [_row(*columns), "|---" * len(columns) + "|"]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
