"""Generated segments that real MD can vouch for: tried, judged, landed, and only then handed out.

The simulation's Context is not touched by a trial. A segment is *accepted* if the gate accepts its frames and its last
one can be landed; else it is withdrawn, the generator is put back, and after the last retry the simulation *retreats*:
it integrates instead, from the state it never left. While frames of an accepted segment are handed out the simulation
is *aloft*; before it integrates again it *comes down* to the landed state.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from openmm_mdgen.errors import GenerationError, LandingError, StateError
from openmm_mdgen.simulation.gate import Judge, Molecule, Trial, Verdict
from openmm_mdgen.simulation.landing import Landed, Lander
from openmm_mdgen.simulation.record import GENERATED, Record, Segment
from openmm_mdgen.simulation.rollout import Rollout

_LANDING, _COMPARISON = (0, 1), (0, 2)  # spawn keys of their seeds; velocities of frames have keys of one number
_LONGEST_BOND = 0.5  # nm


class Hybrid:
    """The trials of one simulation.

    Parameters
    ----------
    gate : Judge
    rollout : Rollout
    make_lander : callable
        Lander of these moved atoms, and those of them to be held.
    energy_deviations : float
        How many standard deviations of real MD's potential energies a landed state's mean may lie above theirs.
    """

    molecule: Molecule  # these three from `bind` on
    lander: Lander
    relaxed: np.ndarray  # (n_atoms, 3) nm

    def __init__(
        self,
        gate: Judge,
        rollout: Rollout,
        make_lander: Callable[[np.ndarray, np.ndarray], Lander],
        *,
        energy_deviations: float,
    ) -> None:
        self.gate, self.rollout, self._make_lander = gate, rollout, make_lander
        self._energy_deviations = energy_deviations
        self.is_bound = self.is_aloft = False
        self._real = np.zeros((2, 0))  # of real MD's frames: relaxed energy, potential energy
        self._usual_frames = 1  # of a segment: what is integrated where none came out at all
        self._retreat = (0, 0)  # from this step to that
        self._ground = np.zeros((0, 3))  # (n_atoms, 3) nm: the real state that the latest segment set out from
        self._landed: tuple[int, Landed] | None = None  # at which step

    def bind(self, relaxed: np.ndarray, present: np.ndarray | None = None) -> None:
        """Take the molecule's geometry from a relaxed structure, (n_atoms, 3) nm; after the rollout was bound.

        Where the `present` positions are given, they have to be near what constraints ask.

        Raises
        ------
        LandingError
            If MD cannot go on from generated frames of this System.
        StateError
            If a molecule is broken across the periodic box.
        """
        moved = self.rollout.propagator.atom_indices
        molecule = Molecule.measure(self.rollout.topology, moved, relaxed)
        longest = np.linalg.norm(np.diff(molecule.positions[molecule.bonds], axis=1), axis=-1).max(initial=0.0)
        if longest > _LONGEST_BOND:
            raise StateError(
                f"a bond of the generated molecule is {longest:.2f} nm long, so it lies in pieces on two sides of the "
                "periodic box: make it whole (e.g. mdtraj's make_molecules_whole), then set its positions"
            )
        lander = self._make_lander(moved, moved[~molecule.is_hydrogen])
        if present is not None:
            lander.check_constraints(present)
        self.molecule, self.lander, self.relaxed, self.is_bound = molecule, lander, relaxed, True

    def retreat_end(self, step: int) -> int | None:
        """Until when real MD takes the place of a rejected segment, if it does at this step."""
        return self._retreat[1] if self._retreat[0] <= step < self._retreat[1] else None

    def try_segment(
        self,
        step: int,
        positions: np.ndarray,
        *,
        n_frames: int,
        frame_steps: int,
        retreat_steps: int | None,
        record: Record,
    ) -> bool:
        """Have a segment of at most `n_frames` ready in the rollout, or begin a retreat; both go on the record."""
        rollout, begin = self.rollout, time.perf_counter()
        planned = min(n_frames, self._usual_frames)
        if not self.is_aloft:
            self._ground = positions
            self._compare_with(positions)
        elif self._landed:
            self._ground = self._landed[1].positions
        for _ in range(1 + self.gate.retries):
            try:
                frames = rollout.begin(step, positions, n_frames)
                planned = self._usual_frames = len(frames)
                verdict, landed = self._judge(positions, frames)
            except GenerationError as error:
                verdict, landed = Verdict(False, str(error)), None
            seconds, begin = time.perf_counter() - begin, time.perf_counter()
            steps = planned * frame_steps
            record.generated(
                Segment(GENERATED, step, steps, verdict.accepted, verdict.reason, dict(verdict.numbers), seconds)
            )
            if verdict.accepted and landed:
                self._landed = step + steps, landed
                return True
            rollout.withdraw()
        self._retreat = step, step + (retreat_steps or steps)
        return False

    def come_down(self, step: int, positions: np.ndarray) -> Landed | None:
        """What real MD starts from, if the simulation stands at a generated frame.

        Raises
        ------
        LandingError
            If it stands inside a segment and its frame cannot be landed.
        """
        was_aloft, self.is_aloft = self.is_aloft, False
        if not was_aloft or not self.rollout.continues(step, positions):
            return None
        self.rollout.abandon_segment()
        if self._landed and self._landed[0] == step:
            return self._landed[1]
        return self.lander.land(positions, self._ground, self.rollout.seed_of(_LANDING))

    def arrays(self) -> dict[str, np.ndarray]:
        """For a checkpoint."""
        arrays = {"hybrid.retreat": np.array(self._retreat), "hybrid.aloft": np.array(self.is_aloft)}
        arrays |= {"hybrid.usual_frames": np.array(self._usual_frames)}
        if self.is_bound:
            arrays |= {"hybrid.relaxed": self.relaxed, "hybrid.real": self._real, "hybrid.ground": self._ground}
        if self._landed:
            step, landed = self._landed
            arrays |= {
                "hybrid.landed_step": np.array(step),
                "hybrid.landed_positions": landed.positions,
                "hybrid.landed_velocities": landed.velocities,
                "hybrid.landed_energy": np.array(landed.potential_energy),
            }
        return arrays

    def restored(self, rollout: Rollout, arrays: dict[str, np.ndarray]) -> Hybrid:
        """The trials that `arrays` came from, of a restored rollout; of a file without them, new ones."""
        hybrid = Hybrid(self.gate, rollout, self._make_lander, energy_deviations=self._energy_deviations)
        if "hybrid.retreat" in arrays:
            hybrid._retreat = tuple(arrays["hybrid.retreat"].tolist())
            hybrid.is_aloft = bool(arrays["hybrid.aloft"])
            hybrid._usual_frames = int(arrays["hybrid.usual_frames"])
        if "hybrid.relaxed" in arrays:
            hybrid.bind(arrays["hybrid.relaxed"])
            hybrid._real, hybrid._ground = arrays["hybrid.real"], arrays["hybrid.ground"]
        if "hybrid.landed_step" in arrays:
            names = ("positions", "velocities", "energy")
            positions, velocities, energy = (arrays[f"hybrid.landed_{name}"] for name in names)
            hybrid._landed = int(arrays["hybrid.landed_step"]), Landed(positions, velocities, float(energy))
        return hybrid

    def _compare_with(self, positions: np.ndarray) -> None:
        """Take the present frame, of real MD, for comparison; the first time a short MD from here too."""
        frames = [self.lander.real_frame(positions)]
        if not self._real.size:
            frames = self.lander.real_frames(positions, self.rollout.seed_of(_COMPARISON))
        found = [(self._relaxed_energy_of(frame), energy) for frame, energy in frames]
        self._real = np.concatenate([self._real, np.array(found).T], axis=1)

    def _judge(self, positions: np.ndarray, frames: np.ndarray) -> tuple[Verdict, Landed | None]:
        moved = self.rollout.propagator.atom_indices

        def complete(frame: np.ndarray) -> np.ndarray:
            whole = positions.copy()
            whole[moved] = frame
            return whole

        def relaxed_energy(frame: np.ndarray) -> float:
            try:
                return self._relaxed_energy_of(complete(frame))
            except LandingError:
                return float("nan")

        if not np.isfinite(frames).all():
            return Verdict(False, "positions that are not finite"), None
        verdict = self.gate.judge(
            Trial(
                self.molecule,
                positions[moved],
                frames,
                relaxed_energy,
                self._real[0],
            )
        )
        if not verdict.accepted:
            return verdict, None
        numbers = dict(verdict.numbers)
        try:
            landed = self.lander.land(complete(frames[-1]), self._ground, self.rollout.seed_of(_LANDING))
        except LandingError as error:
            return Verdict(False, f"landing: {error}", numbers), None
        limit = self._real[1].mean() + self._energy_deviations * self._real[1].std(ddof=1)
        numbers |= {"landed_energy": landed.potential_energy, "landed_energy_limit": float(limit)}
        if landed.potential_energy > limit:
            reason = f"landing: {landed.potential_energy:.0f} kJ/mol, above the {limit:.0f} of real MD"
            return Verdict(False, reason, numbers), None
        return Verdict(True, "", numbers), landed

    def _relaxed_energy_of(self, frame: np.ndarray) -> float:
        return self.lander.relaxed(frame)[1]
