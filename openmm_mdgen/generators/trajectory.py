"""`TrajectoryGenerator`: weights of any task, and what they generate.

Axes: ``R`` replicas, ``N`` atoms of the topology, ``n`` atoms of the protein chain. Nanometre, picosecond, kelvin.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import mdtraj
import numpy as np
import torch
from torch import Tensor

from openmm_mdgen.arguments import positive, require, valid_count
from openmm_mdgen.generators.design import Design, Designer
from openmm_mdgen.generators.each_chain import of_chains
from openmm_mdgen.generators.forward import ForwardModel, MoleculePropagator
from openmm_mdgen.generators.interpolation import Interpolator
from openmm_mdgen.generators.memory import Memory
from openmm_mdgen.generators.rollouts import Stream, stream, trajectories_of
from openmm_mdgen.generators.sampler import Sampler
from openmm_mdgen.generators.upsampling import Upsampler
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.flow import TrajectoryFlow
from openmm_mdgen.model.ode import OdeSolver
from openmm_mdgen.model.tokens import Frames
from openmm_mdgen.molecule.inputs import Structure, interval_of, positions_of
from openmm_mdgen.molecule.positions import as_topology, box_of
from openmm_mdgen.seeds import valid_seed

if TYPE_CHECKING:
    from openmm.app import Topology


class TrajectoryGenerator:
    """Trained weights on a device; those of forward simulation make it a `protocol.Generator`.

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
        The network with the rules of its sampling.
    info : ModelInfo
        What a user must know of the weights.
    solver : OdeSolver
        Solver of the flow.
    device : torch.device
        Where the network runs.

    Attributes
    ----------
    sampler : Sampler
        The loaded weights, on which every task builds.
    temperature : float
        Kelvin, of what is generated; can be set within `temperature_range`. A simulation asks for its integrator's.
    precision : str
        Type of the network's numbers, such as "float32".
    seed : int or None
        Of what was generated last by `stream`, `rollout`, `interpolate`, `upsample` or `inpaint`: given again, it
        repeats that.
    """

    def __init__(self, flow: TrajectoryFlow, info: ModelInfo, solver: OdeSolver, device: torch.device) -> None:
        self.sampler = Sampler(flow, info, solver, device)
        self.flow, self.info, self.solver, self.device = self.sampler.flow, info, solver, device
        self.seed: int | None = None
        self.precision = str(next(flow.parameters()).dtype).removeprefix("torch.")

    @property
    def temperature(self) -> float:
        return self.sampler.temperature

    @temperature.setter
    def temperature(self, kelvin: float) -> None:
        self.sampler.temperature = kelvin

    @property
    def temperature_range(self) -> tuple[float, float]:
        """Lowest and highest temperature in kelvin that the weights take."""
        return self.info.temperature_range

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
    ) -> TrajectoryGenerator:
        """Load weights by name, or from a file.

        Parameters
        ----------
        name_or_path : str or Path, optional
            A name of bundled weights, of published ones such as ``"mdgen/forward_sim"``, which are fetched once, of a
            file on the hub as ``"hf://owner/repository/file"``, or a file. Default: the first of the bundled weights of
            the task that take the molecule; without `topology` the first of the task.
        task : {"forward_simulation", "interpolation", "upsampling", "inpainting"}, optional
            Refuse weights of another task. Default: whatever the weights are for; without a name, forward simulation.
        topology : openmm.app.Topology, optional
            The molecule that the weights are for, where they are not named.
        device : str
            ``"auto"`` takes a GPU if there is one; else a torch device such as ``"cpu"`` or ``"cuda:1"``.
        ode_solver : {"euler", "midpoint", "heun", "rk4", "multistep", "dopri5"}, optional
            Default: the one that the weights state; for published weights see ``docs/evaluations.md``.
        evaluations : int, optional
            Evaluations of the network for each segment, for the solvers with fixed steps. Default: as many as the
            weights state for their own solver, else as the solver has.

        Raises
        ------
        CheckpointError
            If there are no such weights, they are damaged or for another task, or the device is not there.
        MDGenError
            If there is no such task or solver, or the solver cannot do with that many evaluations.
        """
        is_right = name_or_path is None or (isinstance(name_or_path, str | Path) and str(name_or_path) not in ("", "."))
        require("generator", name_or_path, is_right, "the name or file of weights")
        sampler = Sampler.load(
            name_or_path, task=task, topology=topology, device=device, ode_solver=ode_solver, evaluations=evaluations
        )
        return cls(sampler.flow, sampler.info, sampler.solver, sampler.device)

    @property
    def frame_interval(self) -> float:
        """Picoseconds between generated frames; can be set where weights state it wrongly."""
        return self.sampler.frame_interval

    @frame_interval.setter
    def frame_interval(self, interval: float) -> None:
        self.sampler.frame_interval = positive("frame_interval", interval, "picosecond")

    @property
    def evaluations(self) -> int:
        """How many times the network was evaluated so far."""
        return self.sampler.evaluations

    def sample(self, frames: Frames, seeds: Sequence[int]) -> Tensor:
        """Tokens of a batch; see `Sampler.sample`."""
        return self.sampler.sample(frames, seeds)

    def check(self, topology: Topology) -> None:
        """Raise unless the weights are for forward simulation and can take this molecule.

        Raises
        ------
        CheckpointError, UnsupportedTopologyError
        """
        ForwardModel(self.sampler).check(topology)

    @property
    def name(self) -> str:
        """Name of the weights."""
        return self.info.name

    @property
    def checksum(self) -> str:
        """What tells these weights from all others, for checkpoints; computed when it is first asked for."""
        return self.sampler.checksum

    def memory_of(self, topology: Topology, replicas: int = 1) -> Memory:
        """What a segment of a molecule and of so many replicas needs, and what there is.

        Raises
        ------
        UnsupportedTopologyError
            If the weights cannot take this molecule.
        MDGenError
            If it does not fit.
        """
        replicas, n_residues = valid_count("replicas", replicas), len(self.sampler.chain_of(topology).sequence)
        memory = self.sampler.memory_of(n_residues, replicas)
        memory.require(f"{replicas} replicas at once, each of {self.info.n_frames} frames of {n_residues} residues")
        return memory

    @property
    def force_field(self) -> str:
        """Force field and solvent of the training data."""
        return self.info.force_field

    def moved_atoms(self, topology: Topology) -> np.ndarray:
        """Numbers of the atoms that are generated, (n,)."""
        return self.sampler.chain_of(topology).atom_indices

    def propagator(self, topology: Topology, positions: np.ndarray) -> MoleculePropagator:
        """Bind to a molecule; see `protocol.Generator.propagator`.

        Raises
        ------
        CheckpointError, StateError, UnsupportedTopologyError
        """
        return ForwardModel(self.sampler).propagator(topology, positions)

    def stream(
        self,
        topology: Topology,
        positions: np.ndarray,
        n_frames: int,
        *,
        replicas: int = 1,
        seed: int | None = None,
        chains: str | None = None,
    ) -> Stream:
        """Generate any number of frames in bounded memory.

        Parameters
        ----------
        topology : openmm.app.Topology or mdtraj.Topology
        positions : quantity or array, (N, 3)
            A relaxed structure; every replica starts from it. Plain numbers are in nm.
        n_frames : int
            New frames of each replica; the start is not among them.
        replicas : int
            Independent trajectories, generated in one batch.
        seed : int, optional
            One is drawn where it is left out: see the attribute `seed`.
        chains : {"each"}, optional
            ``"each"`` generates every protein chain by itself; see `generators.each_chain`. Default: there has to be
            one chain.

        Returns
        -------
        Stream
            Iterator of arrays (R, at most a segment's frames, n, 3) in nm, of the atoms of the protein chains.
        """
        generator = of_chains(self, chains)
        made = stream(generator, topology, positions, n_frames, replicas=replicas, seed=seed)
        self.seed = made.seed
        return made

    def rollout(
        self,
        topology: Topology,
        positions: np.ndarray,
        n_frames: int,
        *,
        seed: int | None = None,
        chains: str | None = None,
    ) -> mdtraj.Trajectory:
        """One trajectory of the protein, held in memory; parameters as in `stream`."""
        return self.rollouts(topology, positions, n_frames, replicas=1, seed=seed, chains=chains)[0]

    def rollouts(
        self,
        topology: Topology,
        positions: np.ndarray,
        n_frames: int,
        *,
        replicas: int,
        seed: int | None = None,
        chains: str | None = None,
    ) -> list[mdtraj.Trajectory]:
        """Several trajectories, generated in one batch; parameters as in `stream`."""
        topology = as_topology(topology)
        chunks = self.stream(topology, positions, n_frames, replicas=replicas, seed=seed, chains=chains)
        xyz = np.concatenate(list(chunks), axis=1)
        time = np.arange(1, xyz.shape[1] + 1) * self.frame_interval
        return trajectories_of(topology, chunks.atom_indices, xyz, time)

    def interpolate(
        self,
        topology: Topology,
        start: Structure,
        end: Structure,
        *,
        paths: int = 1,
        seed: int | None = None,
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
        seed : int, optional
            One is drawn where it is left out: see the attribute `seed`.
        duration : float or quantity, optional
            Time from start to end; plain numbers are in ps. Default: that of the weights, which it may not be far from.

        Returns
        -------
        list of mdtraj.Trajectory
            Of the protein chain. The first frame is `start`, the last is `end` laid over it; all atoms of both are as
            given.

        Raises
        ------
        CheckpointError, MDGenError, StateError, UnsupportedTopologyError
        """
        interpolator = Interpolator(self.sampler)
        paths, self.seed = valid_count("paths", paths), valid_seed(seed)
        n_frames, topology = interpolator.frames_of(duration), as_topology(topology)
        chain = self.sampler.chain_of(topology)
        ends = []
        for name, structure in (("start", start), ("end", end)):
            ends.append(chain.usable(name, positions_of(name, structure, topology), box_of(topology)))
        xyz = interpolator.paths(chain, ends[0], ends[1], n_frames, paths=paths, seed=self.seed)
        return trajectories_of(topology, chain.atom_indices, xyz, np.arange(n_frames) * self.frame_interval)

    def upsample(
        self,
        trajectory: mdtraj.Trajectory,
        factor: int | None = None,
        *,
        seed: int | None = None,
        frame_interval: float | None = None,
    ) -> mdtraj.Trajectory:
        """Fill in the motion between the frames of a trajectory.

        Parameters
        ----------
        trajectory : mdtraj.Trajectory
            All atoms of the molecule, hydrogens included; at least two frames, as far apart as those the weights know.
        factor : int, optional
            How many times as many frames: that of the weights, which is the default, or a divisor of it.
        seed : int, optional
            One is drawn where it is left out: see the attribute `seed`.
        frame_interval : float or quantity, optional
            Time between the given frames, where `trajectory.time` does not say so (files of the DCD format do not);
            plain numbers are in ps.

        Returns
        -------
        mdtraj.Trajectory
            Of the protein chain. Every `factor`-th frame is a given one, as it was given.

        Raises
        ------
        CheckpointError, MDGenError, StateError, UnsupportedTopologyError
        """
        upsampler = Upsampler(self.sampler)
        stride = upsampler.stride(factor, interval_of(trajectory, frame_interval))
        topology, chain = self.sampler.chain_of_frames(trajectory)
        self.seed = valid_seed(seed)
        xyz = upsampler.filled(chain, trajectory.xyz, seed=self.seed)[::stride]
        time = float(trajectory.time[0]) * (frame_interval is None) + np.arange(len(xyz)) * self.frame_interval * stride
        return trajectories_of(topology, chain.atom_indices, xyz[None], time)[0]

    def inpaint(
        self,
        trajectory: mdtraj.Trajectory,
        *,
        designed: Sequence[int] | None = None,
        samples: int = 1,
        seed: int | None = None,
        frame_interval: float | None = None,
        accept_chance: bool = False,
    ) -> list[Design]:
        """Design residues, their types and their motion, for the motion of the others.

        Parameters
        ----------
        trajectory : mdtraj.Trajectory
            All atoms of the molecule. One that is longer than a window of the weights is used in windows spread evenly
            over it, one for each sample.
        designed : sequence of int, optional
            Residues from 0. Default, and the only ones possible: those that the weights design.
        samples : int
            How many designs.
        seed : int, optional
            One is drawn where it is left out: see the attribute `seed`.
        frame_interval : float or quantity, optional
            As in `upsample` (ps); the weights' interval may also be a whole multiple of that of the given frames.
        accept_chance : bool
            Whether weights may be used that were measured to find residues no better than chance, as the bundled ones
            do; else they are refused.

        Returns
        -------
        list of Design
            One for each sample. `generators.design.frequencies` counts their sequences, and
            `md.designed_peptides.PeptideBuilder` adds all atoms.

        Raises
        ------
        CheckpointError, MDGenError, StateError, UnsupportedTopologyError
        """
        designer = Designer(self.sampler, accept_chance=accept_chance)
        samples, self.seed = valid_count("samples", samples), valid_seed(seed)
        interval = interval_of(trajectory, frame_interval)
        _, chain = self.sampler.chain_of_frames(trajectory)
        return designer.designs(chain, trajectory.xyz, interval, designed=designed, samples=samples, seed=self.seed)
