"""Real MD and generation of the same peptides in the same wall time: speed, and distance to long MD.

Both start from the same minimised structure. Where no long MD is given, real MD goes on for `LONGER` times as long, and
that continuation is the reference: it favours real MD, whose path it continues. Nanosecond, second.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openmm
from openmm import app

from openmm_mdgen.analysis import Definitions, NotDefined, TrajectoryFile, evaluate
from openmm_mdgen.analysis.sources import Source, measure
from openmm_mdgen.md.systems import relaxed
from openmm_mdgen.report.table import Row, distances
from openmm_mdgen.report.timed_runs import RealMD, TimedRun, generate

if TYPE_CHECKING:
    from openmm_mdgen.protocol import Generator

LONGER = 4


@dataclass(frozen=True)
class Plan:
    """What is the same for all peptides."""

    generator: Generator
    frame_interval: float  # ps, of the generator
    seconds: float  # wall time of each method
    replicas: int
    platform: openmm.Platform | None
    seed: int


@dataclass(frozen=True, eq=False)
class LongMD:
    """The trajectory that distances are to."""

    source: Source
    told: str  # what it is, in words

    @classmethod
    def of_files(cls, structure: Path, path: Path) -> LongMD:
        """Long MD on disk; reads it once for its length."""
        source = TrajectoryFile(path, structure)
        series = measure(source).torsions
        interval = series.frame_interval
        length = "" if isinstance(interval, NotDefined) else f", {series.n_frames * interval / 1000:.3g} ns"
        return cls(source, f"{path} ({series.n_frames} frames{length})")


@dataclass(frozen=True)
class Run:
    """What one method did in its wall time."""

    nanoseconds: float  # all replicas together
    seconds: float
    distances: dict[str, float | str]  # to the reference by column of the table, or why there is none
    equivalent: str  # length of real MD that is as near to the reference

    @property
    def distance(self) -> float | str:
        """Mean torsion distance to the reference."""
        return self.distances["torsions (all)"]

    @property
    def speed(self) -> float:
        """Nanoseconds a second of wall time."""
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
        """How many times as fast as real MD generation is."""
        return self.generated.speed / self.md.speed

    def __str__(self) -> str:
        return (
            f"{self.name}: real MD {_told(self.md)}; generated {_told(self.generated)}; "
            f"{self.ratio:.3g} times as fast; distances to {self.reference}"
        )

    def as_dict(self) -> dict:
        """All numbers, for a JSON file."""
        runs = {name: getattr(self, name) for name in ("md", "generated")}
        return {
            "name": self.name,
            "reference": self.reference,
            "ratio": self.ratio,
            **{n: {**asdict(r), "distance": r.distance, "ns_per_second": r.speed} for n, r in runs.items()},
        }


def compare(name: str, topology: app.Topology, positions: object, reference: LongMD | None, plan: Plan) -> Comparison:
    """Run both methods on one peptide, and measure what they made.

    Parameters
    ----------
    name : str
    topology : openmm.app.Topology
    positions : (n_atoms, 3) Quantity or array, nm
    reference : LongMD, optional
        Default: the MD that follows this run's own.
    plan : Plan

    Returns
    -------
    Comparison
    """
    start = relaxed(topology, positions)
    engine = RealMD(topology, start, plan.generator.temperature, plan.platform, plan.seed)
    md = engine.run(plan.seconds)
    generated = generate(
        plan.generator, plan.frame_interval, topology, start, plan.seconds, replicas=plan.replicas, seed=plan.seed
    )
    if reference is None:
        rest = engine.run(LONGER * plan.seconds)
        told = f"the {rest.nanoseconds:.3g} ns of this run's own MD that follow"
        reference = LongMD(rest.trajectories[0], told)
    return Comparison(name, _measured(md, reference), _measured(generated, reference), reference.told, engine.platform)


def rows(found: list[Comparison]) -> list[Row]:
    """The table's rows: a method each, over all peptides."""
    return [
        Row(
            label,
            {c.name: getattr(c, method).distances for c in found},
            {c.name: getattr(c, method).seconds for c in found},
        )
        for method, label in (("md", "real MD"), ("generated", "generated"))
    ]


def draw(path: Path, found: list[Comparison], seconds: float) -> None:
    """Write a figure of the speeds, and of the distances after equal wall time."""
    from matplotlib.figure import Figure

    from openmm_mdgen.report.figures import GENERATED, REFERENCE

    figure = Figure(figsize=(4.0 + 1.2 * len(found), 3.2), layout="constrained")
    speeds, apart = figure.subplots(1, 2)
    place = np.arange(len(found))
    for shift, method, colour, label in (
        (-0.2, "md", REFERENCE, "real MD"),
        (0.2, "generated", GENERATED, "generated"),
    ):
        runs = [getattr(c, method) for c in found]
        speeds.bar(place + shift, [run.speed for run in runs], 0.38, color=colour, label=label)
        values = [np.nan if isinstance(run.distance, str) else run.distance for run in runs]
        apart.bar(place + shift, values, 0.38, color=colour)
    speeds.set(yscale="log", ylabel="ns per second", title="speed")
    apart.set(ylabel="mean torsion distance", title=f"after {seconds:g} s of wall time each")
    for axes in (speeds, apart):
        axes.set_xticks(place, [c.name for c in found])
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*speeds.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=150)


def _measured(run: TimedRun, reference: LongMD) -> Run:
    evaluation = evaluate(run.trajectories, reference.source, definitions=Definitions.SOUND)
    equivalent = evaluation.equivalent_md_time
    told = str(equivalent) if isinstance(equivalent, NotDefined) else _told_time(equivalent.time)
    return Run(run.nanoseconds, run.seconds, distances(evaluation), told)


def _told_time(time: object) -> str:
    return f"{time:.0f} ps" if isinstance(time, float) else str(time).removeprefix("not defined: ")


def _told(run: Run) -> str:
    distance = run.distance if isinstance(run.distance, str) else f"{run.distance:.3f}"
    worth = f"{distance}, as {run.equivalent} of MD"
    return f"{run.nanoseconds:.3g} ns in {run.seconds:.1f} s ({run.speed:.3g} ns/s), distance {worth}"
