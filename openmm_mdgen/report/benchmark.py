"""What methods make of the same peptides in the same wall time: speed, distance to long MD, and what that is worth.

Where no long MD is given, packed MD goes on for `LONGER` times as long (that of one copy where nothing is packed), and
that continuation is the reference: it favours the method whose path it continues. Nanosecond, second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openmm
from openmm import app

from openmm_mdgen.analysis import Definitions, NotDefined, TrajectoryFile, evaluate
from openmm_mdgen.analysis.equivalent import EquivalentTime, equivalent_within_half, told
from openmm_mdgen.analysis.results import with_reasons
from openmm_mdgen.analysis.sources import Source, sound_torsions
from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.analysis.undefined import attempt
from openmm_mdgen.report.table import Row, distances, markdown_table, undefined
from openmm_mdgen.report.timed_exploration import explore
from openmm_mdgen.report.timed_runs import PackedMD, RealMD, TimedRun, generate

if TYPE_CHECKING:
    from openmm_mdgen.protocol import Generator

LONGER = 4
METHODS = {
    "md": "real MD",
    "packed_md": "packed MD",
    "generated": "generated",
    "from_generated": "MD from generated frames",
    "explored": "explored, then decided",
}
COUNTED = (
    "Every method begins with the same minimised structure. Its minimisation is not counted, nor is what happens once: "
    "kernels are compiled, processes started, weights loaded, and the network has run once before the clock starts.",
    "Real MD is one copy on all cores or a GPU. Packed MD is many copies in one System in each of several processes, "
    "one for each core; what is made counts all copies.",
    "MD from generated frames: generation for a fifth of the time, minimisation of frames spread over what was "
    "generated, and packed MD from them, all of which is counted; the first 5 ps of each run take time and are left "
    "out. Explored, then decided: the same frames, weighted by a Markov model of the runs, whose time is counted for "
    "both.",
    "Worth is the length of one real MD run that is as near to the reference, in the mean over all torsions; it says "
    "nothing of kinetics. Beyond half of the reference it cannot be told (over ...). The 95 % interval is what the "
    "reference leaves open; luck in the run itself is not in it.",
)


@dataclass(frozen=True)
class Plan:
    """What is the same for all peptides."""

    generator: Generator
    frame_interval: float  # ps, of the generator
    seconds: float  # wall time of each method
    replicas: int
    copies: int  # of packed MD; 0 leaves it and exploration out
    platform: openmm.Platform | None
    seed: int


@dataclass(frozen=True, eq=False)
class LongMD:
    """The trajectories that distances are to."""

    sources: Sequence[Source]
    series: TorsionSeries
    told: str  # what they are, in words

    @classmethod
    def of(cls, made: TimedRun) -> LongMD:
        """MD that was made here."""
        told = f"the {made.nanoseconds:.3g} ns of this run's own MD that follow"
        return cls(made.trajectories, sound_torsions(made.trajectories), told)

    @classmethod
    def of_files(cls, files: Sequence[tuple[Path, Path]]) -> LongMD:
        """Long MD on disk, a structure and a trajectory of each replica; reads it once for its length."""
        sources = [TrajectoryFile(path, structure) for structure, path in files]
        series = sound_torsions(sources)
        length = attempt(lambda interval: f", {series.n_frames * interval / 1000:.3g} ns", series.frame_interval)
        others = f" and {len(files) - 1} more" if len(files) > 1 else ""
        told = f"{files[0][1]}{others} ({series.n_frames} frames{length if isinstance(length, str) else ''})"
        return cls(sources, series, told)

    def worth(self, sources: Sequence[Source]) -> EquivalentTime:
        """The length of MD that is as near to it, up to half of all its trajectories together."""
        return equivalent_within_half(sound_torsions(sources), self.series)


@dataclass(frozen=True)
class Run:
    """What one method did in its wall time."""

    nanoseconds: float  # all replicas or copies together
    seconds: float
    distances: dict[str, float | str]  # to the reference by column of the table, or why there is none
    worth: EquivalentTime | NotDefined  # length of real MD that is as near to the reference

    @property
    def distance(self) -> float | str:
        """Mean torsion distance to the reference."""
        return self.distances["torsions (all)"]

    @property
    def speed(self) -> float:
        """Nanoseconds a second of wall time."""
        return self.nanoseconds / self.seconds

    def as_dict(self) -> dict:
        """All numbers, null where there is none, with the reasons beside; times of the worth are in ps."""
        worth = self.worth
        known = not isinstance(worth, NotDefined)
        content = {
            "nanoseconds": self.nanoseconds,
            "seconds": self.seconds,
            "ns_per_second": self.speed,
            "distances": self.distances,
            "distance": self.distance,
            "equivalent_ps": {n: getattr(worth, n) for n in ("time", "low", "high")} if known else worth,
        }
        return with_reasons({**undefined(content), "equivalent_in_words": _worth(worth)})

    def __str__(self) -> str:
        distance = self.distance if isinstance(self.distance, str) else f"{self.distance:.3f}"
        made = f"{self.nanoseconds:.3g} ns in {self.seconds:.1f} s ({self.speed:.3g} ns/s)"
        worth = self.worth
        told_worth = f"worth unknown: {worth.why}" if isinstance(worth, NotDefined) else f"worth {worth} of MD"
        return f"{made}, distance {distance}, {told_worth}"


@dataclass(frozen=True)
class Comparison:
    """All methods on one peptide."""

    name: str
    runs: dict[str, Run | NotDefined]  # by `METHODS`
    reference: str  # what the distances are to
    platform: str  # where real MD ran
    packing: str  # how packed MD was shared out, and how long that took; empty where there is none

    @property
    def ratio(self) -> float:
        """How many times as fast as real MD of one copy generation is."""
        md, generated = self.runs["md"], self.runs["generated"]
        assert isinstance(md, Run) and isinstance(generated, Run)
        return generated.speed / md.speed

    def __str__(self) -> str:
        lines = "".join(f"\n  {METHODS[method]}: {_told(run)}" for method, run in list(self.runs.items())[1:])
        packing = f"\n  packed MD is {self.packing}" if self.packing else ""
        ratio = f"{float(f'{self.ratio:.3g}'):,g}"  # in plain numbers
        return (
            f"{self.name}: real MD {_told(self.runs['md'])}{lines}{packing}\n  generation is {ratio} times as fast as "
            f"real MD; distances to {self.reference}"
        )

    def as_dict(self) -> dict:
        """All numbers, for a JSON file; null where there is none, with the reasons beside."""
        runs = {n: run if isinstance(run, NotDefined) else run.as_dict() for n, run in self.runs.items()}
        facts = {"name": self.name, "reference": self.reference, "packing": self.packing, "ratio": self.ratio}
        return with_reasons(facts | runs)


def compare(name: str, topology: app.Topology, start: np.ndarray, reference: LongMD | None, plan: Plan) -> Comparison:
    """Run all methods on one peptide, and measure what they made.

    Parameters
    ----------
    name : str
    topology : openmm.app.Topology
    start : (n_atoms, 3) nm
        Minimised.
    reference : LongMD, optional
        Default: the MD that follows this run's own.
    plan : Plan

    Returns
    -------
    Comparison
    """
    engine = RealMD(topology, start, plan.generator.temperature, plan.platform, plan.seed)
    made: dict[str, TimedRun | NotDefined] = {"md": engine.run(plan.seconds)}
    longer: Callable[[float], TimedRun] = engine.run
    packing = ""
    with ExitStack() as stack:
        packed = None
        if plan.copies:
            packed = PackedMD(topology, start, plan.generator.temperature, plan.platform, plan.copies, plan.seed)
            stack.enter_context(packed.swarm)
            packing = f"{packed.told}, made ready in {packed.swarm.seconds_of_preparation:.0f} s, which are not counted"
            made["packed_md"] = packed_md = packed.run(plan.seconds)
            longer = packed.run
        made["generated"] = generate(
            plan.generator, plan.frame_interval, topology, start, plan.seconds, replicas=plan.replicas, seed=plan.seed
        )
        if packed is not None:
            speed = packed_md.nanoseconds / packed_md.seconds
            explored = attempt(
                lambda: explore(
                    plan.generator, packed, start, plan.seconds, replicas=plan.replicas, md=speed, seed=plan.seed
                )
            )
            made["from_generated"] = attempt(lambda both: both.as_it_is, explored)
            made["explored"] = attempt(lambda both: both.weighted, explored)
        if reference is None:
            reference = LongMD.of(longer(LONGER * plan.seconds))
    runs = {method: attempt(_measured, run, reference) for method, run in made.items()}
    return Comparison(name, runs, reference.told, engine.platform, packing)


def rows(found: list[Comparison]) -> list[Row]:
    """The rows of the table of distances: a method each, over all peptides."""
    made = []
    for method, label in METHODS.items():
        runs = {c.name: run for c in found if isinstance(run := c.runs.get(method), Run)}
        if runs:
            made.append(Row(label, {n: r.distances for n, r in runs.items()}, {n: r.seconds for n, r in runs.items()}))
    return made


def worth_table(found: list[Comparison]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table of worth: a peptide each, with what each method is worth."""
    methods = [method for method in METHODS if any(method in c.runs for c in found)]
    header = ["worth, as MD of", *(METHODS[method] for method in methods)]
    return header, [[c.name, *(_cell(c.runs[method]) for method in methods)] for c in found]


def worth_markdown(found: list[Comparison]) -> list[str]:
    """The lines of that table."""
    return markdown_table(*worth_table(found))


def _measured(run: TimedRun, reference: LongMD) -> Run:
    evaluation = evaluate(run.trajectories, reference.sources, definitions=Definitions.SOUND)
    return Run(run.nanoseconds, run.seconds, distances(evaluation), attempt(reference.worth, run.trajectories))


def _cell(run: Run | NotDefined) -> str:
    return run.why if isinstance(run, NotDefined) else _worth(run.worth)


def _worth(worth: EquivalentTime | NotDefined) -> str:
    return told(worth) if isinstance(worth, NotDefined) else str(worth)


def _told(run: Run | NotDefined) -> str:
    return run.why if isinstance(run, NotDefined) else str(run)
