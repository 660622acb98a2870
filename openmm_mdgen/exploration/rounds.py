"""Rounds of exploration: a generator shows where a molecule may go, and short runs of real MD show whether it does.

A *round* starts real MD from chosen frames, adds the trajectories, the *pieces*, to those of the rounds before, and
estimates a Markov model of all. The first round starts from generated frames that are spread over all that was
generated; later rounds start from real frames, where populations are least certain. Conclusions come from real MD
alone. Each round is saved before the next begins, and an exploration in the same folder goes on after the last one.
Lengths are in nanometre, times in picosecond.
"""

from __future__ import annotations

import json
import secrets
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

import mdtraj
import numpy as np
from mdtraj.formats import XTCTrajectoryFile
from openmm import app

from openmm_mdgen.analysis.sources import measure
from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.arguments import in_unit, is_quantity, not_negative, positive, require, valid_count
from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.exploration.kinetics import Kinetics
from openmm_mdgen.files import make_folder, replacing, write_json
from openmm_mdgen.md.conditions import whole_frames
from openmm_mdgen.md.structures import write_pdb
from openmm_mdgen.seeds import segment_seed, valid_seed


class Runs(Protocol):
    """What runs real MD: a `md.swarm.Swarm`, or `SharedRuns` among workers."""

    topology: app.Topology

    def relaxed(self, frames: np.ndarray) -> np.ndarray:
        """Frames (n, n_atoms, 3) nm near the given ones, from which MD can start."""
        ...

    def run(
        self,
        starts: Sequence[np.ndarray] | np.ndarray,
        *,
        n_frames: int,
        frame_interval: float = ...,
        seed: int = ...,
        progress: Callable[[int], None] = ...,
    ) -> list[np.ndarray]:
        """A trajectory (n_frames, n_atoms, 3) nm from each start."""
        ...


@dataclass(frozen=True)
class Plan:
    """What each round of an exploration does. Times may also be quantities.

    Parameters
    ----------
    runs : int
        Number of runs in a round.
    piece : float
        Time in ps that is kept of each run, a whole number of frames.
    settling : float
        Time in ps before that, which is not kept, since a generated start is cold; a whole number of frames.
    frame_interval : float
        Time between frames in ps.
    lagtime : float
        Lag time of the Markov model in ps, a whole number of frames. Pieces start where some state is rare, so a lag
        time that is too short counts returns that equilibrium would not have: populations have to be the same at twice
        the lag time.
    n_microstates : int
        Microstates of the Markov model.
    seed : int, optional
        Source of all seeds. Default: that of the exploration which is found in the folder, else one is drawn; the
        exploration's plan has it.

    Raises
    ------
    MDGenError
        If a piece is shorter than two lag times, or a number is out of range.
    """

    runs: int = 16
    piece: float = 200.0
    settling: float = 5.0
    frame_interval: float = 1.0
    lagtime: float = 40.0
    n_microstates: int = 50
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("piece", "settling", "frame_interval", "lagtime"):
            value = getattr(self, name)
            (not_negative if name == "settling" else positive)(name, value, "picosecond")
            if is_quantity(value):
                object.__setattr__(self, name, in_unit(name, value, "picosecond"))
        valid_count("runs", self.runs)
        valid_count("n_microstates", self.n_microstates, least=2)
        if self.seed is not None:
            valid_seed(self.seed)
        if self.lagtime > self.piece / 2:
            raise MDGenError(
                f"pieces of {self.piece:g} ps and a lag time of {self.lagtime:g} ps: a piece has to last at least two "
                "lag times"
            )
        for time in (self.piece, self.lagtime, *([self.settling] if self.settling else [])):
            whole_frames(time, self.frame_interval)


@dataclass(eq=False)
class Exploration:
    """Rounds of real MD of one molecule, kept in a folder.

    Parameters
    ----------
    runs : Runs
        What runs MD, such as a `Swarm`.
    folder : str or Path
        Folder of the pieces (one XTC file each), the topology and the plan. An exploration found there goes on.
    plan : Plan

    Examples
    --------
    >>> exploration = Exploration(Swarm(topology, positions), "explored")
    >>> generated = generated_frames(TrajectoryGenerator.load(), topology, positions, 5000)
    >>> for _ in range(3):
    ...     kinetics = exploration.round(generated)
    >>> print(kinetics.timescales[0])

    Raises
    ------
    MDGenError
        If the folder holds rounds of another plan or molecule.
    """

    runs: Runs
    folder: Path
    plan: Plan = field(default_factory=Plan)

    def __post_init__(self) -> None:
        require("runs", self.runs, hasattr(self.runs, "topology"), "a Swarm, or SharedRuns")
        require("plan", self.plan, isinstance(self.plan, Plan), "a Plan")
        self.folder = Path(self.folder)
        make_folder(self.folder)
        self._topology = mdtraj.Topology.from_openmm(self.runs.topology)
        path = self.folder / "plan.json"
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if self.plan.seed is None:
            self.plan = replace(self.plan, seed=found.get("seed", secrets.randbelow(2**31 - 1)))
        settings = asdict(self.plan) | {"atoms": self._topology.n_atoms}
        if not found:
            write_json(path, settings)
        elif found != settings:
            differing = sorted(key for key in settings if found.get(key) != settings[key])
            raise MDGenError(f"{path} has another {', '.join(differing)}: give the same plan, or another folder")
        self._kinetics: Kinetics | None = None  # of the present pieces
        self.pieces = self._saved()

    @property
    def _seed(self) -> int:
        assert self.plan.seed is not None, "the plan of an exploration has one"
        return self.plan.seed

    @property
    def n_rounds(self) -> int:
        """Rounds done so far."""
        return len(self.pieces) // self.plan.runs

    @property
    def nanoseconds(self) -> float:
        """Length of all real MD in ns, with settling."""
        return len(self.pieces) * (self.plan.piece + self.plan.settling) / 1000

    def round(
        self, generated: mdtraj.Trajectory | np.ndarray, *, progress: Callable[[int], None] = lambda runs: None
    ) -> Kinetics:
        """Start runs, save their pieces, and estimate a Markov model of all pieces.

        Parameters
        ----------
        generated : mdtraj.Trajectory, or (n_frames, n_atoms, 3) array in nm
            Frames of all atoms, from which the first round's starts are chosen. They need no times: independent samples
            will do.
        progress : callable
            Called with the number of runs that have ended, whenever some have.

        Returns
        -------
        Kinetics

        Raises
        ------
        MDGenError
            If the frames are of another molecule, or fewer than there are runs.
        UndefinedError
            If pieces are not connected by common microstates: run longer ones.
        """
        plan, seed = self.plan, self._seed
        starts = self._from_generated(generated) if self.n_rounds == 0 else self._from_pieces()
        skipped = round(plan.settling / plan.frame_interval)
        n_frames = skipped + round(plan.piece / plan.frame_interval)
        found = self.runs.run(
            starts,
            n_frames=n_frames,
            frame_interval=plan.frame_interval,
            seed=segment_seed(seed, self.n_rounds),
            progress=progress,
        )
        self._save([piece[skipped:] for piece in found])
        return self.kinetics()

    def kinetics(self) -> Kinetics:
        """The Markov model of all pieces so far.

        Raises
        ------
        MDGenError
            If there is no piece.
        UndefinedError
            If pieces are not connected by common microstates.
        """
        if not self.pieces:
            raise MDGenError(f"{self.folder} has no pieces yet: run a round")
        if self._kinetics is None:
            plan = self.plan
            self._kinetics = Kinetics.of(
                self.series(), lagtime=plan.lagtime, n_microstates=plan.n_microstates, seed=self._seed
            )
        return self._kinetics

    def series(self) -> list[TorsionSeries]:
        """Torsions of each piece."""
        return [measure(piece).torsions for piece in self.pieces]

    def _from_generated(self, generated: mdtraj.Trajectory | np.ndarray) -> np.ndarray:
        """Choose the frames nearest to the centres of as many clusters as there are runs, and relax them."""
        from deeptime.clustering import KMeans

        is_right = isinstance(generated, np.ndarray) or hasattr(generated, "n_frames")
        require("generated", generated, is_right, "an mdtraj.Trajectory or an array of frames")
        if isinstance(generated, np.ndarray):
            if generated.ndim != 3 or generated.shape[1:] != (self._topology.n_atoms, 3):
                raise MDGenError(
                    f"generated frames have the shape {generated.shape}: give (frames, {self._topology.n_atoms} atoms, "
                    "3), in nm"
                )
            generated = mdtraj.Trajectory(generated, self._topology, time=np.zeros(len(generated)))
        if generated.n_atoms != self._topology.n_atoms:
            raise MDGenError(
                f"generated frames have {generated.n_atoms} atoms, the molecule {self._topology.n_atoms}: generate "
                "from the same topology"
            )
        if generated.n_frames < self.plan.runs:
            raise MDGenError(f"{generated.n_frames} generated frames for {self.plan.runs} runs: generate more")
        features = measure(generated).torsions.features().astype(float)
        clusters = KMeans(self.plan.runs, init_strategy="kmeans++", fixed_seed=self._seed, n_jobs=1)
        centres = clusters.fit_fetch(features).cluster_centers
        nearest = [int(((features - centre) ** 2).sum(-1).argmin()) for centre in centres]
        return _relaxed(self.runs, generated.xyz[nearest])

    def _from_pieces(self) -> np.ndarray:
        """Choose real frames from the microstates that add most to the errors."""
        kinetics = self.kinetics()
        labels = np.concatenate(kinetics.labels)
        frames = np.concatenate([piece.xyz for piece in self.pieces])
        rng = np.random.default_rng((self._seed, self.n_rounds))
        microstates = rng.choice(len(kinetics.need), size=self.plan.runs, p=kinetics.need)
        return np.stack([frames[rng.choice(np.flatnonzero(labels == m))] for m in microstates])

    def _piece_path(self, number: int) -> Path:
        return self.folder / f"piece_{number:05d}.xtc"

    def _save(self, pieces: list[np.ndarray]) -> None:
        first = len(self.pieces)
        times = self.plan.frame_interval * np.arange(1, len(pieces[0]) + 1)
        if first == 0:
            write_pdb(self.folder / "topology.pdb", self.runs.topology, pieces[0][0].astype(float))
        for number, xyz in enumerate(pieces, first):
            with replacing(self._piece_path(number)) as temporary, XTCTrajectoryFile(str(temporary), "w") as file:
                file.write(xyz, time=times.astype(np.float32), step=np.arange(len(xyz), dtype=np.int32))
        self.pieces += [self._read(number) for number in range(first, first + len(pieces))]
        self._kinetics = None

    def _read(self, number: int) -> mdtraj.Trajectory:
        return mdtraj.load(str(self._piece_path(number)), top=self._topology)

    def _saved(self) -> list[mdtraj.Trajectory]:
        """Read the pieces on disk but for those of a round that was cut off, which are made again."""
        n = 0
        while self._piece_path(n).exists():
            n += 1
        n -= n % self.plan.runs
        return [self._read(number) for number in range(n)]


def _relaxed(runs: Runs, frames: np.ndarray) -> np.ndarray:
    """As many relaxed frames; those that cannot be relaxed are left out, and others stand twice, with a warning.

    Runs from one frame differ by their velocities, and the Markov model asks nothing of where runs start.
    """
    try:
        return runs.relaxed(frames)
    except StateError:
        pass
    found, faults = [], []
    for frame in frames:
        try:
            found.append(runs.relaxed(frame[None])[0])
        except StateError as error:
            faults.append(error)
    if not found:
        raise faults[0]
    warnings.warn(
        f"{len(faults)} of {len(frames)} chosen frames could not be relaxed, and others are started from twice: "
        f"{faults[0]}",
        stacklevel=4,
    )
    return np.stack([found[k % len(found)] for k in range(len(frames))])
