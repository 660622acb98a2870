"""What a simulation did: stretches of steps, each of real MD or generated, and why.

A *segment* of the record is a stretch of steps that was integrated without a break, or one generated segment that was
tried. Rejected segments are in it too: they took wall time, but no steps of the simulation. A frame at step ``s``
belongs to the segment with ``start_step < s <= start_step + steps``. Energies in kJ/mol.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from openmm_mdgen.simulation.gate import Verdict

INTEGRATED, GENERATED = "integrated", "generated"


@dataclass(frozen=True)
class Segment:
    """One entry of the record.

    Parameters
    ----------
    kind : str
        ``"integrated"`` or ``"generated"``.
    start_step : int
        The step count that the segment sets out from.
    steps : int
        Number of steps; for a rejected segment, how many it would have been.
    accepted : bool
        False for a generated segment that was rejected.
    reason : str
        Why a segment was rejected, or why real MD was done in place of a generated segment.
    numbers : dict of str to float
        What the gate and the landing measured, by name; energies in kJ/mol, lengths in nm.
    wall_seconds : float
        The wall time it took.
    reason_kind : str
        The kind of fault of a rejected segment, such as ``"clash"``, where the gate names it.
    temperature : float, optional
        Kelvin that a generated segment was asked for; None of real MD, and in files of versions that did not keep it.
    """

    kind: str
    start_step: int
    steps: int
    accepted: bool = True
    reason: str = ""
    numbers: dict[str, float] = field(default_factory=dict)
    wall_seconds: float = 0.0
    reason_kind: str = ""
    temperature: float | None = None

    @classmethod
    def tried(
        cls, step: int, steps: int, verdict: Verdict, wall_seconds: float, temperature: float | None = None
    ) -> Segment:
        """A generated segment, and what was said of it."""
        return cls(
            kind=GENERATED,
            start_step=step,
            steps=steps,
            accepted=verdict.accepted,
            reason=verdict.reason,
            numbers=dict(verdict.numbers),
            wall_seconds=wall_seconds,
            reason_kind=verdict.kind,
            temperature=temperature,
        )

    @property
    def end_step(self) -> int:
        return self.start_step + self.steps

    @property
    def energies(self) -> dict[str, float]:
        """The numbers that are energies, in kJ/mol."""
        return {name: value for name, value in self.numbers.items() if "energy" in name}


class Record:
    """The segments of one simulation, in the order they were tried."""

    def __init__(self, segments: Iterable[Segment] = ()) -> None:
        self.segments = list(segments)

    def integrated(self, step: int, steps: int, wall_seconds: float, reason: str = "") -> None:
        """Add real MD from `step` on; it is joined to the entry before, if that ended here for the same reason."""
        last = self.segments[-1] if self.segments else None
        if last and last.kind == INTEGRATED and last.end_step == step and last.reason == reason:
            joined = replace(last, steps=last.steps + steps, wall_seconds=last.wall_seconds + wall_seconds)
            self.segments[-1] = joined
        else:
            self.cut(step)
            self.segments.append(Segment(INTEGRATED, step, steps, reason=reason, wall_seconds=wall_seconds))

    def generated(self, segment: Segment) -> None:
        """Add a generated segment that was tried."""
        self.cut(segment.start_step)
        self.segments.append(segment)

    def cut(self, step: int) -> None:
        """Let the record end at `step`, where the simulation goes on; frames beyond it were never handed out."""
        if self.segments and self.segments[-1].end_step <= step:
            return
        known = [segment for segment in self.segments if segment.start_step <= step]
        cut = [replace(s, steps=min(s.steps, step - s.start_step)) if s.accepted else s for s in known]
        self.segments = [segment for segment in cut if segment.steps > 0]

    def to_array(self) -> np.ndarray:
        """The record as an array of bytes, for a checkpoint."""
        return np.frombuffer("\n".join(json_lines(self.segments)).encode(), dtype=np.uint8)

    @classmethod
    def from_array(cls, data: np.ndarray) -> Record:
        """Read what `to_array` gave, also in files from before kinds of reasons were written down."""
        return cls(_segment(json.loads(line)) for line in data.tobytes().decode().splitlines())


def json_lines(segments: Iterable[Segment]) -> list[str]:
    """One JSON object a segment."""
    return [json.dumps(asdict(segment)) for segment in segments]


def is_real(segments: Sequence[Segment], steps: Sequence[int] | np.ndarray) -> np.ndarray:
    """Tell which frames are of real MD.

    Parameters
    ----------
    segments : sequence of Segment
        A record.
    steps : (F,) int
        Step counts of the frames.

    Returns
    -------
    (F,) bool
        True where the step count was reached by integration. The frame at the very start of a record belongs to no
        segment, and is taken as real.
    """
    steps = np.asarray(steps)
    real = np.ones(len(steps), dtype=bool)
    for segment in segments:
        if segment.kind == GENERATED and segment.accepted:
            real &= ~((segment.start_step < steps) & (steps <= segment.end_step))
    return real


@dataclass(frozen=True)
class Summary:
    """Totals of a record; `Summary.of(simulation.segments)` makes them, and `str` writes them out."""

    integrated_steps: int
    generated_steps: int
    accepted: int
    rejected: int
    reasons: dict[str, int]  # how often each kind of reason was given; the reason itself where a gate names no kind
    integrated_seconds: float
    generated_seconds: float
    rejected_seconds: float

    @classmethod
    def of(cls, segments: Iterable[Segment]) -> Summary:
        segments = list(segments)
        real = [s for s in segments if s.kind == INTEGRATED]
        accepted = [s for s in segments if s.kind == GENERATED and s.accepted]
        rejected = [s for s in segments if s.kind == GENERATED and not s.accepted]
        return cls(
            integrated_steps=sum(s.steps for s in real),
            generated_steps=sum(s.steps for s in accepted),
            accepted=len(accepted),
            rejected=len(rejected),
            reasons=dict(Counter(s.reason_kind or s.reason for s in rejected).most_common()),
            integrated_seconds=sum(s.wall_seconds for s in real),
            generated_seconds=sum(s.wall_seconds for s in accepted),
            rejected_seconds=sum(s.wall_seconds for s in rejected),
        )

    def __str__(self) -> str:
        reasons = "".join(f"; {n} x {reason}" for reason, n in self.reasons.items())
        return (
            f"{self.integrated_steps} steps of real MD in {self.integrated_seconds:.1f} s; "
            f"{self.generated_steps} steps generated in {self.generated_seconds:.1f} s "
            f"({self.accepted} segments); {self.rejected} segments rejected in {self.rejected_seconds:.1f} s{reasons}"
        )


_OLD_KINDS = (
    "not finite",
    "handedness",
    "peptide bond",
    "bond",
    "angle",
    "jumps",
    "clash",
    "relaxed energy",
    "landing",
)


def _segment(values: dict) -> Segment:
    """A segment from JSON; in older files the kind of a reason shows in its words alone."""
    if "reason_kind" not in values and not values["accepted"]:
        values["reason_kind"] = next((kind for kind in _OLD_KINDS if kind in values["reason"]), "")
    return Segment(**values)
