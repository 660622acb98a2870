"""``openmm-mdgen interpolate``: paths between two structures. Times in picosecond."""

from __future__ import annotations

import secrets
import time as clock
from pathlib import Path
from typing import Annotated

import typer

from openmm_mdgen.commands.options import Device, Evaluations, Force, Format, OdeSolver, Ph, Seed, Temperature, Weights
from openmm_mdgen.commands.outputs import check_folder, check_outputs
from openmm_mdgen.commands.recording import Recording
from openmm_mdgen.commands.sources import Parameters, Positions, files_of, with_files
from openmm_mdgen.commands.terminal import parse_time, tell_changes
from openmm_mdgen.commands.trajectories import ending_of, write_frames


def interpolate(
    start: Annotated[str, typer.Argument(help="File of the first structure (.pdb, .cif, .gro, .prmtop or .psf).")],
    end: Annotated[str, typer.Argument(help="File of the last structure, of the same molecule.")],
    out: Annotated[Path, typer.Option(help="Folder for path_000.dcd and so on, and topology.pdb; made if it is new.")],
    time: Annotated[
        str | None, typer.Option(help="Physical time from start to end, such as 1ns. [default: that of the weights]")
    ] = None,
    paths: Annotated[int, typer.Option(min=1, help="Number of paths to generate.")] = 1,
    seed: Seed = None,
    generator: Weights = None,
    positions: Positions = None,
    parameters: Parameters = None,
    ph: Ph = 7.0,
    device: Device = "auto",
    ode_solver: OdeSolver = None,
    evaluations: Evaluations = None,
    temperature: Temperature = None,
    format: Format = "dcd",
    force: Force = False,
) -> None:
    """Generate paths from one structure of a peptide to another.

    The first frame of a path is the start, the last is the end laid over it. What a file lacks is added, and what is
    not protein is removed; each change is told in a line.
    """
    ends = with_files([start, end], positions, parameters)
    duration = None if time is None else parse_time("--time", time)
    ending = ending_of(format)
    names = [check_folder(out) / f"path_{k:03d}{ending}" for k in range(paths)]
    topology_path = out / "topology.pdb"
    if out.is_dir():
        check_outputs([("--out", path) for path in (*names, topology_path)], inputs=files_of(ends), force=force)

    from openmm_mdgen.generators.registry import set_temperature
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator
    from openmm_mdgen.md.structures import write_pdb
    from openmm_mdgen.molecule.inputs import atom_order
    from openmm_mdgen.runs.machine import known_of

    model = TrajectoryGenerator.load(
        generator, task="interpolation", device=device, ode_solver=ode_solver, evaluations=evaluations
    )
    set_temperature(model, temperature)
    seed = secrets.randbelow(2**31) if seed is None else seed
    record = Recording([*names, topology_path], inputs=files_of(ends), folder=out, seed=seed, **known_of(model))
    first, last = (source.prepared(ph=ph, seed=seed) for source in ends)
    topology = first.topology
    in_order = last.positions[atom_order(end, last.topology, topology)]
    begun = clock.perf_counter()
    made = model.interpolate(topology, first.positions, in_order, paths=paths, seed=seed, duration=duration)
    out.mkdir(parents=True, exist_ok=True)
    write_pdb(topology_path, topology, first.positions)
    for name, path in zip(names, made, strict=True):
        write_frames(name, topology, path.xyz, model.frame_interval)
    record.write(about={"frames": made[0].n_frames})
    for structure, prepared in ((start, first), (end, last)):
        tell_changes(structure, prepared)
    typer.echo(
        f"{names[0]}{'' if paths == 1 else f' to {names[-1].name}'}: {made[0].n_frames} frames each, "
        f"{model.frame_interval:g} ps apart, topology {topology_path}, seed {seed}; generated in "
        f"{clock.perf_counter() - begun:.1f} s"
    )
