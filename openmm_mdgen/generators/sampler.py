"""`Sampler`: loaded weights on a device, which draw tokens for any task.

Axes as in `model.tokens`: ``B`` trajectories, ``T`` frames, ``L`` residues, ``D`` channels of a token. Each task's own
file builds on a sampler: it holds the task, typed, and turns tokens into what a user asks for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from openmm_mdgen import threads
from openmm_mdgen.arguments import positive, require, valid_count
from openmm_mdgen.errors import CheckpointError, GenerationError, MDGenError, UnsupportedTopologyError
from openmm_mdgen.generators.memory import Memory, available, needed
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.dirichlet import N_TYPES, uniform_states
from openmm_mdgen.model.flow import TrajectoryFlow
from openmm_mdgen.model.ode import SOLVERS, AdamsBashforth, FixedStep, OdeSolver
from openmm_mdgen.model.tasks import TASKS, ForwardSimulation, Task
from openmm_mdgen.model.tokens import Frames
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.placement import backbone_named
from openmm_mdgen.molecule.positions import as_topology, usable
from openmm_mdgen.temperatures import nearest

if TYPE_CHECKING:
    import mdtraj
    from openmm.app import Topology

AnyTask = TypeVar("AnyTask", bound=Task)


class Sampler:
    """Weights on a device, the solver of their flow, and a count of what was spent.

    Parameters
    ----------
    flow : TrajectoryFlow
    info : ModelInfo
    solver : OdeSolver
    device : torch.device

    Attributes
    ----------
    frame_interval : float
        Picoseconds between generated frames, as `info` states them.
    backbone : Backbone
        How generated frames are placed.
    evaluations : int
        How many times the network was evaluated so far.
    temperature : float
        Kelvin, of what is drawn unless it is stated; can be set within the range of the weights.
    """

    def __init__(self, flow: TrajectoryFlow, info: ModelInfo, solver: OdeSolver, device: torch.device) -> None:
        self.flow = flow.to(device)
        self.info, self.solver, self.device = info, solver, device
        self.frame_interval = info.frame_interval
        self.backbone = backbone_named(info.backbone, turns_caps=flow.config.network.termini)
        self.evaluations = 0
        self._temperature = info.temperature

    @property
    def temperature(self) -> float:
        return self._temperature

    @temperature.setter
    def temperature(self, kelvin: float) -> None:
        self._temperature = self.valid_temperature(kelvin)

    def valid_temperature(self, kelvin: float) -> float:
        """A temperature as a number of kelvin; raises `MDGenError` if the weights do not know it."""
        kelvin = positive("temperature", kelvin, "kelvin")
        low, high = known = self.info.temperature_range
        if not low <= kelvin <= high:
            raise MDGenError(
                f"temperature {kelvin:g} K: weights {self.info.name!r} were trained at "
                f"{self.info.temperature_in_words}, and say nothing of others; ask for what they know, the nearest "
                f"being {nearest(kelvin, known):g}, or use weights that were trained at yours"
            )
        return kelvin

    @classmethod
    def load(
        cls,
        name_or_path: str | Path | None = None,
        *,
        task: str | None = None,
        topology: Topology | None = None,
        device: str = "auto",
        ode_solver: str | None = None,
        evaluations: int | None = None,
    ) -> Sampler:
        """Load weights; parameters and errors as in `TrajectoryGenerator.load`."""
        if task is not None and task not in TASKS:
            raise MDGenError(f"task {task!r} is not one of {', '.join(TASKS)}")
        kind = ForwardSimulation if task is None else TASKS[task]
        flow, info = checkpoints.load(_default_weights(kind, topology) if name_or_path is None else name_or_path)
        name = ode_solver or info.ode_solver
        if evaluations is None and name == info.ode_solver:
            evaluations = info.evaluations
        sampler = cls(flow, info, solver_of(name, evaluations), device_of(device))
        if task is not None:
            sampler.require(TASKS[task])
        return sampler

    @cached_property
    def checksum(self) -> str:
        """What tells these weights from all others; see `checkpoints.checksum`."""
        return checkpoints.checksum(self.flow)

    def sample(
        self, frames: Frames, seeds: Sequence[int], *, temperature: float | None = None
    ) -> Float[Tensor, "B T L _"]:
        """Draw tokens for a batch.

        Parameters
        ----------
        frames : Frames
            Trajectories whose known parts are filled in; the rest is not read.
        seeds : sequence of int
            One for each trajectory, whose noise is drawn from it alone.
        temperature : float, optional
            Kelvin, within the range of the weights. Default: the sampler's.

        Returns
        -------
        Tensor, (B, T, L, D), or (B, T, L, D + 20) from networks that design
            On the sampler's device.

        Raises
        ------
        GenerationError
            If the network gives values that are not finite.
        """
        network = self.flow.config.network
        self.memory_of(frames.aatype.shape[1], len(seeds), frames.n_frames).require(
            f"{len(seeds)} trajectories at once"
        )
        shape = (*frames.rigids.shape[1:], network.token_width)
        random = [torch.Generator().manual_seed(seed) for seed in seeds]
        noise = torch.stack([torch.randn(shape, generator=g) for g in random])
        if network.designs:  # one state of a residue for all its frames
            states = torch.stack([uniform_states(shape[1], g) for g in random])
            noise = torch.cat([noise, states[:, None].expand(*noise.shape[:3], N_TYPES)], dim=-1)
        frames = frames.at_temperature(self.temperature if temperature is None else temperature)
        with self.threads_for(frames):
            sample = self.flow.sample(frames, noise.to(self.device), self.solver)
        self.evaluations += sample.evaluations
        if not torch.isfinite(sample.tokens).all():
            raise GenerationError(
                "the network generated values that are not finite: use other weights, or another solver"
            )
        return sample.tokens

    def threads_for(self, frames: Frames) -> AbstractContextManager[None]:
        """A block in which torch has as many threads as the network is quick with over such a batch."""
        return threads.taken_for(math.prod(frames.rigids.shape) * self.flow.config.network.width**2)

    def memory_of(self, n_residues: int, n_trajectories: int = 1, n_frames: int | None = None) -> Memory:
        """What trajectories need when they are drawn at once, and what there is.

        Parameters
        ----------
        n_residues, n_trajectories : int
        n_frames : int, optional
            Default: those of a segment.
        """
        frames = self.info.n_frames if n_frames is None else n_frames
        network = self.flow.config.network
        size = needed(network, n_trajectories, frames, n_residues, backbone=self.info.backbone)
        return Memory(size, available(self.device))

    def type_probabilities(self, frames: Frames) -> Float[Tensor, "B L 20"]:
        """The network's probabilities of residue types from what is known of the frames, without noise; on the CPU."""
        with torch.no_grad():
            probabilities = self.flow.type_logits(frames.at_temperature(self.temperature)).softmax(-1).cpu()
        self.evaluations += 1
        return probabilities

    def require(self, kind: type[AnyTask]) -> AnyTask:
        """The task of the weights, if it is of the kind that is asked for.

        Raises
        ------
        CheckpointError
            If it is another task.
        """
        task = self.flow.config.task
        if not isinstance(task, kind):
            such = f", such as {kind.default_weights[0]!r}" if kind.default_weights else ""
            raise CheckpointError(
                f"weights {self.info.name!r} are for {_in_words(task)}, and this needs weights for {_in_words(kind)}: "
                f"load others{such}"
            )
        return task

    def warn_of_caps_and_closures(self, chain: ProteinChain) -> None:
        """Warn if the chain is closed, or is capped and the weights know free ends only."""
        chain.warn_of_caps_and_closures(self.info.name, known=self.flow.config.network.termini)

    def chain_of(self, topology: Topology) -> ProteinChain:
        """The protein chain of a topology.

        Raises
        ------
        UnsupportedTopologyError
            If the weights cannot take it.
        MDGenError
            If a segment of it does not fit into memory.
        """
        chain = ProteinChain.from_openmm(as_topology(topology))
        network, n = self.flow.config.network, len(chain.sequence)
        if not network.takes(n):
            fitting = [name for name in _bundled_for(type(self.flow.config.task)) if _take(name, [chain])]
            raise UnsupportedTopologyError(
                f"{chain.residue_labels[0]} to {chain.residue_labels[-1]}: a chain of {n} residues, but weights "
                f"{self.info.name!r} take {network.chain_lengths}. "
                + (f"Use {fitting[0]!r}, which" if fitting else "Use other weights, or train some for this length")
                + (" come with this package and take it." if fitting else ".")
            )
        self.memory_of(n).require(f"a segment of {self.info.n_frames} frames of {n} residues")
        return chain

    def chain_of_frames(self, trajectory: mdtraj.Trajectory) -> tuple[Topology, ProteinChain]:
        """The topology of given frames and its chain, whose termini are as the first frame has them.

        Raises
        ------
        MDGenError, StateError, UnsupportedTopologyError
            As `chain_of`, or if the positions are of no use.
        """
        topology = trajectory.topology.to_openmm()
        chain = self.chain_of(topology)
        usable("the trajectory", chain, trajectory.xyz)
        return topology, chain.resolved(trajectory.xyz[0])


def _in_words(task: Task | type[Task]) -> str:
    return task.name.replace("_", " ")


def _bundled_for(kind: type[Task]) -> list[str]:
    """Names of the bundled weights of a task, those that are preferred first."""
    bundled = checkpoints.bundled()
    return [name for name in kind.default_weights if name in bundled]


def _default_weights(kind: type[Task], topology: Topology | None) -> str:
    """Name of the bundled weights of a task that are loaded for a molecule when none are named."""
    names = _bundled_for(kind)
    if not names:
        missing = " or ".join(map(repr, kind.default_weights)) or f"for {kind.name}"
        raise CheckpointError(
            f"no weights {missing} come with this version: name a file of your own, which openmm-mdgen train makes"
        )
    try:
        chains = [] if topology is None else ProteinChain.each(as_topology(topology))
    except UnsupportedTopologyError:  # whatever is loaded will refuse it and say why
        chains = []
    _require_length(names, chains)
    return next((name for name in names if _take(name, chains)), names[0])


def _require_length(names: Sequence[str], chains: Sequence[ProteinChain]) -> None:
    """Raise `UnsupportedTopologyError` for a chain that none of these bundled weights take, with what each takes."""
    networks = {name: checkpoints.network_of(name) for name in names}
    for chain in chains:
        n = len(chain.sequence)
        if not any(network.takes(n) for network in networks.values()):
            lengths = " and ".join(f"{name!r} take {network.chain_lengths}" for name, network in networks.items())
            raise UnsupportedTopologyError(
                f"{chain.residue_labels[0]} to {chain.residue_labels[-1]}: a chain of {n} residues, but bundled "
                f"weights {lengths}. Use weights of your own, or train some for this length."
            )


def _take(name: str, chains: Sequence[ProteinChain]) -> bool:
    """Whether bundled weights take all of these chains, and know of their caps."""
    network = checkpoints.network_of(name)
    return all(network.takes(len(c.sequence)) and (network.termini or not c.termini.any()) for c in chains)


def frames_of(
    chain: ProteinChain,
    positions: np.ndarray,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Frames:
    """Conformations of one chain, as the model takes them.

    Parameters
    ----------
    chain : ProteinChain
    positions : (B, T, N, 3), nm
        Centred near the origin where `dtype` is float32.
    dtype : torch.dtype
        Floating type in which rigids and torsions are measured.
    device : torch.device or str

    Returns
    -------
    Frames, (B, T, L)
    """
    before = chain.before(positions)
    aatype, termini = (
        torch.from_numpy(field).to(device).expand(len(positions), -1) for field in (chain.aatype, chain.termini)
    )
    atom14 = chain.atom14(positions).to(dtype).to(device)
    return Frames.from_atom14(aatype, atom14, termini, None if before is None else before.to(dtype).to(device))


def solver_of(name: str, evaluations: int | None) -> OdeSolver:
    """A solver of the flow by its name.

    Parameters
    ----------
    name : str
        One of `model.ode.SOLVERS`.
    evaluations : int, optional
        How many times the network is evaluated for a segment. Default: as the solver has it.

    Raises
    ------
    MDGenError
        If there is no such solver, or it cannot do with that many evaluations.
    """
    if name not in SOLVERS:
        raise MDGenError(f"ode_solver {name!r} is not one of {', '.join(SOLVERS)}")
    kind = SOLVERS[name]
    if evaluations is None:
        return kind()
    if not issubclass(kind, (FixedStep, AdamsBashforth)):
        raise MDGenError(f"ode_solver {name!r} chooses its own number of evaluations: leave evaluations out")
    try:
        return kind(valid_count("evaluations", evaluations))
    except ValueError as error:
        raise MDGenError(f"evaluations {evaluations} with ode_solver {name!r}: {error}") from error


def device_of(name: str) -> torch.device:
    """A torch device by its name; ``"auto"`` is a GPU where there is one.

    Raises
    ------
    CheckpointError
        If the device is not there.
    """
    require("device", name, isinstance(name, str), "a name such as 'auto', 'cpu' or 'cuda:1'")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = re.split(r"[.\n]", str(error))[0]  # what follows is for those who build torch
        raise CheckpointError(f"device {name!r} cannot be used here ({reason}); 'cpu' and 'auto' always can") from error
    return torch.device(name)
