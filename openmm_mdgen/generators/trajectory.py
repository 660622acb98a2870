"""`TrajectoryGenerator`: weights of any task, and what they generate.

Axes: ``R`` replicas, ``N`` atoms of the topology, ``n`` atoms of the protein chain. Nanometre, picosecond, kelvin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import mdtraj
import numpy as np
import torch
from torch import Tensor

from openmm_mdgen.errors import CheckpointError, GenerationError, MDGenError, UnsupportedTopologyError
from openmm_mdgen.generators import design as inpainting
from openmm_mdgen.generators import given_frames as bridging
from openmm_mdgen.generators.design import Design
from openmm_mdgen.generators.forward import MoleculePropagator
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.dirichlet import N_TYPES
from openmm_mdgen.model.flow import TrajectoryFlow
from openmm_mdgen.model.ode import SOLVERS, AdamsBashforth, FixedStep, OdeSolver
from openmm_mdgen.model.tasks import TASKS, ForwardSimulation, Inpainting, Interpolation, Task, Upsampling
from openmm_mdgen.model.tokens import Frames
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.inputs import Structure, check_whole, interval_of, positions_of
from openmm_mdgen.molecule.template import AllAtomTemplate
from openmm_mdgen.seeds import segment_seed

if TYPE_CHECKING:
    from openmm.app import Topology

AnyTask = TypeVar("AnyTask", bound=Task)

# By task; where a task's weights do not come with the package, loading them says so.
DEFAULT_WEIGHTS = {
    "forward_simulation": "forward_tetrapeptide",
    "interpolation": "interpolation_tetrapeptide",
    "upsampling": "upsampling_tetrapeptide",
    "inpainting": "inpainting_tetrapeptide",
}


class TrajectoryGenerator:
    """Trained weights on a device; those of forward simulation are the first implementation of `protocol.Generator`.

    Each method needs weights of its task: `rollout` and a simulation those of forward simulation, `interpolate`,
    `upsample` and `inpaint` those of that name.

    Examples
    --------
    >>> generator = TrajectoryGenerator.load()
    >>> trajectory = generator.rollout(pdb.topology, positions, n_frames=1000, seed=7)
    >>> trajectory.save_dcd("generated.dcd")

    Parameters
    ----------
    flow : TrajectoryFlow
    info : ModelInfo
    solver : OdeSolver
    device : torch.device
    """

    def __init__(self, flow: TrajectoryFlow, info: ModelInfo, solver: OdeSolver, device: torch.device) -> None:
        self.flow = flow.to(device)
        self.info, self.solver, self.device = info, solver, device
        self.frame_interval, self.temperature = info.frame_interval, info.temperature
        self.evaluations = 0  # of the network, spent so far

    @classmethod
    def load(
        cls,
        name_or_path: str | Path | None = None,
        *,
        task: str | None = None,
        device: str = "auto",
        ode_solver: str | None = None,
        evaluations: int | None = None,
    ) -> TrajectoryGenerator:
        """Load bundled weights by name, or weights from a file.

        Parameters
        ----------
        name_or_path : str or Path, optional
            Default: the bundled model of tetrapeptides for the task.
        task : {"forward_simulation", "interpolation", "upsampling", "inpainting"}, optional
            Refuse weights of another one. Default: whatever the weights are for; without a name, forward simulation.
        device : str
            ``"auto"`` takes a GPU if there is one; else a torch device such as ``"cpu"`` or ``"cuda:1"``.
        ode_solver : {"euler", "midpoint", "heun", "rk4", "multistep", "dopri5"}, optional
            Default: the one named in the weights.
        evaluations : int, optional
            Network evaluations a segment, for the solvers with fixed steps.

        Raises
        ------
        CheckpointError
            If there are no such weights, they are damaged or for another task, or the device is not there.
        """
        if task is not None and task not in DEFAULT_WEIGHTS:
            raise MDGenError(f"task {task!r} is not one of {', '.join(DEFAULT_WEIGHTS)}")
        name = DEFAULT_WEIGHTS[task or "forward_simulation"] if name_or_path is None else name_or_path
        if name_or_path is None and name not in checkpoints.bundled():
            raise CheckpointError(
                f"no weights {name!r} come with this version: name a file of your own, which openmm-mdgen train makes"
            )
        flow, info = checkpoints.load(name)
        generator = cls(flow, info, _solver(ode_solver or info.ode_solver, evaluations), _device(device))
        if task is not None:
            generator.require(TASKS[task])
        return generator

    def check(self, topology: Topology) -> None:
        """Raise unless the weights are for forward simulation and can take this molecule.

        Raises
        ------
        CheckpointError, UnsupportedTopologyError
        """
        self.require(ForwardSimulation)
        self.chain_of(topology)

    def propagator(self, topology: Topology, positions: np.ndarray) -> MoleculePropagator:
        """Bind to a molecule; see `protocol.Generator`."""
        self.require(ForwardSimulation)
        return MoleculePropagator(self, AllAtomTemplate.measure(self.chain_of(topology), positions))

    def stream(
        self, topology: Topology, positions: np.ndarray, n_frames: int, *, replicas: int = 1, seed: int = 0
    ) -> Iterator[np.ndarray]:
        """Generate any number of frames in bounded memory.

        Parameters
        ----------
        topology : openmm.app.Topology
        positions : (N, 3), nm
            A relaxed structure; every replica starts from it.
        n_frames : int
            New frames of each replica; the start is not among them.
        replicas : int
            Independent trajectories, generated in one batch.
        seed : int

        Yields
        ------
        (R, at most a segment's frames, n, 3) nm, atoms of the protein chain.
        """
        propagator = self.propagator(topology, positions)
        current = np.repeat(np.asarray(positions, dtype=np.float64)[None], replicas, axis=0)
        for index in range(-(-n_frames // (self.info.n_frames - 1))):
            seeds = [segment_seed(seed, index, replica) for replica in range(replicas)]
            frames = propagator.segments(current, seeds)
            current[:, propagator.atom_indices] = frames[:, -1]
            yield frames[:, : n_frames - index * (self.info.n_frames - 1)]

    def rollout(self, topology: Topology, positions: np.ndarray, n_frames: int, *, seed: int = 0) -> mdtraj.Trajectory:
        """One trajectory of the protein chain, held in memory; parameters as `stream`."""
        return self.rollouts(topology, positions, n_frames, replicas=1, seed=seed)[0]

    def rollouts(
        self, topology: Topology, positions: np.ndarray, n_frames: int, *, replicas: int, seed: int = 0
    ) -> list[mdtraj.Trajectory]:
        """Several trajectories, generated in one batch; parameters as `stream`."""
        xyz = np.concatenate(list(self.stream(topology, positions, n_frames, replicas=replicas, seed=seed)), axis=1)
        time = np.arange(1, n_frames + 1) * self.frame_interval
        return [self._trajectory(topology, replica, time) for replica in xyz]

    def interpolate(
        self,
        topology: Topology,
        start: Structure,
        end: Structure,
        *,
        paths: int = 1,
        seed: int = 0,
        duration: float | None = None,
    ) -> list[mdtraj.Trajectory]:
        """Paths from one structure to another.

        Parameters
        ----------
        topology : openmm.app.Topology
        start, end : array (N, 3) in nm, `mdtraj.Trajectory` of one frame, or file name
            Complete structures of one molecule, hydrogens included.
        paths : int
            How many, generated in one batch.
        seed : int
        duration : float, optional
            Picoseconds from start to end. Default: that of the weights, which it may not be far from.

        Returns
        -------
        list of mdtraj.Trajectory
            Of the protein chain. The first frame is `start`, the last is `end` laid over it; all atoms of both are as
            given.

        Raises
        ------
        CheckpointError, MDGenError, StateError, UnsupportedTopologyError
        """
        self.require(Interpolation)
        if paths < 1:
            raise MDGenError(f"paths {paths}: ask for at least one")
        n_frames = bridging.path_frames(self, duration)
        chain = self.chain_of(topology)
        ends = []
        for name, structure in (("start", start), ("end", end)):
            positions = positions_of(name, structure, topology)
            chain.resolved(positions)
            check_whole(name, chain, positions)
            ends.append(positions)
        xyz = bridging.paths_between(self, chain, ends[0], ends[1], n_frames, paths=paths, seed=seed)
        return [self._trajectory(topology, path, np.arange(n_frames) * self.frame_interval) for path in xyz]

    def upsample(
        self,
        trajectory: mdtraj.Trajectory,
        factor: int | None = None,
        *,
        seed: int = 0,
        frame_interval: float | None = None,
    ) -> mdtraj.Trajectory:
        """Fill in the motion between the frames of a trajectory.

        Parameters
        ----------
        trajectory : mdtraj.Trajectory
            All atoms of the molecule, hydrogens included; at least two frames, as far apart as those the weights know.
        factor : int, optional
            How many times as many frames: that of the weights, which is the default.
        seed : int
        frame_interval : float, optional
            Picoseconds between the given frames, where `trajectory.time` does not say so (files of the DCD format do
            not).

        Returns
        -------
        mdtraj.Trajectory
            Of the protein chain. Every `factor`-th frame is a given one, as it was given.

        Raises
        ------
        CheckpointError, MDGenError, StateError, UnsupportedTopologyError
        """
        task = self.require(Upsampling)
        if factor is not None and factor != task.factor:
            raise MDGenError(f"factor {factor}: weights {self.info.name!r} upsample by {task.factor}")
        interval, needed = interval_of(trajectory, frame_interval), task.factor * self.frame_interval
        if abs(interval - needed) > 1e-3 * needed:
            raise MDGenError(
                f"the trajectory has a frame each {interval:g} ps, and weights {self.info.name!r} fill intervals of "
                f"{needed:g} ps: take every n-th frame so that they are {needed:g} ps apart, or state frame_interval "
                "if the file's times are wrong"
            )
        topology, chain = self._checked(trajectory)
        xyz = bridging.upsampled(self, chain, trajectory.xyz, seed=seed)
        time = float(trajectory.time[0]) * (frame_interval is None) + np.arange(len(xyz)) * self.frame_interval
        return self._trajectory(topology, xyz, time)

    def inpaint(
        self,
        trajectory: mdtraj.Trajectory,
        *,
        designed: Sequence[int] | None = None,
        samples: int = 1,
        seed: int = 0,
        frame_interval: float | None = None,
    ) -> list[Design]:
        """Design residues, types and motion, for the motion of the others.

        Parameters
        ----------
        trajectory : mdtraj.Trajectory
            All atoms of the molecule. One that is longer than a window of the weights is used in windows spread evenly
            over it, one a sample.
        designed : sequence of int, optional
            Residues from 0: those the weights design, which is the default.
        samples : int
        seed : int
        frame_interval : float, optional
            As in `upsample`; here a whole multiple of the given frames' interval may be the weights'.

        Returns
        -------
        list of Design
            One a sample; `inpainting.frequencies` counts their sequences, `designs.all_atoms` completes them.

        Raises
        ------
        CheckpointError, MDGenError, StateError, UnsupportedTopologyError
        """
        self.require(Inpainting)
        interval = interval_of(trajectory, frame_interval)
        _, chain = self._checked(trajectory)
        return inpainting.designs(
            self, chain, trajectory.xyz, interval, designed=designed, samples=samples, seed=seed
        )  # fmt: skip

    def sample(self, frames: Frames, seeds: Sequence[int]) -> Tensor:
        """Tokens (B, T, L, D) of a batch, each member's noise drawn from its own seed; see `TrajectoryFlow.sample`.

        Raises
        ------
        MDGenError
            If the network breaks down.
        """
        config = self.flow.config
        shape = (*frames.rigids.shape[1:], config.network.token_width)
        random = [torch.Generator().manual_seed(seed) for seed in seeds]
        noise = torch.stack([torch.randn(shape, generator=g) for g in random])
        if config.network.designs:  # uniform on the simplex, one state a residue
            drawn = torch.stack([torch.empty(shape[1], N_TYPES).exponential_(generator=g) for g in random])
            states = (drawn / drawn.sum(-1, keepdim=True))[:, None].expand(*noise.shape[:3], N_TYPES)
            noise = torch.cat([noise, states], dim=-1)
        sample = self.flow.sample(frames, noise.to(self.device), self.solver)
        self.evaluations += sample.evaluations
        if not torch.isfinite(sample.tokens).all():
            raise GenerationError(
                "the network generated values that are not finite: use other weights, or another solver"
            )
        return sample.tokens

    def require(self, kind: type[AnyTask]) -> AnyTask:
        """The weights' task, if it is of this kind; else raises `CheckpointError`."""
        task = self.flow.config.task
        if not isinstance(task, kind):
            raise CheckpointError(
                f"weights {self.info.name!r} are for {type(task).__name__}, and this needs {kind.__name__} weights: "
                "load others"
            )
        return task

    def _checked(self, trajectory: mdtraj.Trajectory) -> tuple[Topology, ProteinChain]:
        topology = trajectory.topology.to_openmm()
        chain = self.chain_of(topology).resolved(trajectory.xyz[0])
        chain.atom14(trajectory.xyz)  # finite
        check_whole("the trajectory", chain, trajectory.xyz)
        return topology, chain

    def _trajectory(self, topology: Topology, xyz: np.ndarray, time: np.ndarray) -> mdtraj.Trajectory:
        atoms = mdtraj.Topology.from_openmm(topology).subset(self.chain_of(topology).atom_indices)
        return mdtraj.Trajectory(xyz, atoms, time=time)

    def chain_of(self, topology: Topology) -> ProteinChain:
        """The protein of a topology; raises `UnsupportedTopologyError` if the weights cannot take it."""
        chain = ProteinChain.from_openmm(topology)
        network, n = self.flow.config.network, len(chain.sequence)
        if not network.takes(n):
            raise UnsupportedTopologyError(
                f"{chain.residue_labels[0]} to {chain.residue_labels[-1]}: a chain of {n} residues, but weights "
                f"{self.info.name!r} take {network.chain_lengths}. Use other weights, or train some for this length."
            )
        return chain


def _solver(name: str, evaluations: int | None) -> OdeSolver:
    if name not in SOLVERS:
        raise MDGenError(f"ode_solver {name!r} is not one of {', '.join(SOLVERS)}")
    kind = SOLVERS[name]
    if evaluations is None:
        return kind()
    if not issubclass(kind, (FixedStep, AdamsBashforth)):
        raise MDGenError(f"ode_solver {name!r} chooses its own number of evaluations: leave evaluations out")
    try:
        return kind(evaluations)
    except ValueError as error:
        raise MDGenError(f"ode_solver {name!r}: {error}") from error


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise CheckpointError(f"device {name!r} cannot be used here ({error}); 'cpu' and 'auto' always can") from error
    return torch.device(name)
