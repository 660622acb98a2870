"""``openmm-mdgen evaluate``: a trajectory of any program against real MD. Times in picosecond."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import openmm_mdgen
from openmm_mdgen.commands.comparison_options import Clusters, DefinitionsName, Lagtime, States
from openmm_mdgen.commands.options import Force
from openmm_mdgen.commands.outputs import check_outputs
from openmm_mdgen.commands.terminal import parse_time
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import write_json

if TYPE_CHECKING:
    from openmm_mdgen.analysis import Evaluation, NotDefined


def evaluate(
    generated: Annotated[Path, typer.Argument(help="Trajectory to compare, in any format that mdtraj reads.")],
    top: Annotated[Path, typer.Option(help="Topology of GENERATED, such as a PDB file.")],
    reference: Annotated[Path, typer.Option(help="Trajectory of real MD of the same molecule.")],
    reference_top: Annotated[
        Path | None, typer.Option(help="Topology of the reference, such as a PDB file. [default: --top]")
    ] = None,
    replicate: Annotated[
        Path | None,
        typer.Option(
            help="Trajectory of a second MD run, with the reference's topology: its distances show how near to the "
            "reference real MD itself comes."
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="File to write all numbers to, .json.")] = None,
    report: Annotated[Path | None, typer.Option(help="File to write a report with figures to, .html.")] = None,
    definitions: DefinitionsName = "published",
    lagtime: Lagtime = "100ps",
    clusters: Clusters = 100,
    states: States = 10,
    seed: Annotated[int, typer.Option(help="Seed of k-means and of the bootstrap.")] = 137,
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
    force: Force = False,
) -> None:
    """Compare a trajectory with real MD of the same molecule.

    The distances are square roots of Jensen-Shannon divergences: 0 for equal distributions, 0.83 for disjoint ones. For
    a number that cannot be computed, the reason is given.
    """
    inputs = [path for path in (generated, top, reference, reference_top, replicate) if path is not None]
    for path in inputs:
        if not path.is_file():
            raise MDGenError(f"{path}: no such file")
    check_outputs([("--json", json), ("--report", report)], inputs=inputs, force=force)
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise MDGenError(f"--report {report}: name a file that ends in .html")
    lag = parse_time("--lagtime", lagtime)
    interval = None if frame_interval is None else parse_time("--frame-interval", frame_interval)
    md_interval = None if reference_interval is None else parse_time("--reference-interval", reference_interval)

    from openmm_mdgen import analysis

    md_top = top if reference_top is None else reference_top
    ours = analysis.TrajectoryFile(generated, top, interval)
    theirs = analysis.TrajectoryFile(reference, md_top, md_interval)
    evaluation = analysis.evaluate(
        ours,
        theirs,
        replicate=None if replicate is None else analysis.TrajectoryFile(replicate, md_top, md_interval),
        definitions=analysis.Definitions.named("--definitions", definitions),
        lagtime=lag,
        n_clusters=clusters,
        n_states=states,
        seed=seed,
        generated_seconds=generated_seconds,
        reference_seconds=reference_seconds,
    )
    compared = {"generated": f"{generated}, topology {top}", "real MD": f"{reference}, topology {md_top}"}
    if replicate is not None:
        compared["second MD run"] = f"{replicate}, topology {md_top}"
    if json is not None:
        _write_json(json, evaluation, compared)
    if report is not None:
        from openmm_mdgen.report import write_report

        title = f"{generated.name} beside real MD ({reference.name})"
        write_report(report, evaluation, ours, theirs, title=title, inputs=compared)
    for line in summary(evaluation):
        typer.echo(line)


def _write_json(path: Path, evaluation: Evaluation, inputs: dict[str, str]) -> None:
    import json

    content = {"inputs": inputs, "openmm_mdgen": openmm_mdgen.__version__, **json.loads(evaluation.to_json())}
    write_json(path, content)


def summary(evaluation: Evaluation) -> list[str]:
    """Lines for the terminal."""
    from openmm_mdgen.analysis import NotDefined

    equivalent = evaluation.equivalent_md_time
    lines = [f"{label:24}{_text(value, '{:.3f}')}" for label, value in evaluation.jsd.labelled().items()]
    worth = equivalent if isinstance(equivalent, NotDefined) else equivalent.time
    lines.append(f"{'equivalent MD time':24}{_text(worth, '{:.4g} ps')}")
    lines.append(f"{'whole molecules':24}{evaluation.validity.generated.valid:.1%}")
    return lines


def _text(value: float | NotDefined, form: str) -> str:
    return form.format(value) if isinstance(value, float) else str(value)
