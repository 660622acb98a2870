"""MD runs shared out among the workers of a dask cluster, which are many cores, GPUs or nodes.

Each worker keeps one `Swarm` of the molecule. The runs of a round are cut into as many parts as there are workers.
"""

from __future__ import annotations

import hashlib
import inspect
import pickle
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from openmm import app

from openmm_mdgen.arguments import require
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.swarm import Swarm, relaxed
from openmm_mdgen.molecule.positions import BondedAtoms, as_topology, box_of, usable
from openmm_mdgen.seeds import segment_seed, valid_seed

if TYPE_CHECKING:
    from distributed import Client

_swarms: dict[str, Swarm] = {}  # kept by a worker's process, since building one takes a minute


class SharedRuns:
    """Takes the place of a `Swarm` in an `Exploration`.

    Parameters
    ----------
    client : distributed.Client
        Client of a cluster, such as ``LocalCluster(n_workers=4, threads_per_worker=1)`` or one of dask-jobqueue.
    topology : openmm.app.Topology
        Complete, with hydrogens.
    positions : (n_atoms, 3) nm
        Any structure of the peptide.
    **options
        Options of each worker's `Swarm`.

    Examples
    --------
    >>> client = Client(SLURMCluster(cores=4, memory="8GB"))
    >>> exploration = Exploration(SharedRuns(client, topology, positions, threads=4), "explored")
    """

    def __init__(self, client: Client, topology: app.Topology, positions: np.ndarray, **options: Any) -> None:
        require("client", client, hasattr(client, "submit"), "a distributed.Client, such as Client(LocalCluster())")
        inspect.signature(Swarm).bind_partial(**options)
        self.client, self.topology = client, as_topology(topology)
        positions = usable("positions", BondedAtoms(self.topology), positions, box_of(self.topology))
        self._recipe = pickle.dumps((self.topology, positions, options))

    def relaxed(self, frames: np.ndarray) -> np.ndarray:
        """Minimise frames as `Swarm.relaxed` does, on this machine."""
        return relaxed(self.topology, frames)

    def run(
        self,
        starts: Sequence[np.ndarray] | np.ndarray,
        *,
        n_frames: int,
        frame_interval: float = 1.0,
        seed: int | None = None,
        progress: Callable[[int], None] = lambda runs: None,
    ) -> list[np.ndarray]:
        """Run MD from each start as `Swarm.run` does, on the workers.

        Parameters
        ----------
        starts : (n_runs, n_atoms, 3) nm
        n_frames : int
            Frames of each run, without its start.
        frame_interval : float
            Time between frames in ps.
        seed : int, optional
            Source of the workers' seeds. One is drawn, and told to the log, where it is left out.
        progress : callable
            Called with the number of runs that have ended, whenever a worker has done its part.

        Returns
        -------
        list of (n_frames, n_atoms, 3) float32, nm

        Raises
        ------
        MDGenError
            If the cluster has no workers, or `Swarm.run` refuses the options.
        """
        from distributed import as_completed

        workers = list(self.client.scheduler_info()["workers"])
        if not workers:
            raise MDGenError("the cluster has no workers: start some, or wait until they are there")
        parts = [part for part in np.array_split(np.asarray(starts), len(workers)) if len(part)]
        seed = valid_seed(seed)
        options = {"n_frames": n_frames, "frame_interval": frame_interval}
        futures = [
            self.client.submit(
                _run_part, self._recipe, part, segment_seed(seed, k), options, workers=[workers[k]], pure=False
            )
            for k, part in enumerate(parts)
        ]
        for future in as_completed(futures):
            progress(len(future.result()))
        return [piece for future in futures for piece in future.result()]


def _run_part(recipe: bytes, starts: np.ndarray, seed: int, options: dict[str, Any]) -> list[np.ndarray]:
    """Run a part of the starts on a worker."""
    key = hashlib.sha256(recipe).hexdigest()
    if key not in _swarms:
        topology, positions, swarm_options = pickle.loads(recipe)
        _swarms.clear()
        _swarms[key] = Swarm(topology, positions, **swarm_options)
    return _swarms[key].run(starts, seed=seed, **options)
