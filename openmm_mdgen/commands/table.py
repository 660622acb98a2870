"""``openmm-mdgen table``: Table 2 of Jing et al. 2024, over peptides with real MD.

The first half of each real MD is the reference; what comes after is the *replicate*, whose beginnings are the rows of
shorter MD. No row shares a frame with the reference. Times in picosecond.
"""

from __future__ import annotations

import time as clock
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openmm_mdgen.commands.options import Device, Force
from openmm_mdgen.commands.outputs import check_outputs
from openmm_mdgen.commands.terminal import parse_time
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import write_json

if TYPE_CHECKING:
    import mdtraj

    from openmm_mdgen.analysis import TrajectoryFile
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator
    from openmm_mdgen.report.table import Row

LENGTHS = {"MD, 100 ps": 100.0, "MD, 1 ns": 1000.0, "MD, 10 ns": 10_000.0}


def table(
    folder: Annotated[Path, typer.Argument(help="Real MD: NAME.pdb with NAME.xtc (or .dcd, ...) of each peptide.")],
    generated: Annotated[Path | None, typer.Option(help="Folder of generated trajectories of the same names.")] = None,
    weights: Annotated[str | None, typer.Option(help="Generate them with these, a bundled name or a file.")] = None,
    time: Annotated[str, typer.Option(help="To generate with --weights, of each peptide.")] = "10ns",
    json: Annotated[Path | None, typer.Option(help="File for all numbers.")] = None,
    lagtime: Annotated[str, typer.Option(help="Of TICA and the Markov models.")] = "100ps",
    clusters: Annotated[int, typer.Option(help="Of k-means.")] = 100,
    states: Annotated[int, typer.Option(help="Metastable ones.")] = 10,
    definitions: Annotated[
        str, typer.Option(help="published, for numbers comparable with the paper's; or sound.")
    ] = "published",
    device: Device = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of generation, k-means and the bootstrap.")] = 137,
    force: Force = False,
) -> None:
    """Distances to real MD of a generator and of shorter MD, as means over peptides.

    The first half of each real MD is the reference, the second half the replicate and the source of shorter MD.
    """
    if (generated is None) == (weights is None):
        raise MDGenError("give either --generated FOLDER or --weights NAME")
    check_outputs([("--json", json)], force=force)
    length, lag = parse_time("--time", time), parse_time("--lagtime", lagtime)

    from openmm_mdgen.analysis import Definitions, TrajectoryFile
    from openmm_mdgen.analysis.folders import pairs, read_md
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator
    from openmm_mdgen.report.table import Row, markdown

    options = {
        "lagtime": lag,
        "n_clusters": clusters,
        "n_states": states,
        "seed": seed,
        "definitions": Definitions.named("--definitions", definitions),
    }
    references = pairs(folder)
    ready = {}
    if generated is not None:
        ready = pairs(generated)
        if missing := sorted(set(references) - set(ready)):
            raise MDGenError(f"{generated} has no trajectory of {', '.join(missing)}, which {folder} has")
    model = None if weights is None else TrajectoryGenerator.load(weights, device=device)

    rows = {name: Row(name) for name in ("generated", *LENGTHS, "MD, replicate")}
    for name, (pdb, path) in references.items():
        md = read_md(pdb, path)
        half = md.n_frames // 2
        if half < 2:
            raise MDGenError(f"{path} has {md.n_frames} frames: too few to be cut into halves")
        reference, replicate = md[:half], md[half:]
        source: TrajectoryFile | mdtraj.Trajectory
        if model is None:
            source = TrajectoryFile(ready[name][1], ready[name][0])
        else:
            source, rows["generated"].seconds[name] = _generate(model, pdb, length, seed)
        rows["generated"].values[name] = _distances(source, reference, options)
        for label, duration in LENGTHS.items():
            rows[label].values[name] = _beginning(replicate, duration, reference, options)
        rows["MD, replicate"].values[name] = _distances(replicate, reference, options)
        typer.echo(f"{name}: reference {half * md.timestep / 1000:.3g} ns", err=True)
    for line in markdown(list(rows.values())):
        typer.echo(line)
    if json is not None:
        _write(json, list(rows.values()), options)


def _distances(
    source: TrajectoryFile | mdtraj.Trajectory, reference: mdtraj.Trajectory, options: dict
) -> dict[str, float | str]:
    from openmm_mdgen.analysis import evaluate
    from openmm_mdgen.report.table import distances

    return distances(evaluate(source, reference, **options))


def _beginning(
    md: mdtraj.Trajectory, duration: float, reference: mdtraj.Trajectory, options: dict
) -> dict[str, float | str]:
    from openmm_mdgen.report.table import DISTANCES

    n_frames = round(duration / md.timestep)
    if n_frames > md.n_frames:
        longest = f"{md.n_frames * md.timestep / 1000:.3g} ns"
        return dict.fromkeys(
            DISTANCES, f"not defined: the second half of real MD is {longest}, not {duration / 1000:g} ns"
        )
    if n_frames < 2:
        return dict.fromkeys(DISTANCES, f"not defined: {duration:g} ps hold fewer than 2 frames of the real MD")
    return _distances(md[:n_frames], reference, options)


def _generate(model: TrajectoryGenerator, pdb: Path, length: float, seed: int) -> tuple[mdtraj.Trajectory, float]:
    """A trajectory from the PDB file's structure, minimised, and the seconds that it took."""
    from openmm_mdgen.md.structures import load_structure
    from openmm_mdgen.md.systems import relaxed

    topology, positions = load_structure(pdb, seed=seed)
    model.check(topology)
    start = relaxed(topology, positions)
    n_frames = max(round(length / model.frame_interval), 2)
    began = clock.perf_counter()
    trajectory = model.rollout(topology, start, n_frames, seed=seed)
    return trajectory, clock.perf_counter() - began


def _write(path: Path, rows: list[Row], options: dict) -> None:
    from openmm_mdgen.analysis.results import plain

    write_json(path, {"settings": plain(options), "rows": [asdict(row) for row in rows]})
