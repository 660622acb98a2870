"""``openmm-mdgen evaluate``: a trajectory of any program against real MD. Times in picosecond."""

from __future__ import annotations

import json as to_json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import openmm_mdgen
from openmm_mdgen.commands.comparison_options import Clusters, DefinitionsName, Lagtime, States
from openmm_mdgen.commands.options import Force, Json
from openmm_mdgen.commands.outputs import check_outputs, teller, write_numbers
from openmm_mdgen.commands.recording import Recording
from openmm_mdgen.commands.terminal import parse_time
from openmm_mdgen.commands.trajectories import topology_of
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import require_file

if TYPE_CHECKING:
    from openmm_mdgen.analysis import Evaluation
    from openmm_mdgen.analysis.comparison import Number
    from openmm_mdgen.analysis.sources import Source


def evaluate(
    generated: Annotated[
        list[Path],
        typer.Argument(
            help="Trajectory to compare, in any format that mdtraj reads. Several trajectories of one molecule are "
            "taken together, and give an error of each number."
        ),
    ],
    reference: Annotated[
        list[Path],
        typer.Option(
            help="Trajectory of real MD of the same molecule. Given several times, the trajectories are taken together."
        ),
    ],
    top: Annotated[
        Path | None,
        typer.Option(
            help="Topology of GENERATED, such as a PDB file. [default: GENERATED itself, where its format holds one]"
        ),
    ] = None,
    reference_top: Annotated[
        Path | None,
        typer.Option(
            help="Topology of the reference, such as a PDB file. [default: the reference itself, where its format "
            "holds one, else --top]"
        ),
    ] = None,
    replicate: Annotated[
        list[Path] | None,
        typer.Option(
            help="Trajectory of a second MD run, with the reference's topology: its distances show how near to the "
            "reference real MD itself comes. Given several times, the trajectories are taken together."
        ),
    ] = None,
    json: Json = None,
    report: Annotated[Path | None, typer.Option(help="File to write a report with figures to, .html.")] = None,
    definitions: DefinitionsName = "published",
    lagtime: Lagtime = "100ps",
    clusters: Clusters = 100,
    states: States = 10,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of k-means and of the bootstrap.")] = 137,
    frame_interval: Annotated[
        str | None,
        typer.Option(help="Time between the frames of GENERATED, such as 10ps. [default: as in the file]"),
    ] = None,
    reference_interval: Annotated[
        str | None,
        typer.Option(help="Time between the frames of reference and replicate. [default: as in the files]"),
    ] = None,
    generated_seconds: Annotated[float | None, typer.Option(help="Wall time in seconds that GENERATED took.")] = None,
    reference_seconds: Annotated[
        float | None, typer.Option(help="Wall time in seconds that the reference took.")
    ] = None,
    ensembles: Annotated[
        bool | None,
        typer.Option(
            "--ensembles/--no-ensembles",
            help="Compare fluctuations, contacts, exposed residues and secondary structure too, as for proteins, on at "
            "most 250 frames of each side, evenly spaced. [default: for molecules of 10 residues or more]",
            show_default=False,
        ),
    ] = None,
    structure: Annotated[
        Path | None,
        typer.Option(
            help="Structure of the protein, such as a PDB file of the experimental one: contacts and exposed residues "
            "are told as changes from it. [default: the first frame of the reference]"
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Compare a trajectory with real MD of the same molecule.

    The distances are square roots of Jensen-Shannon divergences: 0 for equal distributions, 0.83 for disjoint ones. For
    a number that cannot be computed, the reason is given. What both have is compared, residue by residue along the
    chain: files may be numbered and named by other programs, and may lack hydrogens, side chains or all but C-alpha
    atoms. What is left out is named.
    """
    top = topology_of(generated[0], top)
    md_top = topology_of(reference[0], reference_top, top)
    inputs = [*generated, top, *reference, md_top, *(replicate or []), *([structure] if structure else [])]
    for path in inputs:
        require_file(path)
    check_outputs([("--json", json), ("--report", report)], inputs=inputs, force=force)
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise MDGenError(f"--report {report}: name a file that ends in .html")
    record = Recording([json, report], inputs=inputs, seed=seed)
    lag = parse_time("--lagtime", lagtime)
    interval = None if frame_interval is None else parse_time("--frame-interval", frame_interval)
    md_interval = None if reference_interval is None else parse_time("--reference-interval", reference_interval)

    from openmm_mdgen import analysis

    ours: list[Source] = [analysis.TrajectoryFile(path, top, interval) for path in generated]
    theirs: list[Source] = [analysis.TrajectoryFile(path, md_top, md_interval) for path in reference]
    again = [analysis.TrajectoryFile(path, md_top, md_interval) for path in replicate or []]
    evaluation = analysis.evaluate(
        ours,
        theirs,
        replicate=again or None,
        definitions=analysis.Definitions.named("--definitions", definitions),
        lagtime=lag,
        n_clusters=clusters,
        n_states=states,
        seed=seed,
        generated_seconds=generated_seconds,
        reference_seconds=reference_seconds,
        ensembles=ensembles,
        structure=None if structure is None else analysis.TrajectoryFile(structure, structure),
    )
    compared = {"generated": _told(generated, top), "real MD": _told(reference, md_top)}
    if replicate:
        compared["second MD run"] = _told(replicate, md_top)
    if structure is not None:
        compared["structure"] = str(structure)
    if json is not None:
        facts = {"inputs": compared, "openmm_mdgen": openmm_mdgen.__version__}
        write_numbers(json, facts | to_json.loads(evaluation.to_json()))
    if report is not None:
        from openmm_mdgen.report import write_report

        title = f"{_named(generated)} beside real MD ({_named(reference)})"
        write_report(report, evaluation, ours, theirs, title=title, inputs=compared)
    record.write()
    say = teller(json)
    for line in summary(evaluation):
        say(line)


def _named(paths: list[Path]) -> str:
    return paths[0].name + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def _told(paths: list[Path], topology: Path) -> str:
    return f"{', '.join(map(str, paths))}, topology {topology}"


def summary(evaluation: Evaluation) -> list[str]:
    """Lines for the terminal: each number with its error where there is one, and a second MD run's where there is."""
    from openmm_mdgen.analysis import NotDefined
    from openmm_mdgen.analysis.metrics import labels

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


def _kinetic_lines(evaluation: Evaluation) -> list[str]:
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


def _ensemble_lines(evaluation: Evaluation) -> list[str]:
    """The measures of a protein's ensembles, and both measures of whether its chain holds together."""
    from openmm_mdgen.analysis import NotDefined
    from openmm_mdgen.analysis.proteins import measures
    from openmm_mdgen.analysis.validity import SHARES

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


def _left_out(evaluation: Evaluation) -> list[str]:
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
