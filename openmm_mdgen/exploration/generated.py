"""Generated frames to start an exploration from, drawn from any generator.

Lengths are in nanometre, times in picosecond.
"""

from __future__ import annotations

import mdtraj
import numpy as np
from openmm import app

from openmm_mdgen.arguments import valid_count
from openmm_mdgen.errors import GenerationError
from openmm_mdgen.molecule.positions import BondedAtoms, as_topology, box_of, one_structure
from openmm_mdgen.protocol import Generator, draw, require_generator
from openmm_mdgen.seeds import segment_seed, valid_seed

_TRIES = 10  # segments in a row without a frame that is valid


def generated_frames(
    generator: Generator, topology: app.Topology, positions: np.ndarray, n_frames: int, *, seed: int | None = None
) -> mdtraj.Trajectory:
    """Draw frames from a generator, with or without a time axis.

    Each segment continues the last valid frame before it. Frames that the generator says are not valid are left out.

    Parameters
    ----------
    generator : Generator
    topology : openmm.app.Topology or mdtraj.Topology
    positions : quantity or array, (n_atoms, 3)
        A relaxed structure. Plain numbers are in nm.
    n_frames : int
    seed : int, optional
        The same seed gives the same frames. One is drawn, and told to the log, where it is left out.

    Returns
    -------
    mdtraj.Trajectory
        All atoms. The times of independent samples, which have no order, are all zero: what is measured of their
        kinetics is refused.

    Raises
    ------
    UnsupportedTopologyError
        If the generator cannot take the molecule.
    GenerationError
        If ten segments in a row have no valid frame.
    """
    n_frames, seed, topology = valid_count("n_frames", n_frames), valid_seed(seed), as_topology(topology)
    require_generator(generator)
    generator.check(topology)
    current = one_structure("positions", BondedAtoms(topology), positions, box_of(topology))
    propagator = generator.propagator(topology, current)
    found: list[np.ndarray] = []
    failed = index = 0
    while len(found) < n_frames:
        segment = draw(propagator, current[None], [segment_seed(seed, index)])[0]
        index += 1
        # What follows a frame that is not valid continues it, and is left out too where frames have an order.
        valid = segment.is_valid if propagator.frame_interval is None else np.logical_and.accumulate(segment.is_valid)
        failed = 0 if valid.any() else failed + 1
        if failed == _TRIES:
            fault = segment.fault or "the generator gives no reason"
            raise GenerationError(f"{_TRIES} segments in a row have no valid frame: {fault}")
        for moved in segment.frames[valid]:
            current = current.copy()
            current[propagator.atom_indices] = moved
            found.append(current)
    frames = np.array(found[:n_frames], dtype=np.float32)
    interval = propagator.frame_interval
    times = np.zeros(n_frames) if interval is None else interval * np.arange(1, n_frames + 1)
    return mdtraj.Trajectory(frames, mdtraj.Topology.from_openmm(topology), time=times)
