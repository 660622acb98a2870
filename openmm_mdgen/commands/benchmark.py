"""``openmm-mdgen benchmark``: real MD and generation of the same peptides, one after the other on this machine."""

from __future__ import annotations

import os
import platform as machine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openmm_mdgen.commands.options import Device, Force, Weights
from openmm_mdgen.commands.outputs import check_outputs
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import replacing, write_json

if TYPE_CHECKING:
    import openmm

    from openmm_mdgen.report.benchmark import Plan


def benchmark(
    sequences: Annotated[
        list[str] | None,
        typer.Argument(help="Peptides in one-letter codes. [default: AKLV, or all peptides in the folder --reference]"),
    ] = None,
    seconds: Annotated[float, typer.Option(help="Wall time in seconds of each method, for each peptide.")] = 30.0,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Folder of long MD to measure distances to: NAME.pdb with NAME.xtc (or .dcd, ...), or NAME/ with "
            "both. [default: four times as much MD as is timed, made here]"
        ),
    ] = None,
    generator: Weights = None,
    replicas: Annotated[
        int, typer.Option(min=1, help="Number of trajectories generated in one batch; a GPU has room for many.")
    ] = 1,
    device: Device = "auto",
    platform: Annotated[
        str | None, typer.Option(help="OpenMM platform of real MD. [default: the fastest on this machine]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of MD, of generation and of structures.")] = 0,
    json: Annotated[Path | None, typer.Option(help="File to write all numbers to, .json.")] = None,
    figure: Annotated[Path | None, typer.Option(help="File to write a figure to: .png, .svg or .pdf.")] = None,
    force: Force = False,
) -> None:
    """Compare the speed of real MD and of generation, and how near each comes to long MD in the same wall time."""
    if not 0 < seconds < float("inf"):
        raise MDGenError(f"--seconds {seconds:g}: give a wall time above 0")
    check_outputs([("--json", json), ("--figure", figure)], force=force)
    if figure is not None and figure.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise MDGenError(f"--figure {figure}: name a file that ends in .png, .svg or .pdf")

    from openmm_mdgen.analysis.folders import pairs
    from openmm_mdgen.generators.registry import loaded
    from openmm_mdgen.md.structures import load_structure
    from openmm_mdgen.report.benchmark import LongMD, Plan, compare, draw, rows
    from openmm_mdgen.report.table import markdown
    from openmm_mdgen.report.timed_runs import known_interval

    model = loaded(generator, device=device)
    plan = Plan(model, known_interval(model, "a benchmark"), seconds, replicas, _platform(platform), seed)
    known = {} if reference is None else pairs(reference)
    names = list(sequences or known or ["AKLV"])
    if reference is not None and (missing := [name for name in names if name not in known]):
        raise MDGenError(f"{reference} has no MD of {', '.join(missing)}: leave them or --reference out")
    starts = {}
    for name in names:
        topology, positions = load_structure(known[name][0] if name in known else name, seed=seed)
        model.check(topology)
        starts[name] = (topology, positions, LongMD.of_files(*known[name]) if name in known else None)

    found = []
    for name, (topology, positions, long_md) in starts.items():
        found.append(compare(name, topology, positions, long_md, plan))
        typer.echo(str(found[-1]))
    for text in markdown(rows(found)):
        typer.echo(text)
    facts = _facts(plan, generator, device, found[0].platform)
    typer.echo(f"real MD: {facts['openmm_platform']}; network: {facts['device']}, {facts['torch_threads']} threads")
    if json is not None:
        write_json(json, {**facts, "peptides": [comparison.as_dict() for comparison in found]})
    if figure is not None:
        with replacing(figure) as temporary:
            draw(temporary, found, seconds)


def _platform(name: str | None) -> openmm.Platform | None:
    import openmm

    try:
        return None if name is None else openmm.Platform.getPlatformByName(name)
    except openmm.OpenMMException as error:
        raise MDGenError(f"--platform {name}: {error}") from error


def _facts(plan: Plan, generator: str | None, device: str, platform_name: str) -> dict:
    from importlib.metadata import version

    import torch

    from openmm_mdgen.generators.sampler import device_of

    resolved = device_of(device)
    told = str(resolved)
    if resolved.type == "cuda":
        told = f"{told} ({torch.cuda.get_device_name(resolved)})"
    return {
        "seconds": plan.seconds,
        "replicas": plan.replicas,
        "seed": plan.seed,
        "generator": generator or "default",
        "openmm_platform": platform_name,
        "device": told,
        "torch_threads": torch.get_num_threads(),
        "cpu_count": os.cpu_count(),
        "machine": machine.platform(),
        "versions": {"python": machine.python_version(), **{n: version(n) for n in ("torch", "openmm", "mdtraj")}},
    }
