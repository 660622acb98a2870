"""``openmm-mdgen benchmark``: real MD and generation of the same peptides, one after the other on this machine.

Both start from the same minimised structure and get the same wall time. Where no reference is given, real MD goes on
for `_LONGER` times as long, and that continuation is the reference: it favours real MD, whose path it continues.
Nanosecond, second.
"""

from __future__ import annotations

import os
import platform as machine
import time as clock
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from openmm_mdgen.commands.options import Device, Force, Weights
from openmm_mdgen.commands.outputs import check_outputs
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import replacing, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    import mdtraj
    import openmm
    from openmm import app

    from openmm_mdgen.analysis import TrajectoryFile
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator
    from openmm_mdgen.report.table import Row

_LONGER = 4
_ENDLESS = 2**40  # frames
_STEP_SIZE = 0.004  # ps
_FRAME_STEPS = 250  # 1 ps


@dataclass(frozen=True)
class _Plan:
    """What is the same for all peptides."""

    model: TrajectoryGenerator
    seconds: float  # of each method
    replicas: int
    platform: openmm.Platform | None
    seed: int


@dataclass(frozen=True, eq=False)
class _LongMD:
    """What distances are to."""

    source: TrajectoryFile | mdtraj.Trajectory
    told: str


@dataclass(frozen=True)
class Run:
    """What one method did in its time."""

    nanoseconds: float  # all replicas together
    seconds: float
    distances: dict[str, float | str]  # to the reference by `DISTANCES`, or why there is none
    equivalent: str  # length of real MD that is as near to the reference

    @property
    def distance(self) -> float | str:
        """Mean torsion distance."""
        return self.distances["torsions (all)"]

    @property
    def speed(self) -> float:
        return self.nanoseconds / self.seconds


@dataclass(frozen=True)
class Comparison:
    """Both methods on one peptide."""

    name: str
    md: Run
    generated: Run
    reference: str  # what the distances are to
    platform: str  # where real MD ran

    @property
    def ratio(self) -> float:
        return self.generated.speed / self.md.speed


def benchmark(
    sequences: Annotated[
        list[str] | None, typer.Argument(help="One-letter codes. [default: AKLV, or all of --reference]")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Wall time of each method, for each peptide.")] = 30.0,
    reference: Annotated[
        Path | None, typer.Option(help="Folder of long MD: NAME.pdb with NAME.xtc (or .dcd, ...), or NAME/ with both.")
    ] = None,
    generator: Weights = None,
    replicas: Annotated[int, typer.Option(min=1, help="Generated in one batch; a GPU has room for many.")] = 1,
    device: Device = "auto",
    platform: Annotated[str | None, typer.Option(help="Of OpenMM. [default: its fastest here]")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json: Annotated[Path | None, typer.Option(help="File for all numbers.")] = None,
    figure: Annotated[Path | None, typer.Option(help="File for a figure: .png, .svg or .pdf.")] = None,
    force: Force = False,
) -> None:
    """Speed of real MD and of generation, and how near each comes to long MD in the same wall time."""
    if not 0 < seconds < float("inf"):
        raise MDGenError(f"--seconds {seconds:g}: give a wall time above 0")
    check_outputs([("--json", json), ("--figure", figure)], force=force)
    if figure is not None and figure.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise MDGenError(f"--figure {figure}: name a file that ends in .png, .svg or .pdf")

    import openmm

    from openmm_mdgen.analysis.folders import pairs
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator
    from openmm_mdgen.md.structures import load_structure
    from openmm_mdgen.report.table import markdown

    try:
        chosen = None if platform is None else openmm.Platform.getPlatformByName(platform)
    except openmm.OpenMMException as error:
        raise MDGenError(f"--platform {platform}: {error}") from error
    model = TrajectoryGenerator.load(generator, device=device)
    known = {} if reference is None else pairs(reference)
    names = list(sequences or known or ["AKLV"])
    if reference is not None and (missing := [name for name in names if name not in known]):
        raise MDGenError(f"{reference} has no MD of {', '.join(missing)}: leave them or --reference out")
    starts = {}
    for name in names:
        topology, positions = load_structure(known[name][0] if name in known else name, seed=seed)
        model.check(topology)
        starts[name] = (topology, positions, _long_md(*known[name]) if name in known else None)

    plan = _Plan(model, seconds, replicas, chosen, seed)
    found = []
    for name, (topology, positions, long_md) in starts.items():
        found.append(_compare(name, topology, positions, long_md, plan))
        typer.echo(line(found[-1]))
    for text in markdown(_rows(found)):
        typer.echo(text)
    facts = _facts(plan, found[0].platform)
    typer.echo(f"real MD: {facts['openmm_platform']}; network: {facts['device']}, {facts['torch_threads']} threads")
    if json is not None:
        _write_json(json, facts, found)
    if figure is not None:
        with replacing(figure) as temporary:
            _draw(temporary, found, seconds)


def line(comparison: Comparison) -> str:
    """For the terminal."""

    def told(run: Run) -> str:
        distance = run.distance if isinstance(run.distance, str) else f"{run.distance:.3f}"
        worth = f"{distance}, as {run.equivalent} of MD"
        return f"{run.nanoseconds:.3g} ns in {run.seconds:.1f} s ({run.speed:.3g} ns/s), distance {worth}"

    return (
        f"{comparison.name}: real MD {told(comparison.md)}; generated {told(comparison.generated)}; "
        f"{comparison.ratio:.3g} times as fast; distances to {comparison.reference}"
    )


def _rows(found: list[Comparison]) -> list[Row]:
    """Both methods over all peptides."""
    from openmm_mdgen.report.table import Row

    return [
        Row(
            label,
            {c.name: getattr(c, method).distances for c in found},
            {c.name: getattr(c, method).seconds for c in found},
        )
        for method, label in (("md", "real MD"), ("generated", "generated"))
    ]


def _compare(
    name: str, topology: app.Topology, positions: object, reference: _LongMD | None, plan: _Plan
) -> Comparison:
    import mdtraj
    from openmm import app

    from openmm_mdgen.md.systems import implicit_system, langevin, relaxed

    start, temperature, seed = relaxed(topology, positions), plan.model.temperature, plan.seed % 2**31
    integrator = langevin(temperature=temperature, step_size=_STEP_SIZE, seed=seed)
    simulation = app.Simulation(topology, implicit_system(topology), integrator, plan.platform)
    simulation.context.setPositions(start)
    simulation.context.setVelocitiesToTemperature(temperature, seed)
    simulation.step(_FRAME_STEPS)  # kernels are compiled and neighbour lists made in the first steps

    md, md_seconds = _integrate(simulation, plan.seconds)
    generated, generated_seconds = _generate(plan, topology, start)
    atoms = mdtraj.Topology.from_openmm(topology)
    if reference is None:
        rest, _ = _integrate(simulation, _LONGER * plan.seconds)
        told = f"the {len(rest) * _FRAME_STEPS * _STEP_SIZE / 1000:.3g} ns of this run's own MD that follow"
        reference = _LongMD(_timed(rest, atoms, _FRAME_STEPS * _STEP_SIZE), told)
    md_ns = len(md) * _FRAME_STEPS * _STEP_SIZE / 1000
    generated_ns = len(generated) * plan.model.frame_interval / 1000
    return Comparison(
        name,
        _measured(md_ns, md_seconds, _timed(md, atoms, _FRAME_STEPS * _STEP_SIZE), reference),
        _measured(generated_ns, generated_seconds, _timed(generated, atoms, plan.model.frame_interval), reference),
        reference.told,
        _platform(simulation.context),
    )


def _timed(xyz: np.ndarray, atoms: mdtraj.Topology, interval: float) -> mdtraj.Trajectory:
    import mdtraj

    return mdtraj.Trajectory(xyz, atoms, time=np.arange(len(xyz)) * interval)


def _integrate(simulation: app.Simulation, seconds: float) -> tuple[np.ndarray, float]:
    """Frames (n_frames, n_atoms, 3) nm, one each ps, until the time is over; at least one."""
    from openmm import unit

    frames: list[np.ndarray] = []
    began = clock.perf_counter()
    while not frames or clock.perf_counter() - began < seconds:
        simulation.step(_FRAME_STEPS)
        state = simulation.context.getState(positions=True)
        frames.append(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer).astype(np.float32))
    return np.stack(frames), clock.perf_counter() - began


def _generate(plan: _Plan, topology: app.Topology, start: np.ndarray) -> tuple[np.ndarray, float]:
    """Frames of all replicas, (n_frames, n_atoms, 3) nm, until the time is over; at least a segment of each."""

    def stream(seed: int) -> Iterator[np.ndarray]:
        return plan.model.stream(topology, start, _ENDLESS, replicas=plan.replicas, seed=seed)

    next(stream(plan.seed + 1))  # the first call is slower
    chunks: list[np.ndarray] = []
    segments = stream(plan.seed)
    began = clock.perf_counter()
    while not chunks or clock.perf_counter() - began < plan.seconds:
        chunks.append(next(segments).astype(np.float32))
    spent = clock.perf_counter() - began
    return np.concatenate([chunk.reshape(-1, *chunk.shape[2:]) for chunk in chunks]), spent


def _platform(context: openmm.Context) -> str:
    """Where OpenMM computes, with its threads or device if it has such a property."""
    platform = context.getPlatform()
    names = [name for name in platform.getPropertyNames() if name in ("Threads", "DeviceName")]
    told = ", ".join(f"{name} {platform.getPropertyValue(context, name)}" for name in names)
    return f"{platform.getName()} ({told})" if told else platform.getName()


def _long_md(structure: Path, path: Path) -> _LongMD:
    from openmm_mdgen.analysis import NotDefined, TrajectoryFile
    from openmm_mdgen.analysis.sources import measure

    source = TrajectoryFile(path, structure)
    series = measure(source).torsions
    interval = series.frame_interval
    length = "" if isinstance(interval, NotDefined) else f", {series.n_frames * interval / 1000:.3g} ns"
    return _LongMD(source, f"{path} ({series.n_frames} frames{length})")


def _measured(nanoseconds: float, seconds: float, trajectory: mdtraj.Trajectory, reference: _LongMD) -> Run:
    from openmm_mdgen.analysis import Definitions, NotDefined, evaluate
    from openmm_mdgen.report.table import distances

    evaluation = evaluate(trajectory, reference.source, definitions=Definitions.SOUND)
    equivalent = evaluation.equivalent_md_time
    told = str(equivalent) if isinstance(equivalent, NotDefined) else _told_time(equivalent.time)
    return Run(nanoseconds, seconds, distances(evaluation), told)


def _told_time(time: object) -> str:
    return f"{time:.0f} ps" if isinstance(time, float) else str(time).removeprefix("not defined: ")


def _facts(plan: _Plan, platform_name: str) -> dict:
    from importlib.metadata import version

    import torch

    device = str(plan.model.device)
    if plan.model.device.type == "cuda":
        device = f"{device} ({torch.cuda.get_device_name(plan.model.device)})"
    return {
        "seconds": plan.seconds,
        "replicas": plan.replicas,
        "seed": plan.seed,
        "weights": plan.model.info.name,
        "openmm_platform": platform_name,
        "device": device,
        "torch_threads": torch.get_num_threads(),
        "cpu_count": os.cpu_count(),
        "machine": machine.platform(),
        "versions": {"python": machine.python_version(), **{n: version(n) for n in ("torch", "openmm", "mdtraj")}},
    }


def _write_json(path: Path, facts: dict, found: list[Comparison]) -> None:
    peptides = [
        {
            "name": c.name,
            "reference": c.reference,
            "ratio": c.ratio,
            "md": {**asdict(c.md), "distance": c.md.distance, "ns_per_second": c.md.speed},
            "generated": {**asdict(c.generated), "distance": c.generated.distance, "ns_per_second": c.generated.speed},
        }
        for c in found
    ]
    write_json(path, {**facts, "peptides": peptides})


def _draw(path: Path, found: list[Comparison], seconds: float) -> None:
    """Speeds, and distances at equal wall time."""
    from matplotlib.figure import Figure

    from openmm_mdgen.report.figures import GENERATED, REFERENCE

    figure = Figure(figsize=(4.0 + 1.2 * len(found), 3.2), layout="constrained")
    speeds, distances = figure.subplots(1, 2)
    place = np.arange(len(found))
    for shift, method, colour, label in (
        (-0.2, "md", REFERENCE, "real MD"),
        (0.2, "generated", GENERATED, "generated"),
    ):
        runs = [getattr(c, method) for c in found]
        speeds.bar(place + shift, [r.speed for r in runs], 0.38, color=colour, label=label)
        values = [np.nan if isinstance(r.distance, str) else r.distance for r in runs]
        distances.bar(place + shift, values, 0.38, color=colour)
    speeds.set(yscale="log", ylabel="ns per second", title="speed")
    distances.set(ylabel="mean torsion distance", title=f"after {seconds:g} s of wall time each")
    for axes in (speeds, distances):
        axes.set_xticks(place, [c.name for c in found])
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*speeds.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=150)
