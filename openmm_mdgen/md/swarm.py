"""Many short MD runs of one peptide, as many at a time as a packed System has places.

Each run starts from its own frame with its own velocities. One that ends makes room for the next, so that no place
stands idle while runs are left. Lengths are in nanometre, times in picosecond, temperatures in kelvin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.arguments import not_negative, positive, valid_count
from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.md.batched_gbn2 import can_compile
from openmm_mdgen.md.conditions import whole_steps
from openmm_mdgen.md.engines import advance
from openmm_mdgen.md.packed_system import Molecule, PackedSystem
from openmm_mdgen.md.systems import langevin, named_platform, positions_of, relaxed_frames, thermal_energy
from openmm_mdgen.molecule.positions import BondedAtoms, as_topology, box_of, in_nanometre, usable
from openmm_mdgen.seeds import valid_seed

_MAX_ITERATIONS = 200  # of the minimiser, for frames that MD did not make


class Swarm:
    """MD runs in amber14 with GBn2, with bonds to hydrogen constrained and hydrogens of 3 Da.

    Parameters
    ----------
    topology : openmm.app.Topology or mdtraj.Topology
        Complete, with hydrogens.
    positions : quantity or array, (n_atoms, 3)
        Any structure of the peptide; plain numbers are in nm.
    n_places : int
        Number of runs at a time.
    temperature : float or quantity
        Plain numbers are in K.
    friction : float or quantity
        Of the Langevin thermostat; plain numbers are in 1/ps.
    step_size : float or quantity
        Step of the integrator; plain numbers are in ps.
    platform : str, optional
        Name of OpenMM's platform, by default the fastest.
    threads : int, optional
        Threads of the CPU platform, by default OpenMM's own choice: one for each core, or as many as
        ``OPENMM_CPU_THREADS`` says.
    seed : int, optional
        Seed of the random forces. One is drawn where it is left out: see the attribute `seed`.

    Examples
    --------
    >>> swarm = Swarm(topology, positions)
    >>> trajectories = swarm.run(starts, n_frames=50)  # a list of (50, n_atoms, 3), one for each start
    """

    def __init__(
        self,
        topology: app.Topology,
        positions: np.ndarray,
        *,
        n_places: int = 16,
        temperature: float = 350.0,
        friction: float = 0.3,
        step_size: float = 0.004,
        platform: str | None = None,
        threads: int | None = None,
        seed: int | None = None,
    ) -> None:
        topology, n_places, seed = as_topology(topology), valid_count("n_places", n_places), valid_seed(seed)
        temperature = positive("temperature", temperature, "kelvin")
        step_size = positive("step_size", step_size, "picosecond")
        friction = not_negative("friction", friction, "1/picosecond")
        threads = None if threads is None else valid_count("threads", threads)
        self.topology, self.temperature, self.step_size, self.seed = topology, temperature, step_size, seed
        chosen = named_platform(platform)
        on_cpu = chosen.getName() == "CPU"
        self._atoms = BondedAtoms(topology)
        molecule = Molecule(topology, usable("positions", self._atoms, positions, box_of(topology)))
        self._packed = PackedSystem([molecule] * n_places, batched=on_cpu and can_compile())
        integrator = langevin(temperature=temperature, friction=friction, step_size=step_size, seed=seed % 2**31)
        properties = {"Threads": str(threads)} if on_cpu and threads else {}
        self._context = openmm.Context(self._packed.system, integrator, chosen, properties)
        self._context.setPositions(self._packed.positions)
        system = self._packed.system
        masses = [system.getParticleMass(k).value_in_unit(unit.dalton) for k in range(topology.getNumAtoms())]
        self._speed = np.sqrt(thermal_energy(temperature) / np.array(masses))[:, None]  # nm/ps, of one component

    def run(
        self,
        starts: Sequence[np.ndarray] | np.ndarray,
        *,
        n_frames: int,
        frame_interval: float = 1.0,
        seed: int | None = None,
        is_over: Callable[[int, np.ndarray], bool] = lambda run, frame: False,
        progress: Callable[[int], None] = lambda runs: None,
    ) -> list[np.ndarray]:
        """Run MD from each start.

        Parameters
        ----------
        starts : quantity or array, (n_runs, n_atoms, 3)
            Frames of real MD, plain numbers in nm; see `relaxed` for others.
        n_frames : int
            Frames of each run, without its start.
        frame_interval : float or quantity
            Time between frames, a whole number of steps; plain numbers are in ps.
        seed : int, optional
            Seed of the velocities that runs begin with. Default: the swarm's own.
        is_over : callable
            Called with the number of a run and its latest frame (n_atoms, 3); the run ends there if it returns true.
        progress : callable
            Called with the number of runs that have ended, whenever some have.

        Returns
        -------
        list of (up to n_frames, n_atoms, 3) float32, nm
            One array for each run, with the molecule's centre at the origin.

        Raises
        ------
        MDGenError
            If the interval does not fit the step, or a start has another shape.
        StateError
            If positions are no longer finite.
        """
        n_frames, seed = valid_count("n_frames", n_frames), valid_seed(self.seed if seed is None else seed)
        steps = whole_steps(positive("frame_interval", frame_interval, "picosecond"), self.step_size)
        starts = in_nanometre("starts", starts)
        if starts.ndim != 3 or starts.shape[1:] != (self.topology.getNumAtoms(), 3):
            raise MDGenError(f"starts of shape {starts.shape}: give (runs, {self.topology.getNumAtoms()}, 3), nm")
        starts = usable("starts", self._atoms, starts, box_of(self.topology)) if len(starts) else starts
        frames: list[list[np.ndarray]] = [[] for _ in starts]
        waiting = list(range(len(starts)))[::-1]
        running: dict[int, int] = {}  # run at each place in use
        while waiting or running:
            free = [place for place in range(len(self._packed.slices)) if place not in running]
            begun = {place: waiting.pop() for place in free[: len(waiting)]}
            self._begin({place: (starts[run], np.random.default_rng((seed, run))) for place, run in begun.items()})
            running |= begun
            advance(self._packed, self._context, steps)
            positions = positions_of(self._context)
            for place, run in list(running.items()):
                frame = positions[self._packed.slices[place]]
                frame = (frame - frame.mean(axis=0)).astype(np.float32)
                if not np.isfinite(frame).all():
                    raise StateError(f"run {run} blew up: start it from a relaxed frame, or take shorter steps")
                frames[run].append(frame)
                if len(frames[run]) == n_frames or is_over(run, frame):
                    del running[place]
                    progress(1)
        return [np.stack(run) for run in frames]

    def relaxed(self, frames: np.ndarray) -> np.ndarray:
        """Minimise frames that MD did not make a little, so that MD can start from them.

        Parameters
        ----------
        frames : quantity or array, (n, n_atoms, 3)
            Plain numbers are in nm.

        Returns
        -------
        (n, n_atoms, 3) float64, nm

        Raises
        ------
        MDGenError
            If there is no frame, or these are no positions of the molecule.
        """
        return relaxed(self.topology, frames)

    def _begin(self, starts: dict[int, tuple[np.ndarray, np.random.Generator]]) -> None:
        """Put new runs into the Context: for each place a frame and the source of its velocities."""
        if not starts:
            return
        state = self._context.getState(positions=True, velocities=True)
        positions = np.array(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
        velocities = np.array(state.getVelocities(asNumpy=True).value_in_unit(unit.nanometer / unit.picosecond))
        for place, (start, rng) in starts.items():
            atoms = self._packed.slices[place]
            positions[atoms] = start
            velocities[atoms] = self._speed * rng.standard_normal(start.shape)
        self._context.setPositions(self._packed.recentred(positions))
        self._context.setVelocities(velocities)
        self._context.applyConstraints(1e-6)
        self._context.applyVelocityConstraints(1e-6)


def relaxed(topology: app.Topology, frames: np.ndarray) -> np.ndarray:
    """Minimise frames of a peptide as `Swarm.relaxed` does."""
    return relaxed_frames(topology, in_nanometre("frames", frames), max_iterations=_MAX_ITERATIONS)
