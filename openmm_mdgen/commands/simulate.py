"""``openmm-mdgen simulate`` makes reference MD, to train on and to compare with.

Times in picosecond.
"""

from __future__ import annotations

import re
import secrets
import time as clock
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openmm_mdgen.commands.lists import require_workers, shared_out
from openmm_mdgen.commands.options import Format, Ph, Scheduler, Workers
from openmm_mdgen.commands.outputs import check_folder, check_inputs
from openmm_mdgen.commands.recording import Recording
from openmm_mdgen.commands.sources import Parameters, Positions, files_of, with_files
from openmm_mdgen.commands.stops import going_on
from openmm_mdgen.commands.terminal import folded, parse_time, tell_changes, whole_multiple
from openmm_mdgen.commands.trajectories import ending_of
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import PROTOCOL_FILE
from openmm_mdgen.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openmm_mdgen.md.conditions import MDProtocol
    from openmm_mdgen.md.kept_seeds import KeptSeeds
    from openmm_mdgen.md.prepare import Source
    from openmm_mdgen.md.production import MDSystem

_HEATING = 50.0  # ps, for what is built from a sequence


def simulate(
    out: Annotated[Path, typer.Option(help="Folder of the results. A run found there goes on.")],
    time: Annotated[str, typer.Option(help="Length of each trajectory, such as 100ns.")],
    sources: Annotated[
        list[str] | None, typer.Argument(help="Sequences such as AKLV or ACE-A-NME, or structure files.")
    ] = None,
    sequences: Annotated[
        Path | None, typer.Option(help="CSV file of more sequences, with the columns name, seqres, or both.")
    ] = None,
    rows: Annotated[str | None, typer.Option(help="Rows of the CSV file to take, such as 0:32. [default: all]")] = None,
    replicas: Annotated[int, typer.Option(min=1, help="Trajectories of each peptide, from different starts.")] = 1,
    frame_interval: Annotated[str, typer.Option(help="Time between frames, such as 100fs or 10ps.")] = "1ps",
    solvent: Annotated[
        str | None,
        typer.Option(
            help="Solvent model: implicit (GBn2) or explicit (TIP3P-FB). A .prmtop or .psf file brings its own. "
            "[default: implicit]"
        ),
    ] = None,
    step_size: Annotated[str, typer.Option(help="Step of the integrator; above 2fs, hydrogens weigh 3 Da.")] = "4fs",
    temperature: Annotated[float, typer.Option(min=1.0, help="Temperature in kelvin.")] = 350.0,
    equilibration: Annotated[str, typer.Option(help="Time simulated before the first frame that is kept.")] = "20ps",
    heating: Annotated[
        str | None,
        typer.Option(
            help="Time at 600 K, and as long again at --temperature, before what is kept, so that rotamers which a "
            "builder chose are forgotten; chirality and peptide bonds are held. [default: 50ps for sequences, none "
            "for structure files]"
        ),
    ] = None,
    packed: Annotated[int, typer.Option(min=1, help="Implicit-solvent peptides packed into one OpenMM System.")] = 16,
    positions: Positions = None,
    parameters: Parameters = None,
    ph: Ph = 7.0,
    platform: Annotated[str | None, typer.Option(help="Platform of OpenMM. [default: the fastest]")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of the CPU platform. [default: one for each core]")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**63 - 1,
            help="Seed of the starts and the random forces. [default: drawn, and printed; as it was of what is found "
            "in --out]",
        ),
    ] = None,
    format: Format = "xtc",
    scheduler: Scheduler = None,
    workers: Workers = None,
) -> None:
    """Simulate peptides in OpenMM, each in a folder of its own: NAME/NAME.pdb, NAME/NAME.xtc, NAME/protocol.json.

    --format asks for another format than XTC. NAME/manifest.json says how they were made, and NAME/NAME.N.end.npz holds
    where the last of N frames ended.

    Structures are PDB, mmCIF or GROMACS files. What they lack is added, and what is not protein is removed; each change
    is told in a line. A .prmtop or .psf file is simulated in its own force field with all that it holds, and the
    protein is recorded.

    Small implicit-solvent systems are packed into one OpenMM System. The force field is amber14 otherwise, and bonds to
    hydrogen are constrained. To go on with a run that was stopped, give the same command again; with a longer --time,
    finished trajectories are lengthened, and their frames stay. At the end, populations of rotamers and backbone basins
    in the first and the last fifth of the runs are compared.
    """
    from dataclasses import replace

    import torch

    from openmm_mdgen.md.conditions import MDProtocol
    from openmm_mdgen.md.kept_seeds import KeptSeeds
    from openmm_mdgen.md.production import simulate as produce
    from openmm_mdgen.md.systems import named_platform

    if rows is not None and sequences is None:
        raise MDGenError("--rows goes with --sequences, whose rows it names: leave it out")
    names = [*(sources or []), *(_listed(sequences, rows) if sequences else [])]
    if not names:
        raise MDGenError("nothing to simulate: give sequences, structure files, or --sequences FILE.csv")
    require_workers(scheduler, workers)
    check_folder(out)
    named_platform(platform)
    ending = ending_of(format)
    step, interval = parse_time("--step-size", step_size), parse_time("--frame-interval", frame_interval)
    duration = parse_time("--time", time)
    whole_multiple("--frame-interval", interval, step, "step of the integrator")
    whole_multiple("--time", duration, interval, "frame")
    protocol = MDProtocol(
        solvent=solvent or "implicit",
        duration=duration,
        frame_interval=interval,
        equilibration=parse_time("--equilibration", equilibration, may_be_zero=True),
        temperature=temperature,
        step_size=step,
        hydrogen_mass=3.0 if step > 0.002 else 1.008,
    )
    found = with_files(names, positions, parameters)
    own = [source.name for source in found if source.has_own_field]
    if own and solvent is not None:
        raise MDGenError(f"--solvent: {own[0]} brings its solvent; leave the option out, or simulate it apart")
    seeds = KeptSeeds(out)
    systems, drawn = _planned(found, replicas, seed, ph, seeds)
    systems = [replace(system, ending=ending) for system in systems]
    made = [path for system in systems for path in _files(out, system)]
    check_inputs(files_of(found), made)
    _tell_preparation(found, ph)
    hot = None if heating is None else parse_time("--heating", heating, may_be_zero=True)
    parts = [  # what is heated otherwise is not packed together
        (replace(protocol, heating=_HEATING if hot is None else hot), [s for s in systems if not s.structure.is_file]),
        (replace(protocol, heating=hot or 0.0), [s for s in systems if s.structure.is_file]),
    ]
    if threads is not None:
        torch.set_num_threads(threads)
    seeds.keep(systems)
    start, record, before = clock.perf_counter(), Recording([]), _stamps(out, systems)
    options: dict[str, Any] = {"group_size": packed, "platform": platform, "threads": threads}
    if scheduler is not None or workers is not None:
        _share_out(parts, out, options, scheduler, workers)
    else:
        with going_on(), progress_bar("simulating", len(systems) * protocol.n_frames) as advance:
            for part, members in parts:
                produce(members, out, part, progress=advance, **options)
    for part, members in parts:
        _record(record, out, part, [s for s in members if before[s.name] != _stamps(out, [s])[s.name]], platform)
    total = len(systems) * protocol.duration / 1000
    seeds.drop(systems)
    told = "" if drawn is None else f", seed {drawn}"
    typer.echo(f"{out}: {len(systems)} trajectories, {total:g} ns in sum{told}, {clock.perf_counter() - start:.0f} s")
    _tell_drift(out, systems)


def _planned(
    found: list[Source], replicas: int, seed: int | None, ph: float, seeds: KeptSeeds
) -> tuple[list[MDSystem], int | None]:
    """The systems, and the seed that was drawn for those which are new; None where none was."""
    from openmm_mdgen.md.kept_seeds import BEFORE_SEEDS_WERE_DRAWN
    from openmm_mdgen.md.planning import planned

    if seed is not None:
        return planned(found, replicas=replicas, seed=seed, ph=ph), None
    base = BEFORE_SEEDS_WERE_DRAWN if seeds.are_of_an_older_version else secrets.randbelow(2**31)
    new = planned(found, replicas=replicas, seed=base, ph=ph)
    systems = seeds.taken_up(new)
    return systems, base if any(one.seed == other.seed for one, other in zip(new, systems, strict=True)) else None


def _share_out(
    parts: list[tuple[MDProtocol, list[MDSystem]]],
    out: Path,
    options: dict[str, Any],
    scheduler: str | None,
    workers: int | None,
) -> None:
    """Let workers simulate, each a packed group at a time; by default on one thread."""
    from openmm_mdgen.md.production import grouped
    from openmm_mdgen.md.production import simulate as produce
    from openmm_mdgen.runs.many import Task

    common = {**options, "out": out.resolve(), "threads": options["threads"] or 1}
    tasks = [
        Task(group[0].name, produce, {**common, "systems": list(group), "protocol": part})
        for part, members in parts
        for group in grouped(members, out, part, group_size=options["group_size"])
    ]
    shared_out(tasks, "simulating", "groups", scheduler=scheduler, workers=workers)


def _stamps(out: Path, systems: Iterable[MDSystem]) -> dict[str, int]:
    """When each system was finished; 0 for those that are not."""
    paths = {system.name: out / system.name / PROTOCOL_FILE for system in systems}
    return {name: path.stat().st_mtime_ns if path.exists() else 0 for name, path in paths.items()}


def _record(record: Recording, out: Path, protocol: MDProtocol, made: Iterable[MDSystem], platform: str | None) -> None:
    """Write a manifest for each system that was made or lengthened."""
    import os

    from openmm_mdgen.manifest import this_machine
    from openmm_mdgen.md.systems import fastest_platform

    device = platform or fastest_platform().getName()
    for system in made:
        folder, source = out / system.name, system.structure
        record.part(
            _files(out, system),
            folder=folder,
            inputs=files_of([source]),
            seed=system.seed,
            machine=this_machine() | {"device": device, "cores": os.cpu_count()},
            conditions={
                "temperature": protocol.temperature,
                "frame_interval": protocol.frame_interval,
                "force_field": source.name if source.has_own_field else ", ".join(protocol.force_field),
            },
        ).write(about={"frames": protocol.n_frames})


def _tell_preparation(found: list[Source], ph: float) -> None:
    """Print what is changed in structures, or refuse what cannot be simulated, before any of them is."""
    from openmm_mdgen.md.own_fields import PreparedInOwnField

    for source in dict.fromkeys(found):
        if source.is_file:
            prepared = source.prepared(ph=ph)
            if isinstance(prepared, PreparedInOwnField):
                prepared.field.require_dynamics()
            tell_changes(source.name, prepared)


def _files(out: Path, system: MDSystem) -> list[Path]:
    """Topology and trajectory."""
    trajectory = system.trajectory(out)
    return [trajectory.with_suffix(".pdb"), trajectory]


def _tell_drift(out: Path, systems: list[MDSystem]) -> None:
    """Print what changes between the first and the last fifth of the runs, which equilibrated ones do not."""
    from openmm_mdgen.analysis.drift import drifts
    from openmm_mdgen.analysis.sources import TrajectoryFile, measure

    files = [_files(out, system) for system in systems]
    found = drifts([measure(TrajectoryFile(trajectory, topology)).torsions for topology, trajectory in files])
    for drift in found:
        typer.echo(folded(str(drift), 4))
    moving = [drift.kind for drift in found if drift.is_significant]
    if moving:
        told = (
            f"Populations of {' and '.join(moving)} still change: heat the starts for longer (--heating), discard more "
            "(--equilibration), or read the first part of the runs with care."
        )
        typer.echo(folded(told, 4))


def _listed(path: Path, rows: str | None) -> list[str]:
    """Sequences of a CSV file, from the rows of a slice such as ``0:32``."""
    from openmm_mdgen.data import read_split

    sequences = list(read_split(path).values())
    match = re.fullmatch(r"(\d*):(\d*)", rows or ":")
    if match is None:
        raise MDGenError(f"--rows {rows}: give a range such as 0:32")
    chosen = sequences[int(match[1] or 0) : int(match[2]) if match[2] else None]
    if not chosen:
        raise MDGenError(f"--rows {rows}: {path} has {len(sequences)} rows")
    return chosen
