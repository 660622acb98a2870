"""A `Swarm` in each of several processes of this machine, one thread each.

Molecules as small as peptides leave threads waiting for each other in each step; processes never wait, so that on a
processor of several cores packed MD runs fastest so. Lengths are in nanometre, times in picosecond, wall times in
second.
"""

from __future__ import annotations

import inspect
import math
import multiprocessing
import os
import time as clock
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any

import numpy as np
from openmm import app

from openmm_mdgen.arguments import valid_count
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.swarm import Swarm, relaxed
from openmm_mdgen.md.systems import fastest_platform
from openmm_mdgen.molecule.positions import BondedAtoms, as_topology, box_of, usable
from openmm_mdgen.seeds import segment_seed, valid_seed

_FEWEST = 8  # molecules of a process; with fewer, the cost of a step is hardly shared
_ON_CORES = ("CPU", "Reference")  # platforms that compute on the cores of the machine
ENDLESS = 2**40  # frames

_swarm: Swarm | None = None  # of a process that was started here


class LocalSwarm:
    """Takes the place of a `Swarm` on all cores of this machine, and is ready to run: its kernels are compiled.

    Processes are started anew and import the script that starts them: it has to keep its work under
    ``if __name__ == "__main__":``.

    Parameters
    ----------
    topology : openmm.app.Topology or mdtraj.Topology
        Complete, with hydrogens.
    positions : (n_atoms, 3) nm
        Any structure of the peptide.
    n_places : int
        Number of runs at a time, shared out among the processes.
    n_processes : int, optional
        Default: one for each core, with at least eight places each; a single one for a GPU. A single one is this
        process, with as many threads as OpenMM takes.
    platform : str, optional
        Name of OpenMM's platform, by default the fastest.
    seed : int, optional
        Source of the processes' seeds. One is drawn where it is left out: see the attribute `seed`.
    **options
        Further options of each `Swarm`.

    Attributes
    ----------
    topology : openmm.app.Topology
    places : list of int
        Runs at a time of each process.
    seconds_of_preparation : float
        Wall time in which the processes were started and their kernels compiled.

    Examples
    --------
    >>> with LocalSwarm(topology, positions) as swarm:
    ...     trajectories = swarm.run([positions] * 16, seconds=60)
    """

    def __init__(
        self,
        topology: app.Topology,
        positions: np.ndarray,
        *,
        n_places: int = 16,
        n_processes: int | None = None,
        platform: str | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        began = clock.perf_counter()
        self.topology, n_places = as_topology(topology), valid_count("n_places", n_places)
        self.seed, platform = valid_seed(seed), platform or fastest_platform().getName()
        inspect.signature(Swarm).bind_partial(**options)  # before processes are started, which would be lost
        positions = usable("positions", BondedAtoms(self.topology), positions, box_of(self.topology))
        if n_processes is None:
            n_processes = max(1, min(os.cpu_count() or 1, n_places // _FEWEST)) if platform in _ON_CORES else 1
        n_processes = min(valid_count("n_processes", n_processes), n_places)
        self.places = [len(part) for part in np.array_split(np.arange(n_places), n_processes)]
        shared = {"platform": platform, **options}
        if n_processes > 1:
            shared = {"threads": 1, **shared}
        self._own = None
        self._executors: list[Executor] = []
        for k, places in enumerate(self.places):
            each = {**shared, "n_places": places, "seed": segment_seed(self.seed, k)}
            if n_processes == 1:
                self._own = Swarm(self.topology, positions, **each)
                continue
            spawned = multiprocessing.get_context("spawn")  # a fork would share the threads of torch and OpenMM
            recipe = (self.topology, positions, each)
            self._executors.append(ProcessPoolExecutor(1, spawned, initializer=_begin, initargs=recipe))
        self._warm_up(positions)
        self.seconds_of_preparation = clock.perf_counter() - began

    def relaxed(self, frames: np.ndarray) -> np.ndarray:
        """Minimise frames as `Swarm.relaxed` does, in this process."""
        return relaxed(self.topology, frames)

    def run(
        self,
        starts: Sequence[np.ndarray] | np.ndarray,
        *,
        n_frames: int = ENDLESS,
        frame_interval: float = 1.0,
        seed: int | None = None,
        seconds: float = math.inf,
        progress: Callable[[int], None] = lambda runs: None,
    ) -> list[np.ndarray]:
        """Run MD from each start as `Swarm.run` does, in all processes.

        Parameters
        ----------
        starts : (n_runs, n_atoms, 3) nm
        n_frames : int
            Frames of each run, without its start. Default: as many as there is time for.
        frame_interval : float, ps
            Time between frames.
        seed : int, optional
            Source of the seeds of velocities. Default: the swarm's own.
        seconds : float
            Wall time after which runs end, with a frame at least. Runs that have no place until then get one frame.
        progress : callable
            Called with the number of runs that have ended, whenever a process has done its part.

        Returns
        -------
        list of (up to n_frames, n_atoms, 3) float32, nm

        Raises
        ------
        MDGenError
            If an option makes no sense, the swarm was closed, or a process was ended from outside.
        """
        parts = [part for part in np.array_split(np.asarray(starts), len(self.places)) if len(part)]
        options = {"n_frames": n_frames, "frame_interval": frame_interval}
        seed = valid_seed(self.seed if seed is None else seed)
        try:
            futures = [self._submit(k, part, segment_seed(seed, k), options, seconds) for k, part in enumerate(parts)]
            for future in as_completed(futures):
                progress(len(future.result()))
            return [run for future in futures for run in future.result()]
        except BrokenProcessPool as error:
            raise MDGenError(
                "a process of packed MD was ended from outside, or could not start: was there too little memory? Take "
                'fewer places, and keep the work of a script under if __name__ == "__main__":'
            ) from error

    def close(self) -> None:
        """End the processes."""
        for executor in self._executors:
            executor.shutdown(cancel_futures=True)
        self._executors, self._own = [], None

    def __enter__(self) -> LocalSwarm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _submit(self, k: int, starts: np.ndarray, seed: int, options: dict[str, Any], seconds: float) -> Future:
        if self._executors:
            return self._executors[k].submit(_run_in_process, starts, seed, options, seconds)
        if self._own is None:
            raise MDGenError("this swarm was closed, and runs nothing: make another")
        done: Future = Future()
        done.set_result(_run(self._own, starts, seed, options, seconds))
        return done

    def _warm_up(self, start: np.ndarray) -> None:
        """Compile kernels, which the first steps of each process do."""
        try:
            self.run([start] * sum(self.places), n_frames=1, frame_interval=0.04)
        except BaseException:
            self.close()
            raise


def _begin(topology: app.Topology, positions: np.ndarray, options: dict[str, Any]) -> None:
    """Make the swarm of a new process."""
    import torch

    torch.set_num_threads(1)
    global _swarm
    _swarm = Swarm(topology, positions, **options)


def _run_in_process(starts: np.ndarray, seed: int, options: dict[str, Any], seconds: float) -> list[np.ndarray]:
    assert _swarm is not None
    return _run(_swarm, starts, seed, options, seconds)


def _run(swarm: Swarm, starts: np.ndarray, seed: int, options: dict[str, Any], seconds: float) -> list[np.ndarray]:
    began = clock.perf_counter()
    return swarm.run(starts, seed=seed, is_over=lambda run, frame: clock.perf_counter() - began >= seconds, **options)
