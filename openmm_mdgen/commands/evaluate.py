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
from openmm_mdgen.commands.terminal import folded, parse_time
from openmm_mdgen.commands.trajectories import topology_of
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import require_file

if TYPE_CHECKING:
    from openmm_mdgen.analysis.sources import Source

_COLUMN = 24  # where numbers begin


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
    for line in str(evaluation).splitlines():
        say(folded(line, _COLUMN))


def _named(paths: list[Path]) -> str:
    return paths[0].name + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def _told(paths: list[Path], topology: Path) -> str:
    return f"{', '.join(map(str, paths))}, topology {topology}"
