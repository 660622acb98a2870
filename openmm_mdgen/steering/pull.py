"""Real MD pulled along a path: the centre of the path's force is moved from one end to the other."""

from __future__ import annotations

from dataclasses import dataclass

import mdtraj
import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.arguments import between, positive, require
from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.md.conditions import whole_frames, whole_steps
from openmm_mdgen.md.systems import positions_of
from openmm_mdgen.steering.force import CENTRE, SPRING
from openmm_mdgen.steering.path import TransitionPath

_STEPS_PER_MOVE = 10  # integrator steps between moves of the centre


@dataclass(frozen=True, eq=False)
class Pull:
    """Frames of a pull, with (n_frames,) values for each."""

    trajectory: mdtraj.Trajectory
    centre: np.ndarray  # progress at which the force held the molecule
    progress: np.ndarray  # progress that the molecule had made
    distance: np.ndarray  # distance from the path
    work: np.ndarray  # kJ/mol done on the molecule so far


def require_path_force(simulation: app.Simulation) -> None:
    """Raise `MDGenError` if it is no simulation, or its System has no path force."""
    require("simulation", simulation, isinstance(simulation, app.Simulation), "an openmm.app.Simulation")
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
    """Pull the molecule from one progress to another at even speed.

    Parameters
    ----------
    simulation : openmm.app.Simulation
        A simulation with positions, whose System has the path's `path_force`. It is stepped, and its reporters are
        called.
    path : TransitionPath
    time : float or quantity
        Length of the pull, a whole number of frames; plain numbers are in ps.
    start, end : float
        Progress at which the force holds the molecule at first and at last, from 0 to 1.
    frame_interval : float or quantity
        Time between frames of the result; plain numbers are in ps.

    Returns
    -------
    Pull

    Raises
    ------
    MDGenError
        If there is no path force, the frame interval is not a whole number of steps, or the time not
        one of frames.
    StateError
        If the simulation has no positions, or they are no longer finite.
    """
    require_path_force(simulation)
    time = positive("time", time, "picosecond")
    frame_interval = positive("frame_interval", frame_interval, "picosecond")
    start, end = between("start", start, 0, 1), between("end", end, 0, 1)
    step_size = simulation.integrator.getStepSize().value_in_unit(unit.picosecond)
    frame_steps, n_frames = whole_steps(frame_interval, step_size), whole_frames(time, frame_interval)
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
    positions = positions_of(context)
    if not positions.any():
        raise StateError("the simulation has no positions: set them by simulation.context.setPositions(positions)")
    if not np.isfinite(positions).all():
        raise StateError(
            "the pull broke down, positions are no longer finite: pull more slowly, or from a relaxed start"
        )
    progress, distance = path.along(positions[None])
    return float(progress[0]), float(distance[0])
