"""``openmm-mdgen upsample``: the motion between the frames of a trajectory. Times in picosecond."""

from __future__ import annotations

import secrets
import time as clock
from pathlib import Path
from typing import Annotated

import typer

from openmm_mdgen.commands.options import (
    Device,
    Evaluations,
    Force,
    FrameInterval,
    OdeSolver,
    Seed,
    Temperature,
    Weights,
)
from openmm_mdgen.commands.outputs import check_outputs
from openmm_mdgen.commands.recording import Recording
from openmm_mdgen.commands.terminal import parse_time
from openmm_mdgen.commands.trajectories import read_trajectory, topology_of, write_frames


def upsample(
    trajectory: Annotated[Path, typer.Argument(help="Trajectory in any format that mdtraj reads, hydrogens included.")],
    top: Annotated[
        Path | None,
        typer.Option(
            help="Topology of the trajectory, such as a PDB file. [default: the trajectory, where its format holds one]"
        ),
    ] = None,
    factor: Annotated[
        int | None,
        typer.Option(min=2, help="Number of generated frames for each given one. [default: that of the weights]"),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            help="Trajectory file to write: .dcd, .xtc, .trr, .nc (NetCDF of AMBER) or .h5 (HDF5, which needs "
            "PyTables); its topology is written to a .pdb file beside it."
        ),
    ] = Path("fine.dcd"),
    seed: Seed = None,
    frame_interval: FrameInterval = None,
    generator: Weights = None,
    device: Device = "auto",
    ode_solver: OdeSolver = None,
    evaluations: Evaluations = None,
    temperature: Temperature = None,
    force: Force = False,
) -> None:
    """Generate the frames between those of a trajectory, which stay as they are."""
    from openmm_mdgen.md.trajectory_files import require_format

    stated = None if frame_interval is None else parse_time("--frame-interval", frame_interval)
    require_format("--out", out)
    top = topology_of(trajectory, top)
    topology_path = out.with_suffix(".pdb")
    check_outputs([("--out", out), ("--out", topology_path)], inputs=[trajectory, top], force=force)

    from openmm_mdgen.generators.registry import set_temperature
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator
    from openmm_mdgen.md.structures import write_pdb
    from openmm_mdgen.runs.machine import known_of

    model = TrajectoryGenerator.load(
        generator, task="upsampling", device=device, ode_solver=ode_solver, evaluations=evaluations
    )
    set_temperature(model, temperature)
    seed = secrets.randbelow(2**31) if seed is None else seed
    record = Recording([out, topology_path], inputs=[trajectory, top], seed=seed, **known_of(model))
    given, interval = read_trajectory(trajectory, top, stated)
    begun = clock.perf_counter()
    fine = model.upsample(given, factor, seed=seed, frame_interval=interval)
    topology = fine.topology.to_openmm()
    write_pdb(topology_path, topology, fine.xyz[0])
    write_frames(out, topology, fine.xyz, model.frame_interval)
    record.write(about={"frames": fine.n_frames})
    typer.echo(
        f"{out}: {fine.n_frames} frames, {model.frame_interval:g} ps apart, topology {topology_path}, seed {seed}; "
        f"generated in {clock.perf_counter() - begun:.1f} s"
    )
