"""Generated transition paths against a reference trajectory: where they should begin and end, and how good they are.

A path is one trajectory of `n_frames`, the lag time of the reference's Markov model a whole number of its frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from openmm_mdgen.analysis.definitions import Definitions
from openmm_mdgen.analysis.layout import Layout
from openmm_mdgen.analysis.markov import flux_matrix, rarest_transition
from openmm_mdgen.analysis.paths import PathScores, coarse_paths, score_paths, score_replicate
from openmm_mdgen.analysis.sources import Opened, Source, measure
from openmm_mdgen.analysis.states import (
    LAGTIME,
    N_CLUSTERS,
    N_STATES,
    SEED,
    StateModel,
    TicaModel,
    fit_states,
    fit_tica,
)
from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.errors import MDGenError


@dataclass(frozen=True, eq=False)
class PathReference:
    """Metastable states of real MD, and the transition to be generated: the rarest that MD has seen.

    Examples
    --------
    >>> reference = PathReference.fit(TrajectoryFile("md.xtc", "md.pdb"))
    >>> starts, ends = reference.end_frames()  # of the MD, to begin and end paths with
    >>> reference.score([TrajectoryFile(f"path_{k}.xtc", "md.pdb") for k in range(1000)])
    """

    tica: TicaModel
    states: StateModel
    names: tuple[str, ...]  # of the reference's torsions
    layout: Layout  # of the reference's residues
    endpoints: tuple[int, int]  # (start, end) as `paths.score_paths` takes them
    definitions: Definitions
    seed: int

    @classmethod
    def fit(
        cls,
        reference: Source,
        *,
        definitions: Definitions = Definitions.PUBLISHED,
        lagtime: float = LAGTIME,
        n_clusters: int = N_CLUSTERS,
        n_states: int = N_STATES,
        seed: int = SEED,
    ) -> PathReference:
        """Find the states of real MD, and their rarest transition.

        Parameters
        ----------
        reference : TrajectoryFile or mdtraj.Trajectory
        definitions : Definitions
        lagtime : float
            Lag time of TICA and of the Markov models, ps.
        n_clusters, n_states : int
            Numbers of clusters of k-means and of metastable states.
        seed : int
            Seed of k-means and of the reference's paths.

        Raises
        ------
        UndefinedError
            If the reference is too short for its states to be found.
        """
        opened = Opened.of(reference, "the reference")
        series = opened.measure().torsions
        names, series = series.names, _as_defined(series, definitions)
        tica = fit_tica(series, lagtime=lagtime, definitions=definitions)
        states = fit_states(
            tica.project(series),
            series.frames_in(lagtime),
            n_clusters=n_clusters,
            n_states=n_states,
            seed=seed,
            definitions=definitions,
        )
        coarse = states.coarse
        endpoints = rarest_transition(flux_matrix(coarse.transition, coarse.stationary, definitions=definitions))
        if definitions is Definitions.SOUND:
            endpoints = int(coarse.active[endpoints[0]]), int(coarse.active[endpoints[1]])
        return cls(tica, states, names, opened.layout, endpoints, definitions, seed)

    def end_frames(self) -> tuple[np.ndarray, np.ndarray]:
        """The indices of the reference's frames in the start state, and of those in the end state."""
        start, end = (np.flatnonzero(self.states.labels == state) for state in self.endpoints)
        return start, end

    def score(self, paths: Sequence[Source]) -> PathScores:
        """Score generated paths, all of equally many frames.

        Raises
        ------
        MDGenError
            If there is none, they differ in length, or are of another molecule.
        UndefinedError
            If the lag time is no whole number of their frames.
        """
        measured = [measure(path, self.layout).torsions for path in paths]
        if not measured or len({(s.n_frames, s.frame_interval) for s in measured}) > 1:
            raise MDGenError("give at least one path, all of the same number of frames and frame interval")
        labels = np.stack([self.label(series) for series in measured])
        stride = measured[0].frames_in(self.tica.lagtime)
        rng = np.random.default_rng(self.seed)
        return score_paths(
            coarse_paths(labels, stride), self.states.coarse, self.endpoints, rng=rng, definitions=self.definitions
        )

    def score_md(self, replicate: Source, *, time: float | None = None, length: int = 11) -> PathScores:
        """Score a second MD run by the paths that its own Markov model gives.

        Parameters
        ----------
        replicate : TrajectoryFile or mdtraj.Trajectory
        time : float, optional
            Use only this much of its beginning, ps. Default: all of it.
        length : int
            Number of states in a path, a lag time apart.
        """
        series = measure(replicate, self.layout).torsions
        if time is not None:
            series = TorsionSeries(series.names, series.angles[: series.frames_in(time)], series.frame_interval)
        return score_replicate(
            self.label(series),
            series.frames_in(self.tica.lagtime),
            self.states.coarse,
            self.endpoints,
            length=length,
            rng=np.random.default_rng(self.seed),
            definitions=self.definitions,
        )

    def label(self, series: TorsionSeries) -> np.ndarray:
        """The state of each frame, (n_frames,) int."""
        return self.states.label(self.tica.project(_as_defined(series.ordered(self.names), self.definitions)))


def _as_defined(series: TorsionSeries, definitions: Definitions) -> TorsionSeries:
    return series.sound() if definitions is Definitions.SOUND else series
