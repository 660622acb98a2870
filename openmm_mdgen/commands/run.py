"""``openmm-mdgen run``: a trajectory from a PDB file or a sequence.

Times in picosecond. A *report* is a frame that is written: every ``stride``-th generated one. A generator without a
time axis gives *samples* instead, which are written without times.
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

from openmm_mdgen.commands.options import Device, Evaluations, Force, GeneratorName, OdeSolver, Ph, Seed
from openmm_mdgen.commands.outputs import check_outputs
from openmm_mdgen.commands.terminal import parse_time, progress_bar, tell_changes
from openmm_mdgen.errors import MDGenError, ReportIntervalError
from openmm_mdgen.files import replacing
from openmm_mdgen.times import nearest_multiples, whole_number

if TYPE_CHECKING:
    import numpy as np
    from openmm import app

    from openmm_mdgen.protocol import Generator

_STEP_SIZE = 0.004  # ps, of the integrator: trajectory files count time in steps
_FORMATS = (".dcd", ".xtc")
# Forces serve the minimisation alone, so the CPU will do; with one thread it gives the same start every time.
_PLATFORM, _PLATFORM_PROPERTIES = "CPU", {"Threads": "1"}


@dataclass(frozen=True)
class _Length:
    """How much is generated, for each replica."""

    n_reports: int
    stride: int = 1  # generated frames a report
    report_steps: int = 0  # integrator steps a report; 0 for samples, which have no times

    @property
    def are_samples(self) -> bool:
        return self.report_steps == 0


@dataclass(frozen=True)
class _Job:
    """A run that has been found possible."""

    generator: Generator
    topology: app.Topology
    positions: np.ndarray  # (n_atoms, 3), nm, as loaded
    length: _Length
    seed: int


def run(
    structure: Annotated[
        str, typer.Argument(help="Structure file (.pdb, .cif or .gro), or a sequence such as AKLV or ACE-A-NME.")
    ],
    time: Annotated[
        str | None, typer.Option(help="Physical time to generate, with its unit, such as 500ps, 10ns or 1us.")
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of samples to write, instead of a time, from a generator of independent samples."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Trajectory file, .dcd or .xtc; its topology is written to a .pdb file beside it.")
    ] = Path("traj.dcd"),
    seed: Seed = None,
    generator: GeneratorName = None,
    replicas: Annotated[
        int,
        typer.Option(min=1, help="Number of independent trajectories, written to NAME_000.dcd and so on."),
    ] = 1,
    ph: Ph = 7.0,
    each_chain: Annotated[
        bool,
        typer.Option("--each-chain", help="Take several chains, and generate each by itself, without contacts."),
    ] = False,
    device: Device = "auto",
    report_interval: Annotated[
        str | None,
        typer.Option(help="Time between written frames, such as 100ps. [default: every generated frame is written]"),
    ] = None,
    ode_solver: OdeSolver = None,
    evaluations: Evaluations = None,
    force: Force = False,
) -> None:
    """Generate the trajectory of a peptide.

    What a structure file lacks is added, and what is not protein is removed; each change is told in a line. The
    structure is minimised in amber14 with GBn2. The topology file holds that start, the trajectory what follows it.
    """
    from openmm_mdgen.generators import registry
    from openmm_mdgen.md.prepare import prepare
    from openmm_mdgen.md.structures import write_pdb
    from openmm_mdgen.md.systems import relaxed

    total, interval = _asked_for(time, samples, report_interval, replicas)
    topology_path, trajectory_paths = _output_paths(out, replicas)
    outputs = [("--out", path) for path in (topology_path, *trajectory_paths)]
    check_outputs(outputs, inputs=[Path(structure)], force=force)
    chains = "each" if each_chain else None
    model = registry.loaded(generator, device=device, ode_solver=ode_solver, evaluations=evaluations, chains=chains)
    length = _length(model, total, interval) if samples is None else _samples(model, samples)
    seed = secrets.randbelow(2**31) if seed is None else seed
    prepared = prepare(structure, ph=ph, seed=seed, each_chain=each_chain)
    model.check(prepared.topology)
    tell_changes(structure, prepared)
    job = _Job(model, prepared.topology, prepared.positions, length, seed)

    start = clock.perf_counter()
    positions = relaxed(job.topology, job.positions)
    with ExitStack() as stack:
        write_pdb(stack.enter_context(replacing(topology_path)), job.topology, positions)
        temporary = [stack.enter_context(replacing(path)) for path in trajectory_paths]
        with progress_bar("generating", length.n_reports) as advance:
            if replicas == 1 and not length.are_samples:
                redraws = _simulate(job, positions, temporary[0], advance)
            else:
                redraws = _stream(job, positions, temporary, advance)
    seconds = clock.perf_counter() - start
    written = out if replicas == 1 else f"{trajectory_paths[0]} to {trajectory_paths[-1].name}"
    each = " each" if replicas > 1 else ""
    frames = "independent samples, which have no times" if length.are_samples else f"frames{each}"
    typer.echo(
        f"{written}: {length.n_reports} {frames}, topology {topology_path}, seed {job.seed}; "
        f"{_spent(model, replicas * total, seconds)}"
    )
    if redraws:
        typer.echo(f"{redraws} segments were drawn anew: the generator called frames of them invalid")


def _asked_for(time: str | None, samples: int | None, report_interval: str | None, replicas: int) -> tuple[float, ...]:
    """Picoseconds of the whole run and between reports, 0 where not stated."""
    if (time is None) == (samples is None):
        raise MDGenError(
            "give either --time, such as --time 10ns, or --samples, for a generator of independent samples"
        )
    if samples is not None:
        if replicas > 1:
            raise MDGenError("--replicas: independent samples need no replicas, ask for more --samples")
        if report_interval is not None:
            raise MDGenError("--report-interval: independent samples have no order in time, leave it out")
    total = 0.0 if time is None else parse_time("--time", time)
    return total, 0.0 if report_interval is None else parse_time("--report-interval", report_interval)


def _output_paths(out: Path, replicas: int) -> tuple[Path, list[Path]]:
    if out.suffix.lower() not in _FORMATS:
        raise MDGenError(f"--out {out}: name a file that ends in {' or '.join(_FORMATS)}")
    if replicas == 1:
        return out.with_suffix(".pdb"), [out]
    return out.with_suffix(".pdb"), [out.with_stem(f"{out.stem}_{k:03d}") for k in range(replicas)]


def _length(generator: Generator, total: float, interval: float) -> _Length:
    """Of a run of `total` ps with a report each `interval` ps, or each frame where that is 0."""
    from openmm_mdgen.simulation.schedule import steps_per_frame

    frame = generator.frame_interval
    if frame is None:
        raise MDGenError(
            "--time: this generator gives independent samples, which have no order in time; ask for a number of them "
            "with --samples"
        )
    steps = steps_per_frame(frame, _STEP_SIZE)
    stride = _whole("--report-interval", interval, frame, "generated frame") if interval else 1
    return _Length(_whole("--time", total, stride * frame, "report"), stride, stride * steps)


def _samples(generator: Generator, samples: int) -> _Length:
    if generator.frame_interval is not None:
        raise MDGenError(
            f"--samples: this generator gives trajectories, with a frame each {generator.frame_interval:g} ps; ask for "
            f"their length with --time, such as --time {samples * generator.frame_interval:g}ps"
        )
    return _Length(samples)


def _whole(option: str, value: float, step: float, what: str) -> int:
    """How many `step` make up `value`."""
    number = whole_number(value, step)
    if number is not None:
        return number
    nearest = " or ".join(f"{time:g}ps" for time in nearest_multiples(value, step))
    raise ReportIntervalError(f"{option} {value:g}ps: a {what} is {step:g} ps, take {nearest}")


def _simulate(job: _Job, positions: np.ndarray, path: Path, advance: Callable[[int], None]) -> int:
    """One trajectory, written by OpenMM's reporters; returns how many segments were drawn anew."""
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
    simulation.reporters.append(reporter(str(path), job.length.report_steps))
    simulation.context.setPositions(positions)
    for _ in range(job.length.n_reports):
        simulation.step(job.length.report_steps)
        advance(1)
    return sum(not segment.accepted for segment in simulation.segments)


def _stream(job: _Job, positions: np.ndarray, paths: list[Path], advance: Callable[[int], None]) -> int:
    """Replicas or samples, written as OpenMM's reporters would; returns how many segments were drawn anew."""
    from openmm import app

    from openmm_mdgen.generators.rollouts import stream

    length = job.length
    # Step size, step of the first frame, steps between frames. A step size of 0 claims no times.
    timing = (0.0, 0, 1) if length.are_samples else (_STEP_SIZE, length.report_steps, length.report_steps)
    with ExitStack() as stack:
        files: list[app.XTCFile] | list[app.DCDFile]
        if paths[0].suffix.lower() == ".xtc":
            files = [app.XTCFile(str(path), job.topology, *timing) for path in paths]
        else:
            opened = [stack.enter_context(open(path, "wb")) for path in paths]
            files = [app.DCDFile(file, job.topology, *timing) for file in opened]
        n_frames = length.n_reports * length.stride
        chunks = stream(job.generator, job.topology, positions, n_frames, replicas=len(paths), seed=job.seed)
        done = 0
        for chunk in chunks:
            n = chunk.shape[1]
            reported = [k for k in range(n) if (done + k + 1) % length.stride == 0]
            for frames, file in zip(chunk, files, strict=True):
                for k in reported:
                    frame = positions.copy()
                    frame[chunks.atom_indices] = frames[k]
                    file.writeModel(frame)
            done += n
            advance(len(reported))
    return chunks.redraws


def _spent(generator: Generator, picoseconds: float, seconds: float) -> str:
    """What was generated in how long; network evaluations where the generator counts them."""
    nanoseconds = picoseconds / 1000
    details = [f"{nanoseconds / seconds:.2g} ns/s"] if nanoseconds else []
    if hasattr(generator, "evaluations"):
        details.append(f"{generator.evaluations} network evaluations")
    told = f"{nanoseconds:g} ns generated in {seconds:.1f} s" if nanoseconds else f"generated in {seconds:.1f} s"
    return f"{told} ({', '.join(details)})" if details else told
