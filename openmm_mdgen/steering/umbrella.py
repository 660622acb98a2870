"""The free energy along a path by umbrella sampling: real MD is held in a row of windows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from openmm import app, unit

from openmm_mdgen.arguments import between, not_negative, positive, require, require_package, valid_count
from openmm_mdgen.errors import MDGenError, MissingPackageError, StateError
from openmm_mdgen.md.conditions import whole_frames, whole_steps
from openmm_mdgen.md.systems import positions_of, thermal_energy
from openmm_mdgen.molecule.positions import in_nanometre
from openmm_mdgen.seeds import valid_seed
from openmm_mdgen.steering.force import CENTRE
from openmm_mdgen.steering.path import TransitionPath
from openmm_mdgen.steering.pull import require_path_force

_NEEDS_PYMBAR = "free energies need pymbar: pip install 'openmm_mdgen[steering]'"
_SAMPLES_PER_BIN = 10  # with fewer, a bin's free energy is not given


@dataclass(frozen=True, eq=False)
class Window:
    """Real MD held at one progress."""

    centre: float
    progress: np.ndarray  # (n_samples,)
    frames: np.ndarray  # (n_samples, n_atoms, 3) nm, float32


@dataclass(frozen=True, eq=False)
class Profile:
    """Free energy along a path, within the tube around it that the force's wall leaves."""

    progress: np.ndarray  # (n_bins,) centres of bins
    energy: np.ndarray  # (n_bins,) kJ/mol above the lowest; NaN where nothing was sampled
    error: np.ndarray  # (n_bins,) standard error, against the lowest
    overlap: np.ndarray  # (n_windows - 1,) of neighbours: probability that a sample of one is found in the other


def sample_windows(
    simulation: app.Simulation,
    path: TransitionPath,
    frames: np.ndarray,
    *,
    centres: Sequence[float] | np.ndarray,
    time: float,
    equilibration: float = 10.0,
    interval: float = 0.2,
    seed: int | None = None,
    progress: Callable[[int], None] = lambda windows: None,
) -> list[Window]:
    """Hold the molecule at each centre, starting from the frame that is nearest to it.

    Warns beforehand if pymbar is missing, which `free_energy` needs.

    Parameters
    ----------
    simulation : openmm.app.Simulation
        A simulation whose System has the path's `path_force`. It is left in the last window.
    path : TransitionPath
    frames : (n_frames, n_atoms, 3) nm
        Frames along the path, such as those of a `pull`.
    centres : sequence of float
        Progress at which each window holds the molecule, from 0 to 1.
    time : float or quantity
        Time that is sampled in each window, a whole number of intervals; plain numbers are in ps.
    equilibration : float or quantity
        Time before that; plain numbers are in ps.
    interval : float or quantity
        Time between samples; plain numbers are in ps.
    seed : int, optional
        Seed of the velocities. One is drawn, and told to the log, where it is left out.
    progress : callable
        Called with the number of windows that have been done since the last call.

    Returns
    -------
    list of Window

    Raises
    ------
    MDGenError
        If there is no path force, the interval is not a whole number of steps, or the time not one of
        intervals.
    StateError
        If positions are not finite.
    """
    require_path_force(simulation)
    time, interval = positive("time", time, "picosecond"), positive("interval", interval, "picosecond")
    equilibration, seed = not_negative("equilibration", equilibration, "picosecond"), valid_seed(seed)
    require("centres", centres, np.ndim(centres) == 1 and len(centres) > 0, "a list of places, such as [0, 0.5, 1]")
    centres = [between("one of the centres", centre, 0, 1) for centre in centres]
    frames = in_nanometre("frames", frames)
    if not len(frames) or not np.isfinite(frames).all():
        raise StateError("there is no frame to start windows from, or one is not finite: give those of a pull")
    integrator, context = simulation.integrator, simulation.context
    step_size = integrator.getStepSize().value_in_unit(unit.picosecond)
    steps, n_samples = whole_steps(interval, step_size), whole_frames(time, interval)
    try:
        require_pymbar()
    except MissingPackageError as error:  # the windows are of use without it
        warnings.warn(str(error), stacklevel=2)
    places, _ = path.along(frames)
    windows = []
    for k, centre in enumerate(centres):
        context.setParameter(CENTRE, float(centre))
        context.setPositions(frames[np.abs(places - centre).argmin()])
        context.setVelocitiesToTemperature(integrator.getTemperature(), (seed + k) % 2**31)
        simulation.step(max(1, round(equilibration / step_size)))
        samples = []
        for _ in range(n_samples):
            simulation.step(steps)
            samples.append(positions_of(context).astype(np.float32))
        if not np.isfinite(samples[-1]).all():
            raise StateError(
                f"the window at {centre:g} broke down: start it from a relaxed frame, or take shorter steps"
            )
        windows.append(Window(float(centre), path.along(np.array(samples))[0], np.array(samples)))
        progress(1)
    return windows


def free_energy(windows: Sequence[Window], *, spring: float, temperature: float, n_bins: int = 25) -> Profile:
    """Remove the bias of the windows by MBAR (Shirts, Chodera, J. Chem. Phys. 129, 124105 (2008)), with pymbar.

    Parameters
    ----------
    windows : sequence of Window
    spring : float
        Force constant in kJ/mol of the force that held them.
    temperature : float or quantity
        Plain numbers are in K.
    n_bins : int
        Number of bins over the sampled range.

    Returns
    -------
    Profile

    Raises
    ------
    MissingPackageError
        If pymbar is not installed.
    MDGenError
        If a number makes no sense, or a window has no finite sample.
    """
    require_pymbar()
    import pymbar  # type: ignore[import-untyped]

    spring, temperature = positive("spring", spring), positive("temperature", temperature, "kelvin")
    n_bins = valid_count("n_bins", n_bins)
    for window in windows:
        if not len(window.progress) or not np.isfinite(window.progress).all():
            raise MDGenError(
                f"the window at {window.centre:g} has no samples, or some that are not finite: sample it again"
            )
    if len({window.centre for window in windows}) < 2:
        raise MDGenError(f"{len(windows)} windows, or all at one place: give at least two at different centres")
    kt = thermal_energy(temperature)
    kept = [w.progress[pymbar.timeseries.subsample_correlated_data(w.progress)] for w in windows]
    counts = np.array([len(k) for k in kept])
    samples = np.concatenate(kept)
    centres = np.array([w.centre for w in windows])
    reduced = 0.5 * spring * (samples[None] - centres[:, None]) ** 2 / kt  # (n_windows, n_samples)
    edges = np.linspace(samples.min(), samples.max() + 1e-9, n_bins + 1)
    filled = np.histogram(samples, edges)[0] >= _SAMPLES_PER_BIN
    surface = pymbar.FES(reduced, counts)
    surface.generate_fes(
        np.zeros(len(samples)), samples, fes_type="histogram", histogram_parameters={"bin_edges": edges}
    )
    middles = (edges[:-1] + edges[1:]) / 2
    found = surface.get_fes(middles[filled], reference_point="from-lowest", uncertainty_method="analytical")
    energy, deviation = np.full(n_bins, np.nan), np.full(n_bins, np.nan)
    energy[filled], deviation[filled] = kt * found["f_i"], kt * found["df_i"]
    matrix = surface.get_mbar().compute_overlap()["matrix"]
    return Profile(middles, energy, deviation, np.diag(matrix, k=1))


def require_pymbar() -> None:
    """Raise `MissingPackageError` unless pymbar is installed: to be called before the MD of `free_energy`."""
    require_package("pymbar", _NEEDS_PYMBAR)
