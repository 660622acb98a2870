"""``openmm-mdgen benchmark``: real MD and generation of the same peptides, one after the other on this machine."""

from __future__ import annotations

import os
import platform as machine
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openmm_mdgen.commands.options import Device, Force, Json, Seed, Weights
from openmm_mdgen.commands.outputs import check_outputs, teller, write_numbers
from openmm_mdgen.commands.recording import Recording
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import replacing

if TYPE_CHECKING:
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
            "both; replicas NAME_0, NAME_1, ... are taken together. What a method is worth can be told up to half of "
            "its length. [default: four times as much MD as is timed, made here]"
        ),
    ] = None,
    generator: Weights = None,
    replicas: Annotated[
        int, typer.Option(min=1, help="Number of trajectories generated in one batch; a GPU has room for many.")
    ] = 1,
    packed: Annotated[
        int,
        typer.Option(
            min=0,
            help="Number of copies of packed MD, shared out among one process a core, at least eight each; a GPU has "
            "room for hundreds. Exploration runs as many. 0 leaves packed MD and exploration out.",
        ),
    ] = 16,
    device: Device = "auto",
    platform: Annotated[
        str | None, typer.Option(help="OpenMM platform of real MD. [default: the fastest on this machine]")
    ] = None,
    seed: Seed = None,
    json: Json = None,
    figure: Annotated[Path | None, typer.Option(help="File to write a figure to: .png, .svg or .pdf.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="File to write a report with all tables and the figure to, .html.")
    ] = None,
    force: Force = False,
) -> None:
    """Compare methods in the same wall time: how much each makes, and how near to long MD that is.

    The methods are real MD of one copy, packed MD of many copies, which is the fastest MD of small molecules,
    generation, and packed MD from generated frames, as it is and weighted by a Markov model. Each has --seconds for
    each peptide, one after the other. The length of real MD that each is worth is told with a 95 % interval.
    Minimisation of the start and compilation are not counted for any method.
    """
    if seconds <= 0:
        raise MDGenError(f"--seconds {seconds:g}: give a wall time above 0")
    check_outputs([("--json", json), ("--figure", figure), ("--report", report)], force=force)
    if figure is not None and figure.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise MDGenError(f"--figure {figure}: name a file that ends in .png, .svg or .pdf")
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise MDGenError(f"--report {report}: name a file that ends in .html")

    from openmm_mdgen.analysis.folders import replicas as replicas_in
    from openmm_mdgen.generators.registry import loaded
    from openmm_mdgen.md.structures import structure_of
    from openmm_mdgen.md.systems import named_platform
    from openmm_mdgen.report.benchmark import COUNTED, LongMD, Plan, compare, rows, worth_markdown
    from openmm_mdgen.report.benchmark_page import draw, write_page
    from openmm_mdgen.report.table import markdown
    from openmm_mdgen.report.timed_runs import known_interval
    from openmm_mdgen.runs.machine import known_of

    model = loaded(generator, device=device)
    seed = secrets.randbelow(2**31) if seed is None else seed
    record = Recording([json, figure, report], seed=seed, **known_of(model))
    plan = Plan(
        model,
        known_interval(model, "a benchmark"),
        seconds,
        replicas,
        packed,
        None if platform is None else named_platform(platform),
        seed,
    )
    known = {} if reference is None else replicas_in(reference)
    names = list(sequences or known or ["AKLV"])
    if reference is not None and (missing := [name for name in names if name not in known]):
        raise MDGenError(f"{reference} has no MD of {', '.join(missing)}: leave them or --reference out")
    starts = {}
    for name in names:
        structure = structure_of(known[name][0][0] if name in known else name, seed=seed)
        model.check(structure.topology)
        starts[name] = structure, LongMD.of_files(known[name]) if name in known else None

    found, say = [], teller(json)
    say(f"seed {seed}")
    for name, (structure, long_md) in starts.items():
        found.append(compare(name, structure.topology, structure.minimised(), long_md, plan))
        say(str(found[-1]))
    for text in [
        "",
        *markdown(rows(found)),
        "",
        f"after {seconds:g} s each:",
        "",
        *worth_markdown(found),
        "",
        *COUNTED,
    ]:
        say(text)
    facts = _facts(plan, generator, device, found[0].platform)
    say(f"real MD: {facts['openmm_platform']}; network: {facts['device']}, {facts['torch_threads']} threads")
    if json is not None:
        content = {**facts, "counted": COUNTED, "peptides": [comparison.as_dict() for comparison in found]}
        write_numbers(json, content)
    if figure is not None:
        with replacing(figure) as temporary:
            draw(temporary, found, seconds)
    if report is not None:
        write_page(report, found, facts)
    record.write()


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
        "packed_copies": plan.copies,
        "seed": plan.seed,
        "generator": generator or "default",
        "openmm_platform": platform_name,
        "device": told,
        "torch_threads": torch.get_num_threads(),
        "cpu_count": os.cpu_count(),
        "machine": machine.platform(),
        "versions": {"python": machine.python_version(), **{n: version(n) for n in ("torch", "openmm", "mdtraj")}},
    }
