"""``openmm-mdgen table``: Table 2 of Jing et al. 2024, over peptides with real MD.

The first half of each real MD is the reference; the second half is the *replicate*, whose beginnings are the rows of
shorter MD. No row shares a frame with the reference. Times in picosecond.
"""

from __future__ import annotations

import secrets
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openmm_mdgen.commands.comparison_options import Clusters, DefinitionsName, Lagtime, States
from openmm_mdgen.commands.lists import for_workers, require_workers, shared_out
from openmm_mdgen.commands.options import Device, Force, FormatKept, Json, Scheduler, Workers
from openmm_mdgen.commands.outputs import check_folder, check_outputs, teller, write_numbers
from openmm_mdgen.commands.recording import Recording
from openmm_mdgen.commands.run import run_one
from openmm_mdgen.commands.terminal import parse_time
from openmm_mdgen.commands.trajectories import ending_of
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.manifest import Manifest
from openmm_mdgen.times import nearest_multiples, whole_number

if TYPE_CHECKING:
    from openmm_mdgen.protocol import Generator
    from openmm_mdgen.report.protein_table import Proteins
    from openmm_mdgen.report.table import Row


def table(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder of real MD: NAME.pdb with NAME.xtc (or .dcd, ...) of each peptide or protein, 1 ns or more."
        ),
    ],
    generated: Annotated[
        Path | None, typer.Option(help="Folder of generated trajectories, laid out alike and of the same names.")
    ] = None,
    generator: Annotated[
        str | None,
        typer.Option(
            "--generator", "--weights", help="Generator that makes the trajectories: its name, or a file of weights."
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            help="Physical time that --generator generates of each peptide, such as 500ps, 10ns or 1us. [default: 10ns]"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to keep the trajectories in that --generator makes, each in NAME/. If the command was "
            "stopped, the same one goes on there; a trajectory that is finished is not made again. [default: none is "
            "kept]"
        ),
    ] = None,
    json: Json = None,
    lagtime: Lagtime = "100ps",
    clusters: Clusters = 100,
    states: States = 10,
    definitions: DefinitionsName = "published",
    device: Device = "auto",
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**31 - 1,
            help="Seed of generation, of k-means and of the bootstrap. [default: 137 for the latter two; that of "
            "generation is drawn and printed, or as it was where --out goes on]",
        ),
    ] = None,
    format: FormatKept = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
    force: Force = False,
) -> None:
    """Make Table 2 of Jing et al. 2024: distances to real MD of a generator and of shorter MD, as means over peptides.

    The first half of each real MD is the reference, the second half the replicate and the source of shorter MD. Of
    molecules of 10 residues or more a second table follows, a row for each and for each method: RMSF correlation,
    pairwise RMSD, secondary structure, contacts and the share of frames whose chain holds together, beside other MD of
    the same and of half the length; and one over all of them.

    Molecules are generated and measured one after the other, or shared out among --workers.
    """
    if (generated is None) == (generator is None):
        raise MDGenError("give either --generated FOLDER or --generator NAME")
    for option, value in (("--out", out), ("--time", time)):
        if value is not None and generator is None:
            raise MDGenError(f"{option} goes with --generator, whose trajectories it is for: leave it out")
    if format is not None and out is None:
        raise MDGenError(f"--format {format} goes with --out, whose trajectories it is for: leave it out")
    require_workers(scheduler, workers)
    ending = ending_of(format or "dcd")
    check_outputs([("--json", json)], force=force)
    time = time or "10ns"
    length, lag = parse_time("--time", time), parse_time("--lagtime", lagtime)

    from openmm_mdgen.analysis import Definitions
    from openmm_mdgen.analysis.folders import pairs
    from openmm_mdgen.analysis.results import plain
    from openmm_mdgen.analysis.states import SEED
    from openmm_mdgen.generators.registry import loaded
    from openmm_mdgen.report.protein_table import Proteins
    from openmm_mdgen.report.table import empty_rows, markdown
    from openmm_mdgen.runs.machine import known_of
    from openmm_mdgen.runs.many import Task

    options = {
        "lagtime": lag,
        "n_clusters": clusters,
        "n_states": states,
        "seed": SEED if seed is None else seed,
        "definitions": Definitions.named("--definitions", definitions),
    }
    references = {name: (pdb.resolve(), path.resolve()) for name, (pdb, path) in pairs(folder).items()}
    ready = {} if generated is None else pairs(generated)
    if generated is not None and (missing := sorted(set(references) - set(ready))):
        raise MDGenError(f"{generated} has no trajectory of {', '.join(missing)}, which {folder} has")
    model = None if generator is None else loaded(generator, device=device)
    seed = _seed(out) if seed is None and model else seed
    record = Recording([json], seed=seed, **(known_of(model) if model else {}))
    with ExitStack() as stack:
        if model is None:
            made = {name: (pdb.resolve(), path.resolve()) for name, (pdb, path) in ready.items()}
            tasks = [
                Task(name, _measured, {"name": name, "real": real, "made": made[name], "options": options})
                for name, real in references.items()
            ]
        else:
            assert seed is not None
            typer.echo(f"seed {seed} of generation", err=True)
            _check(model, references, length, seed)
            kept = check_folder(out) if out else Path(stack.enter_context(tempfile.TemporaryDirectory()))
            run = {"time": time, "seed": seed, "device": device, "generator": for_workers(generator)}
            common = {"out": kept.resolve(), "ending": ending, "options": options, "run": run}
            tasks = [
                Task(name, _generated_and_measured, {"name": name, "real": real, **common})
                for name, real in references.items()
            ]
        found = shared_out(tasks, "measuring", "molecules", scheduler=scheduler, workers=workers)

    rows, proteins = empty_rows(), Proteins()
    for measured in found:
        for name, row in rows.items():
            row.include(measured.rows[name])
        proteins.include(measured.proteins)
        typer.echo(f"{measured.name}: reference {measured.nanoseconds:.3g} ns", err=True)
    say = teller(json)
    for line in markdown(list(rows.values())) + proteins.markdown():
        say(line)
    if json is not None:
        content = {"settings": plain(options), "rows": [row.as_dict() for row in rows.values()]}
        write_numbers(json, content | {"ensembles": proteins.as_dict()})
    record.write()


@dataclass(frozen=True, eq=False)
class _Measured:
    """One molecule's part of the tables."""

    name: str
    nanoseconds: float  # of the reference
    rows: dict[str, Row]
    proteins: Proteins


def _measured(
    name: str, real: tuple[Path, Path], made: tuple[Path, Path], options: dict[str, Any], seconds: float | None = None
) -> _Measured:
    """Compare one molecule's generated trajectory; structures and trajectories are files."""
    from openmm_mdgen.analysis import TrajectoryFile
    from openmm_mdgen.analysis.folders import read_md
    from openmm_mdgen.report.protein_table import Proteins
    from openmm_mdgen.report.table import GENERATED, Halves, empty_rows, fill

    halves, rows, proteins = Halves.of(read_md(*real), real[1]), empty_rows(), Proteins()
    if seconds is not None:
        rows[GENERATED].seconds[name] = seconds
    proteins.add(name, *fill(rows, name, TrajectoryFile(made[1], made[0]), halves, options), halves, options)
    return _Measured(name, halves.nanoseconds, rows, proteins)


def _generated_and_measured(
    name: str, real: tuple[Path, Path], out: Path, ending: str, options: dict[str, Any], run: dict[str, Any]
) -> _Measured:
    """Generate one molecule's trajectory from its structure, minimised, where it is not there yet, and compare it."""
    path = out / name / f"{name}{ending}"
    row = run_one(structure=str(real[0]), out=path, **run)
    return _measured(name, real, (path.with_suffix(".pdb"), path), options, row.seconds)


def _check(generator: Generator, references: dict[str, tuple[Path, Path]], length: float, seed: int) -> None:
    """Raise `MDGenError` for a molecule that the generator cannot take, or a time that it has not a frame for."""
    from openmm_mdgen.md.structures import load_structure
    from openmm_mdgen.report.timed_runs import known_interval

    interval = known_interval(generator, "--time")
    n_frames = whole_number(length, interval)
    if n_frames is None or n_frames < 2:
        nearest = " or ".join(f"{time:g}ps" for time in nearest_multiples(length, interval))
        raise MDGenError(f"--time {length:g}ps: the generator makes a frame each {interval:g} ps, take {nearest}")
    for pdb, _ in references.values():
        generator.check(load_structure(pdb, seed=seed)[0])


def _seed(out: Path | None) -> int:
    """That of the trajectories which are kept in a folder already, else one that is drawn."""
    for path in sorted(out.glob("*/*.manifest.json")) if out else []:
        found = Manifest.read(path)
        if found is not None and found.seed is not None:
            return found.seed
    return secrets.randbelow(2**31)
