"""The report: an evaluation as one HTML file that refers to nothing outside of itself.

The folder `templates` holds the page's text and layout; figures come from `figures` and cells of tables from `cells`.
Text that comes from the user's files is escaped by the templates.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from openmm_mdgen.analysis.results import Evaluation, Relaxation
from openmm_mdgen.analysis.sources import Sources, given, opened_alike
from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.analysis.validity import ANGLE_EDGES, BOND_EDGES
from openmm_mdgen.arguments import require
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import replacing
from openmm_mdgen.report import cells, ensemble_figures, figures
from openmm_mdgen.report.energies import Energies, energies
from openmm_mdgen.report.survey import Survey, overlay, survey

_MOST_PANELS = 24  # small panels of one kind; a protein has hundreds of torsions
_MOST_MAPS = 12


def write_report(
    path: str | Path,
    evaluation: Evaluation,
    generated: Sources,
    reference: Sources,
    *,
    title: str = "Generated trajectory and real MD",
    inputs: dict[str, str] | None = None,
) -> None:
    """Write an evaluation as one HTML file that opens without a network.

    Parameters
    ----------
    path : str or Path
        The file; it appears when it is complete.
    evaluation : Evaluation
        The comparison of the two trajectories that follow.
    generated, reference : TrajectoryFile or mdtraj.Trajectory, or several of them
        They are read once more, for histograms and for the frames of the 3-D view.
    title : str
    inputs : dict of str to str, optional
        What was compared, by name; the report shows it as given.

    Raises
    ------
    MDGenError
        If a trajectory cannot be read, the evaluation is none, or there is no folder for the file.
    """
    require("evaluation", evaluation, isinstance(evaluation, Evaluation), "what evaluate(...) returns")
    if Path(path).is_dir() or not Path(path).parent.is_dir():
        raise MDGenError(f"{path}: name a file, in a folder that is there")
    opened = opened_alike(given(generated, "the generated trajectory"), given(reference, "the reference"))
    ours = survey(opened.generated, evaluation.generated.n_frames)
    theirs = survey(opened.reference, evaluation.reference.n_frames)
    text = environment().get_template("page.html").render(
        title=title,
        settings_rows=cells.settings_rows(evaluation, inputs or {}),
        overlay=overlay(ours, theirs),
        **_sections(evaluation, ours, theirs),
    )  # fmt: skip
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class _Farthest:
    """Those of many names that are shown."""

    names: list[str]
    left_out: int  # how many are not


def environment() -> Environment:
    """The folder of templates, with the functions that they call."""
    environment = Environment(
        loader=PackageLoader("openmm_mdgen.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(number=cells.number, time=cells.time, residue=cells.residue)
    environment.tests["has_value"] = lambda value: not isinstance(value, NotDefined)
    tables = (
        cells.distance_rows,
        cells.torsion_rows,
        cells.left_out_rows,
        cells.flux_rows,
        cells.share_rows,
        cells.slow_rows,
        cells.memory_rows,
        cells.validity_rows,
        cells.geometry_rows,
        cells.energy_rows,
        cells.ensemble_rows,
    )
    environment.globals.update({rows.__name__: rows for rows in tables})
    return environment


def _sections(evaluation: Evaluation, ours: Survey, theirs: Survey) -> dict[str, object]:
    """What the template asks for by name: the evaluation, what is shown of it, and its figures."""
    jsd = evaluation.jsd
    maps = _farthest([n for n in jsd.ramachandran if n in evaluation.surfaces], jsd.ramachandran, _MOST_MAPS)
    torsions = _farthest(list(theirs.histograms), jsd.per_torsion, _MOST_PANELS)
    dynamics = _farthest(list(evaluation.relaxation), jsd.per_torsion, _MOST_PANELS)
    relaxations = {name: evaluation.relaxation[name] for name in dynamics.names}
    if isinstance(evaluation.tica_relaxation, Relaxation):
        relaxations["TICA-0"] = evaluation.tica_relaxation
    found = energies(ours.complete, theirs.complete)
    return {
        "evaluation": evaluation,
        "energies": found,
        "maps": maps,
        "no_torsion": NotDefined("the trajectories share no torsion"),
        "no_map": NotDefined("no residue has both φ and ψ"),
        "torsions": torsions,
        "dynamics": dynamics,
        "relaxation": cells.relaxation_table(evaluation, relaxations),
        "drawn": {
            "maps": {name: figures.surface_pair(evaluation.surfaces[name], angles=True) for name in maps.names},
            "slow": _slow_map(evaluation),
            **_drawn_where_defined(evaluation, found),
            **_drawn_torsions(ours, theirs, torsions.names, relaxations),
            **_drawn_geometry(evaluation),
            **_drawn_ensembles(evaluation),
        },
    }


def _drawn_where_defined(evaluation: Evaluation, found: Energies | NotDefined) -> dict[str, str]:
    drawn = {}
    if not isinstance(evaluation.equivalent_md_time, NotDefined):
        drawn["equivalent_time"] = figures.equivalent_time(evaluation.equivalent_md_time)
    if not isinstance(evaluation.states, NotDefined):
        drawn["states"] = figures.occupancies(evaluation.states)
    if not isinstance(found, NotDefined):
        drawn["energies"] = figures.energies(found.generated, found.reference)
    return drawn


def _drawn_torsions(
    ours: Survey, theirs: Survey, names: list[str], relaxations: dict[str, Relaxation]
) -> dict[str, str]:
    """Nothing where the trajectories share no torsion."""
    drawn = {}
    if names:
        drawn["torsions"] = figures.torsion_histograms(ours.histograms, theirs.histograms, names)
    if relaxations:
        drawn["decorrelation"] = figures.decorrelation(relaxations)
    return drawn


def _drawn_geometry(evaluation: Evaluation) -> dict[str, str]:
    """Nothing where the atoms that are compared have no bonds, as C-alpha atoms."""
    ours, theirs = evaluation.validity.generated, evaluation.validity.reference
    drawn = {}
    if evaluation.validity.bond_distances:
        drawn["bonds"] = figures.geometry(ours.bonds, theirs.bonds, BOND_EDGES, "nm")
    if evaluation.validity.angle_distances:
        drawn["angles"] = figures.geometry(ours.angles, theirs.angles, ANGLE_EDGES, "degrees")
    return drawn


def _drawn_ensembles(evaluation: Evaluation) -> dict[str, str]:
    """Nothing where no ensembles are compared; nothing of what they lack the atoms for."""
    if isinstance(evaluation.ensemble, NotDefined):
        return {}
    pair, other = evaluation.ensemble.pair, evaluation.replicate_ensemble
    second = None if isinstance(other, NotDefined) else other.pair
    drawn = {
        "fluctuations": ensemble_figures.fluctuations_by_residue(pair, second),
        "contacts": ensemble_figures.contact_map(pair),
        "sizes": ensemble_figures.sizes(pair),
    }
    if not isinstance(evaluation.ensemble.md_pca_w2, NotDefined):
        drawn["principal"] = ensemble_figures.principal_plane(pair)
    if not isinstance(pair.reference.secondary, NotDefined):
        drawn["secondary"] = ensemble_figures.secondary_over_time(pair)
        drawn["secondary_shares"] = ensemble_figures.secondary_by_residue(pair, second)
    if not isinstance(pair.reference.exposed, NotDefined):
        drawn["exposed"] = ensemble_figures.exposure_by_residue(pair)
    return drawn


def _slow_map(evaluation: Evaluation) -> str | NotDefined:
    surface = evaluation.surfaces.get("TICA-0|TICA-1")
    if surface is not None:
        return figures.surface_pair(surface, angles=False)
    if isinstance(evaluation.tica_dimensions, NotDefined):
        return evaluation.tica_dimensions
    return NotDefined(f"TICA of the reference has {evaluation.tica_dimensions} dimension, a map takes two")


def _farthest(names: list[str], distances: dict[str, float], most: int) -> _Farthest:
    """At most that many names, those that differ most, in their own order."""
    kept = set(sorted(names, key=lambda name: -distances[name])[:most])
    return _Farthest([name for name in names if name in kept], len(names) - len(kept))
