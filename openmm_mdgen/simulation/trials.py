"""Generated segments that real MD can vouch for: tried, judged, landed, and only then handed out.

The simulation's Context is not touched by a trial. A segment is *accepted* if the gate accepts its frames and its last
one can be landed; else it is withdrawn, the generator is put back, and after the last retry the simulation *retreats*:
it integrates instead, from the state it never left. Before it integrates again after frames of an accepted segment, it
goes to the landed state.
"""

from __future__ import annotations

import time

import numpy as np

from openmm_mdgen.errors import GenerationError, LandingError, StateError
from openmm_mdgen.protocol import GeneratedSegment
from openmm_mdgen.simulation.engine import Engine, Here
from openmm_mdgen.simulation.gate import Judge, Molecule, Trial, Verdict
from openmm_mdgen.simulation.landing import Landed, Lander
from openmm_mdgen.simulation.record import Record, Segment
from openmm_mdgen.simulation.rollout import INVALID, Rollout, fault_of

_LANDING, _COMPARISON = (0, 1), (0, 2)  # spawn keys of their seeds; velocities of frames have keys of one number
_LONGEST_BOND = 0.5  # nm


class Trials:
    """The trials of one simulation.

    Parameters
    ----------
    gate : Judge
        Judges each segment.
    rollout : Rollout
        Generates them.
    molecule : Molecule
        What real MD keeps of the moved atoms.
    lander : Lander
        Relaxes and lands frames.
    relaxed : (n_atoms, 3) nm
        The structure that the molecule was measured on.
    energy_deviations : float
        How many standard deviations of real MD's potential energies a landed state's mean may lie above theirs.
    """

    def __init__(
        self,
        gate: Judge,
        rollout: Rollout,
        molecule: Molecule,
        lander: Lander,
        relaxed: np.ndarray,
        *,
        energy_deviations: float,
    ) -> None:
        self.gate, self.rollout, self.molecule, self.lander, self.relaxed = gate, rollout, molecule, lander, relaxed
        self._energy_deviations = energy_deviations
        self.is_on_generated_frame = False  # until real MD, or the user, has moved the simulation on
        self.landed: tuple[int, Landed] | None = None  # at which step
        self._real = np.zeros((2, 0))  # of real MD's frames: relaxed energy, potential energy
        self._usual_frames = 1  # of a segment: what is integrated where none came out at all
        self._retreat = (0, 0)  # from this step to that
        self._last_real = np.zeros((0, 3))  # (n_atoms, 3) nm: the real state that the latest segment set out from

    def retreat_end(self, step: int) -> int | None:
        """Until when real MD takes the place of a rejected segment, if it does at this step."""
        return self._retreat[1] if self._retreat[0] <= step < self._retreat[1] else None

    def try_segment(
        self, here: Here, *, n_frames: int, frame_steps: int, retreat_steps: int | None, record: Record
    ) -> bool:
        """Have a segment ready in the rollout, or begin a retreat; both go on the record.

        Parameters
        ----------
        here : Here
            Where the simulation stands.
        n_frames : int
            Largest number of frames that there is room for.
        frame_steps : int
            Steps of a frame.
        retreat_steps : int, optional
            Steps of a retreat; default: as many as the segment would have taken.
        record : Record

        Returns
        -------
        bool
            Whether a segment was accepted.
        """
        rollout, begin = self.rollout, time.perf_counter()
        planned = min(n_frames, self._usual_frames)
        if not self.is_on_generated_frame:
            self._last_real = here.positions
            self._compare_with(here.positions)
        elif self.landed:
            self._last_real = self.landed[1].positions
        for _ in range(1 + self.gate.retries):
            try:
                segment = rollout.begin(here, n_frames)
            except GenerationError as error:
                verdict, landed = Verdict(False, str(error), kind="generation"), None
            else:
                planned = self._usual_frames = len(segment.frames)
                verdict, landed = self._judge(here.positions, segment)
            seconds, begin = time.perf_counter() - begin, time.perf_counter()
            steps = planned * frame_steps
            record.generated(Segment.tried(here.step, steps, verdict, seconds, rollout.propagator.temperature))
            if verdict.accepted and landed:
                self.landed = here.step + steps, landed
                return True
            rollout.withdraw()
        self._retreat = here.step, here.step + (retreat_steps or steps)
        return False

    def land(self, engine: Engine) -> Landed | None:
        """What real MD has to start from; None if the simulation does not stand at a generated frame.

        Raises
        ------
        LandingError
            If it stands inside a segment and its frame cannot be landed.
        """
        if not self.is_on_generated_frame:
            return None
        here, landed = engine.here(), None
        if self.rollout.continues(here):
            if self.landed and self.landed[0] == here.step:
                landed = self.landed[1]
            else:
                landed = self.lander.land(here.positions, self._last_real, self.rollout.seed_of(_LANDING))
            self.rollout.abandon_segment()
        self.is_on_generated_frame = False
        return landed

    def arrays(self) -> dict[str, np.ndarray]:
        """All that a restart needs."""
        arrays = {"hybrid.retreat": np.array(self._retreat), "hybrid.aloft": np.array(self.is_on_generated_frame)}
        arrays |= {"hybrid.usual_frames": np.array(self._usual_frames)}
        arrays |= {"hybrid.relaxed": self.relaxed, "hybrid.real": self._real, "hybrid.ground": self._last_real}
        if self.landed:
            step, landed = self.landed
            arrays |= {
                "hybrid.landed_step": np.array(step),
                "hybrid.landed_positions": landed.positions,
                "hybrid.landed_velocities": landed.velocities,
                "hybrid.landed_energy": np.array(landed.potential_energy),
            }
        return arrays

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take over what `arrays` gave."""
        first, last = arrays["hybrid.retreat"].tolist()
        self._retreat, self.is_on_generated_frame = (first, last), bool(arrays["hybrid.aloft"])
        self._usual_frames = int(arrays["hybrid.usual_frames"])
        self._real, self._last_real = arrays["hybrid.real"], arrays["hybrid.ground"]
        if "hybrid.landed_step" in arrays:
            names = ("positions", "velocities", "energy")
            positions, velocities, energy = (arrays[f"hybrid.landed_{name}"] for name in names)
            self.landed = int(arrays["hybrid.landed_step"]), Landed(positions, velocities, float(energy))

    def _compare_with(self, positions: np.ndarray) -> None:
        """Take the present frame, of real MD, for comparison; the first time a short MD from here too."""
        frames = [self.lander.real_frame(positions)]
        if not self._real.size:
            frames = self.lander.real_frames(positions, self.rollout.seed_of(_COMPARISON))
        found = [(self._relaxed_energy_of(frame), energy) for frame, energy in frames]
        self._real = np.concatenate([self._real, np.array(found).T], axis=1)

    def _judge(self, positions: np.ndarray, segment: GeneratedSegment) -> tuple[Verdict, Landed | None]:
        frames, moved = segment.frames, self.rollout.moved

        def complete(frame: np.ndarray) -> np.ndarray:
            whole = positions.copy()
            whole[moved] = frame
            return whole

        def relaxed_energy(frame: np.ndarray) -> float:
            try:
                return self._relaxed_energy_of(complete(frame))
            except LandingError:
                return float("nan")

        if fault := fault_of(segment):
            return Verdict(False, fault, kind=INVALID), None
        if not np.isfinite(frames).all():
            return Verdict(False, "positions that are not finite", kind="not finite"), None
        verdict = self.gate.judge(Trial(self.molecule, positions[moved], frames, relaxed_energy, self._real[0]))
        if not verdict.accepted:
            return verdict, None
        numbers = dict(verdict.numbers)
        try:
            landed = self.lander.land(complete(frames[-1]), self._last_real, self.rollout.seed_of(_LANDING))
        except LandingError as error:
            return Verdict(False, f"landing: {error}", numbers, kind="landing"), None
        limit = self._real[1].mean() + self._energy_deviations * self._real[1].std(ddof=1)
        numbers |= {"landed_energy": landed.potential_energy, "landed_energy_limit": float(limit)}
        if landed.potential_energy > limit:
            reason = f"landing: {landed.potential_energy:.0f} kJ/mol, above the {limit:.0f} of real MD"
            return Verdict(False, reason, numbers, kind="landing"), None
        return Verdict(True, "", numbers), landed

    def _relaxed_energy_of(self, frame: np.ndarray) -> float:
        return self.lander.relaxed(frame)[1]


def require_whole(molecule: Molecule) -> None:
    """Raise `StateError` if the molecule is broken across the periodic box."""
    longest = np.linalg.norm(np.diff(molecule.positions[molecule.bonds], axis=1), axis=-1).max(initial=0.0)
    if longest > _LONGEST_BOND:
        raise StateError(
            f"a bond of the generated molecule is {longest:.2f} nm long, so it lies in pieces on two sides of the "
            "periodic box: make it whole (e.g. mdtraj's make_molecules_whole), then set its positions"
        )
