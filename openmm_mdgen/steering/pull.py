"""Real MD led along a path: the centre of its force is moved from one end to the other."""

from __future__ import annotations

from dataclasses import dataclass

import mdtraj
import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.conditions import whole_steps
from openmm_mdgen.md.systems import positions_of
from openmm_mdgen.steering.force import CENTRE, SPRING
from openmm_mdgen.steering.path import TransitionPath

_STEPS_PER_MOVE = 10  # of the centre


@dataclass(frozen=True, eq=False)
class Pull:
    """What a molecule did while it was led; each (n_frames,) but the trajectory."""

    trajectory: mdtraj.Trajectory
    centre: np.ndarray  # where it was to be
    progress: np.ndarray  # where it was
    distance: np.ndarray  # from the path
    work: np.ndarray  # kJ/mol done on it so far


def require_path_force(simulation: app.Simulation) -> None:
    """Raise `MDGenError` if its System has no path force."""
    if CENTRE not in simulation.context.getParameters():
        raise MDGenError(
            "the System has no force along a path: system.addForce(path_force(path)) before the Simulation is made"
        )


def pull(
    simulation: app.Simulation,
    path: TransitionPath,
    *,
    time: float,
    start: float = 0.0,
    end: float = 1.0,
    frame_interval: float = 1.0,
) -> Pull:
    """Lead the molecule from one progress to another, at even speed.

    Parameters
    ----------
    simulation : openmm.app.Simulation
        With positions, and a System that has the path's `path_force`. It steps on; its reporters see it.
    path : TransitionPath
    time : float
        ps that it takes.
    start, end : float
        Progress.
    frame_interval : float
        ps between frames of the result.

    Returns
    -------
    Pull

    Raises
    ------
    MDGenError
        If there is no path force, or times are no whole numbers of steps.
    """
    require_path_force(simulation)
    step_size = simulation.integrator.getStepSize().value_in_unit(unit.picosecond)
    frame_steps, n_frames = whole_steps(frame_interval, step_size), round(time / frame_interval)
    if n_frames < 1:
        raise MDGenError(f"{time:g} ps with a frame each {frame_interval:g} ps: give time for at least one frame")
    context, total, done, work = simulation.context, n_frames * frame_steps, 0, 0.0
    spring = context.getParameter(SPRING)
    context.setParameter(CENTRE, start)
    frames, rows = [], []
    progress, distance = _place(context, path)
    for _ in range(n_frames):
        left = frame_steps
        while left:
            n = min(left, _STEPS_PER_MOVE)
            before, done = context.getParameter(CENTRE), done + n
            after = start + (end - start) * done / total
            work += 0.5 * spring * ((progress - after) ** 2 - (progress - before) ** 2)
            context.setParameter(CENTRE, after)
            simulation.step(n)
            left -= n
            progress, distance = _place(context, path)
        frames.append(positions_of(context))
        rows.append((context.getParameter(CENTRE), progress, distance, work))
    topology = mdtraj.Topology.from_openmm(simulation.topology)
    trajectory = mdtraj.Trajectory(np.array(frames), topology, time=frame_interval * np.arange(1, n_frames + 1))
    return Pull(trajectory, *np.array(rows).T)


def _place(context: openmm.Context, path: TransitionPath) -> tuple[float, float]:
    progress, distance = path.along(positions_of(context)[None])
    return float(progress[0]), float(distance[0])
