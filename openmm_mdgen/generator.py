"""`TrajectoryGenerator`: weights that continue a molecule's trajectory.

Axes: ``R`` replicas, ``N`` atoms of the topology, ``n`` atoms of the protein chain. Nanometre, picosecond, kelvin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import mdtraj
import numpy as np
import torch

from openmm_mdgen import checkpoints
from openmm_mdgen.backbone import laid_over
from openmm_mdgen.checkpoints import ModelInfo
from openmm_mdgen.clashes import relieve_clashes
from openmm_mdgen.errors import CheckpointError, MDGenError, UnsupportedTopologyError
from openmm_mdgen.flow import TrajectoryFlow
from openmm_mdgen.ode import SOLVERS, AdamsBashforth, FixedStep, OdeSolver
from openmm_mdgen.protocol import segment_seed
from openmm_mdgen.reconstruct import AllAtomTemplate
from openmm_mdgen.rings import limit_puckers
from openmm_mdgen.tasks import ForwardSimulation
from openmm_mdgen.tokens import Frames
from openmm_mdgen.topology import ProteinChain

if TYPE_CHECKING:
    from openmm.app import Topology

DEFAULT_WEIGHTS = "forward_tetrapeptide"


class TrajectoryGenerator:
    """A trained forward model: the first implementation of `protocol.Generator`.

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
        if not isinstance(flow.config.task, ForwardSimulation):
            task = type(flow.config.task).__name__
            raise CheckpointError(f"weights {info.name!r} are for {task}: a simulation needs ForwardSimulation weights")
        self.flow = flow.to(device)
        self.info, self.solver, self.device = info, solver, device
        self.frame_interval, self.temperature = info.frame_interval, info.temperature
        self.evaluations = 0  # of the network, spent so far

    @classmethod
    def load(
        cls,
        name_or_path: str | Path | None = None,
        *,
        device: str = "auto",
        ode_solver: str | None = None,
        evaluations: int | None = None,
    ) -> TrajectoryGenerator:
        """Load bundled weights by name, or weights from a file.

        Parameters
        ----------
        name_or_path : str or Path, optional
            Default: the bundled forward model of tetrapeptides.
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
        flow, info = checkpoints.load(DEFAULT_WEIGHTS if name_or_path is None else name_or_path)
        return cls(flow, info, _solver(ode_solver or info.ode_solver, evaluations), _device(device))

    def check(self, topology: Topology) -> None:
        """Raise `UnsupportedTopologyError` if the model cannot take this molecule."""
        self._chain(topology)

    def propagator(self, topology: Topology, positions: np.ndarray) -> MoleculePropagator:
        """Bind to a molecule; see `protocol.Generator`."""
        return MoleculePropagator(self, AllAtomTemplate.measure(self._chain(topology), positions))

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
        atoms = mdtraj.Topology.from_openmm(topology).subset(self._chain(topology).atom_indices)
        time = np.arange(1, n_frames + 1) * self.frame_interval
        return [mdtraj.Trajectory(replica, atoms, time=time) for replica in xyz]

    def _chain(self, topology: Topology) -> ProteinChain:
        chain = ProteinChain.from_openmm(topology)
        network, n = self.flow.config.network, len(chain.sequence)
        if n > network.max_residues or (network.position_embedding and n != network.max_residues):
            allowed = f"{'exactly' if network.position_embedding else 'at most'} {network.max_residues}"
            raise UnsupportedTopologyError(
                f"{chain.residue_labels[0]} to {chain.residue_labels[-1]}: a chain of {n} residues, but weights "
                f"{self.info.name!r} take {allowed}. Use other weights, or train some for this length."
            )
        return chain


class MoleculePropagator:
    """A generator bound to one molecule; implements `protocol.Propagator`."""

    def __init__(self, generator: TrajectoryGenerator, template: AllAtomTemplate) -> None:
        self.generator, self.template = generator, template
        self.atom_indices = template.chain.atom_indices
        self.frame_interval, self.temperature = generator.frame_interval, generator.temperature

    def segment(self, positions: np.ndarray, seed: int) -> np.ndarray:
        """The frames that follow `positions`; see `protocol.Propagator`."""
        return self.segments(np.asarray(positions)[None], [seed])[0]

    def segments(self, positions: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """A segment for each replica, (R, N, 3) nm to (R, frames, n, 3) nm float64, in one batch."""
        flow, device = self.generator.flow, self.generator.device
        chain = self.template.chain
        centre = positions[:, chain.atom_indices].mean(axis=1)[:, None]  # float32 is exact enough near the origin only
        atom14 = chain.atom14(positions - centre).float()[:, None].to(device)
        aatype = torch.from_numpy(chain.aatype).to(device).expand(len(seeds), -1)
        frames = Frames.from_atom14(aatype, atom14).repeat_first(self.generator.info.n_frames)
        shape = (*frames.rigids.shape[1:], flow.config.network.token_width)
        noise = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
        sample = flow.sample(frames, noise.to(device), self.generator.solver)
        self.generator.evaluations += sample.evaluations
        if not torch.isfinite(sample.tokens).all():
            raise MDGenError("the network generated values that are not finite: use other weights, or another solver")
        rigids, torsions = flow.config.tokenizer.decode(sample.tokens[:, 1:], frames.rigids[:, 0])
        torsions = limit_puckers(self.template, torsions)
        if self.generator.info.backbone == "torsions":
            torsions = relieve_clashes(self.template, torsions)
            rigids = laid_over(self.template.chain_rigids(torsions), rigids)
        placed = self.template.place(rigids, torsions)
        return placed.double().cpu().numpy() + centre[:, None]

    def state(self) -> dict[str, np.ndarray]:
        return self.template.state()

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.template = AllAtomTemplate.from_state(self.template.chain, state)


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
