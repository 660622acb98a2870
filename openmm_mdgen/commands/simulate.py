"""``openmm-mdgen simulate``: reference MD to train on and to compare with."""

from __future__ import annotations

import re
import time as clock
from pathlib import Path
from typing import Annotated

import typer

from openmm_mdgen.commands.terminal import parse_time, progress_bar
from openmm_mdgen.errors import MDGenError


def simulate(
    out: Annotated[Path, typer.Option(help="Folder; a run found there is taken up again.")],
    time: Annotated[str, typer.Option(help="Physical time of each trajectory, such as 100ns.")],
    sources: Annotated[list[str] | None, typer.Argument(help="Sequences of one-letter codes, or PDB files.")] = None,
    sequences: Annotated[
        Path | None, typer.Option(help="CSV with columns name, seqres, or both: more sequences.")
    ] = None,
    rows: Annotated[str | None, typer.Option(help="Rows of it, such as 0:32. [default: all]")] = None,
    replicas: Annotated[int, typer.Option(min=1, help="Trajectories of each, from different starts.")] = 1,
    frame_interval: Annotated[str, typer.Option(help="Time between frames; 100fs and up.")] = "1ps",
    solvent: Annotated[str, typer.Option(help="implicit (GBn2) or explicit (TIP3P-FB).")] = "implicit",
    step_size: Annotated[str, typer.Option(help="Of the integrator: 2fs, or 4fs with hydrogens of 3 Da.")] = "4fs",
    temperature: Annotated[float, typer.Option(min=1.0, help="Kelvin.")] = 350.0,
    equilibration: Annotated[str, typer.Option(help="Not kept.")] = "20ps",
    packed: Annotated[int, typer.Option(min=1, help="Implicit-solvent peptides in one OpenMM System.")] = 16,
    platform: Annotated[str | None, typer.Option(help="Of OpenMM. [default: the fastest]")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the CPU platform. [default: all cores]")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Simulate peptides in OpenMM, one folder each: NAME/NAME.pdb, NAME/NAME.xtc and the protocol as JSON.

    Small implicit-solvent systems are packed into one OpenMM System. The force field is amber14, bonds to hydrogen are
    constrained. A run that was stopped goes on where it was: give the same command again.
    """
    import torch

    from openmm_mdgen.md.conditions import MDProtocol
    from openmm_mdgen.md.production import planned
    from openmm_mdgen.md.production import simulate as produce

    names = [*(sources or []), *(_listed(sequences, rows) if sequences else [])]
    if not names:
        raise MDGenError("nothing to simulate: give sequences, PDB files, or --sequences FILE.csv")
    step = parse_time("--step-size", step_size)
    protocol = MDProtocol(
        solvent=solvent,
        duration=parse_time("--time", time),
        frame_interval=parse_time("--frame-interval", frame_interval),
        equilibration=parse_time("--equilibration", equilibration),
        temperature=temperature,
        step_size=step,
        hydrogen_mass=3.0 if step > 0.002 else 1.008,
    )
    systems = planned(names, replicas=replicas, seed=seed)
    if threads is not None:
        torch.set_num_threads(threads)
    start = clock.perf_counter()
    with progress_bar("simulating", len(systems) * protocol.n_frames) as advance:
        produce(systems, out, protocol, group_size=packed, platform=platform, threads=threads, progress=advance)
    total = len(systems) * protocol.duration / 1000
    typer.echo(f"{out}: {len(systems)} trajectories, {total:g} ns in sum, {clock.perf_counter() - start:.0f} s")


def _listed(path: Path, rows: str | None) -> list[str]:
    """Sequences in a CSV file, those of a slice such as ``0:32``."""
    from openmm_mdgen.data import read_split

    sequences = list(read_split(path).values())
    match = re.fullmatch(r"(\d*):(\d*)", rows or ":")
    if match is None:
        raise MDGenError(f"--rows {rows}: give a range such as 0:32")
    chosen = sequences[int(match[1] or 0) : int(match[2]) if match[2] else None]
    if not chosen:
        raise MDGenError(f"--rows {rows}: {path} has {len(sequences)} rows")
    return chosen
