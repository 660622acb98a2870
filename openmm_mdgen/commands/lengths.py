"""How much ``openmm-mdgen run`` is asked for: a time or a number of samples, and what is added to them.

Times in picosecond. A *report* is a frame that is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openmm_mdgen.commands.terminal import parse_time, whole_multiple
from openmm_mdgen.errors import MDGenError

if TYPE_CHECKING:
    from openmm_mdgen.protocol import Generator
    from openmm_mdgen.runs.continuing import Earlier
    from openmm_mdgen.runs.jobs import Length

_PS_A_NS = 1000.0


@dataclass(frozen=True)
class Asked:
    """How much is asked for, of each replica."""

    amount: float  # ps, or samples
    are_samples: bool
    interval: float  # ps between reports; 0 for each frame
    more: float | None  # what is to be added to a run that is there

    @property
    def setting(self) -> dict[str, str]:
        """As the manifest states it."""
        return {"samples": f"{self.amount:g}"} if self.are_samples else {"time": shown_time(self.amount)}


def asked_for(
    time: str | None,
    samples: int | None,
    report_interval: str | None,
    replicas: int,
    extend: str | None,
    earlier: Earlier | None,
) -> Asked:
    """How much is asked for; a run that is lengthened states how long it was to be at first."""
    if extend is not None and earlier is None:
        raise MDGenError("--extend: there is no run at --out to add to; give --time, such as --time 10ns")
    if extend is not None and earlier is not None and time is None and samples is None:
        made = earlier.manifest.settings
        time, samples = made.get("time"), int(made["samples"]) if "samples" in made else None
    if (time is None) == (samples is None):
        raise MDGenError(
            "give either --time, such as --time 10ns, or --samples, for a generator of independent samples"
        )
    if samples is not None:
        if replicas > 1:
            raise MDGenError("--replicas: independent samples need no replicas, ask for more --samples")
        if report_interval is not None:
            raise MDGenError("--report-interval: independent samples have no order in time, leave it out")
        if extend is not None and not (extend.isdecimal() and int(extend)):
            raise MDGenError(f"--extend {extend!r}: give a number of samples to add, such as 100")
        return Asked(samples, True, 0.0, None if extend is None else int(extend))
    interval = 0.0 if report_interval is None else parse_time("--report-interval", report_interval)
    more = None if extend is None else parse_time("--extend", extend)
    return Asked(parse_time("--time", time or ""), False, interval, more)


def length_of(generator: Generator, asked: Asked, added: float) -> Length:
    """Of a run of so much time or so many samples, with what is added."""
    from openmm_mdgen.runs.jobs import STEP_SIZE, Length
    from openmm_mdgen.simulation.schedule import steps_per_frame

    frame = generator.frame_interval
    if asked.are_samples:
        if frame is not None:
            raise MDGenError(
                f"--samples: this generator gives trajectories, with a frame each {frame:g} ps; ask for their length "
                f"with --time, such as --time {asked.amount * frame:g}ps"
            )
        return Length(round(asked.amount + added))
    if frame is None:
        raise MDGenError(
            "--time: this generator gives independent samples, which have no order in time; ask for a number of them "
            "with --samples"
        )
    steps = steps_per_frame(frame, STEP_SIZE)
    stride = whole_multiple("--report-interval", asked.interval, frame, "generated frame") if asked.interval else 1
    n_reports = whole_multiple("--time", asked.amount, stride * frame, "report")
    n_added = whole_multiple("--extend", added, stride * frame, "report") if added else 0
    return Length(n_reports + n_added, stride, stride * steps)


def shown_time(picoseconds: float) -> str:
    return f"{picoseconds / _PS_A_NS:.12g}ns"
