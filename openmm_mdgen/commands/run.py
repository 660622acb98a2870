"""``openmm-mdgen run``: a trajectory from a PDB file or a sequence.

Times in picosecond. A *report* is a frame that is written: every ``stride``-th generated one.
"""

from __future__ import annotations

import secrets
import time as clock
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openmm_mdgen.commands.options import Device, Force, OdeSolver, Weights
from openmm_mdgen.commands.outputs import check_outputs
from openmm_mdgen.commands.terminal import parse_time, progress_bar
from openmm_mdgen.errors import MDGenError, ReportIntervalError
from openmm_mdgen.files import replacing

if TYPE_CHECKING:
    import numpy as np
    from openmm import app

    from openmm_mdgen.generators.trajectory import TrajectoryGenerator

_STEP_SIZE = 0.004  # ps, of the integrator: trajectory files count time in steps
_FORMATS = (".dcd", ".xtc")
# Forces serve the minimisation alone, so the CPU will do; with one thread it gives the same start every time.
_PLATFORM, _PLATFORM_PROPERTIES = "CPU", {"Threads": "1"}


@dataclass(frozen=True)
class _Job:
    """A run that has been found possible."""

    generator: TrajectoryGenerator
    topology: app.Topology
    positions: np.ndarray  # (n_atoms, 3), nm, as loaded
    n_reports: int
    stride: int  # generated frames a report
    report_steps: int  # integrator steps a report
    seed: int


def run(
    structure: Annotated[str, typer.Argument(help="A PDB file, or a sequence of one-letter codes.")],
    time: Annotated[str, typer.Option(help="Physical time to generate, such as 500ps, 10ns or 1us.")],
    out: Annotated[Path, typer.Option(help="Trajectory, .dcd or .xtc; the topology goes to a .pdb beside it.")] = Path(
        "traj.dcd"
    ),
    seed: Annotated[int | None, typer.Option(min=0, help="Same seed, same trajectory. Drawn if absent.")] = None,
    generator: Weights = None,
    replicas: Annotated[int, typer.Option(min=1, help="Independent trajectories, NAME_000.dcd and so on.")] = 1,
    device: Device = "auto",
    report_interval: Annotated[str | None, typer.Option(help="Time between written frames. [default: all]")] = None,
    ode_solver: OdeSolver = None,
    evaluations: Annotated[int | None, typer.Option(help="Of the network, a segment. [default: the solver's]")] = None,
    force: Force = False,
) -> None:
    """Generate the trajectory of a peptide.

    The structure is minimised in amber14 with GBn2. The topology file holds that start, the trajectory what follows it.
    """
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator
    from openmm_mdgen.md.structures import write_pdb
    from openmm_mdgen.md.systems import relaxed

    total = parse_time("--time", time)
    interval = None if report_interval is None else parse_time("--report-interval", report_interval)
    topology_path, trajectory_paths = _output_paths(out, replicas)
    outputs = [("--out", path) for path in (topology_path, *trajectory_paths)]
    check_outputs(outputs, inputs=[Path(structure)], force=force)
    model = TrajectoryGenerator.load(generator, device=device, ode_solver=ode_solver, evaluations=evaluations)
    job = _prepare(structure, total, interval, seed, model)

    start = clock.perf_counter()
    positions = relaxed(job.topology, job.positions)
    with ExitStack() as stack:
        write_pdb(stack.enter_context(replacing(topology_path)), job.topology, positions)
        temporary = [stack.enter_context(replacing(path)) for path in trajectory_paths]
        with progress_bar("generating", job.n_reports) as advance:
            if replicas == 1:
                _generate_one(job, positions, temporary[0], advance)
            else:
                _generate_many(job, positions, temporary, advance)
    seconds = clock.perf_counter() - start
    nanoseconds = replicas * total / 1000
    written = out if replicas == 1 else f"{trajectory_paths[0]} to {trajectory_paths[-1].name}"
    each = " each" if replicas > 1 else ""
    typer.echo(
        f"{written}: {job.n_reports} frames{each}, topology {topology_path}, seed {job.seed}; {nanoseconds:g} ns "
        f"generated in {seconds:.1f} s ({nanoseconds / seconds:.2g} ns/s, {model.evaluations} network evaluations)"
    )


def _output_paths(out: Path, replicas: int) -> tuple[Path, list[Path]]:
    if out.suffix.lower() not in _FORMATS:
        raise MDGenError(f"--out {out}: name a file that ends in {' or '.join(_FORMATS)}")
    if replicas == 1:
        return out.with_suffix(".pdb"), [out]
    return out.with_suffix(".pdb"), [out.with_stem(f"{out.stem}_{k:03d}") for k in range(replicas)]


def _prepare(
    structure: str, total: float, interval: float | None, seed: int | None, generator: TrajectoryGenerator
) -> _Job:
    """Find out whether all can be done as asked; raises before any long work."""
    from openmm import unit

    from openmm_mdgen.md.structures import load_structure
    from openmm_mdgen.md.systems import implicit_system
    from openmm_mdgen.simulation.schedule import steps_per_frame

    seed = secrets.randbelow(2**31) if seed is None else seed
    frame = generator.frame_interval
    frame_steps = steps_per_frame(frame, _STEP_SIZE)
    stride = 1 if interval is None else _whole("--report-interval", interval, frame, "generated frame")
    n_reports = _whole("--time", total, stride * frame, "report")
    topology, positions = load_structure(structure, seed=seed)
    generator.check(topology)
    implicit_system(topology)
    return _Job(
        generator=generator,
        topology=topology,
        positions=positions.value_in_unit(unit.nanometer),
        n_reports=n_reports,
        stride=stride,
        report_steps=stride * frame_steps,
        seed=seed,
    )


def _whole(option: str, value: float, step: float, what: str) -> int:
    """How many `step` make up `value`."""
    number = round(value / step)
    if number >= 1 and abs(number * step - value) < 1e-6 * step:
        return number
    below = int(value // step) * step
    nearest = f"{below:g}ps or {below + step:g}ps" if below > 0 else f"{step:g}ps"
    raise ReportIntervalError(f"{option} {value:g}ps: a {what} is {step:g} ps, take {nearest}")


def _generate_one(job: _Job, positions: np.ndarray, path: Path, advance: Callable[[int], None]) -> None:
    import openmm
    from openmm import app

    from openmm_mdgen.md.systems import implicit_system, langevin
    from openmm_mdgen.simulation.drop_in import MDGenSimulation

    simulation = MDGenSimulation(
        job.topology,
        implicit_system(job.topology),
        langevin(temperature=job.generator.temperature, step_size=_STEP_SIZE, seed=job.seed % 2**31),
        openmm.Platform.getPlatformByName(_PLATFORM),
        _PLATFORM_PROPERTIES,
        generator=job.generator,
        seed=job.seed,
    )
    reporter = app.XTCReporter if path.suffix.lower() == ".xtc" else app.DCDReporter
    simulation.reporters.append(reporter(str(path), job.report_steps))
    simulation.context.setPositions(positions)
    for _ in range(job.n_reports):
        simulation.step(job.report_steps)
        advance(1)


def _generate_many(job: _Job, positions: np.ndarray, paths: list[Path], advance: Callable[[int], None]) -> None:
    """Replicas in one batch, each frame written as OpenMM's reporters would."""
    from openmm import app

    from openmm_mdgen.molecule.chain import ProteinChain

    moved = ProteinChain.from_openmm(job.topology).atom_indices
    timing = (_STEP_SIZE, job.report_steps, job.report_steps)  # step size, step of the first frame, steps between
    with ExitStack() as stack:
        if paths[0].suffix.lower() == ".xtc":
            files = [app.XTCFile(str(path), job.topology, *timing) for path in paths]
        else:
            opened = [stack.enter_context(open(path, "wb")) for path in paths]
            files = [app.DCDFile(file, job.topology, *timing) for file in opened]
        n_frames = job.n_reports * job.stride
        chunks = job.generator.stream(job.topology, positions, n_frames, replicas=len(paths), seed=job.seed)
        done = 0
        for chunk in chunks:
            n = chunk.shape[1]
            reported = [k for k in range(n) if (done + k + 1) % job.stride == 0]
            for frames, file in zip(chunk, files, strict=True):
                for k in reported:
                    frame = positions.copy()
                    frame[moved] = frames[k]
                    file.writeModel(frame)
            done += n
            advance(len(reported))
