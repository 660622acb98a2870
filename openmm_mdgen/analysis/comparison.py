"""Two trajectories of one molecule, described alike: torsions, slow coordinates, metastable states.

Slow coordinates and states are those of the reference, and every trajectory is projected onto them. Times in
picosecond. Axes: ``n_frames``, ``n_tica`` slow coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from openmm_mdgen.analysis.definitions import Definitions
from openmm_mdgen.analysis.distances import angle_distance
from openmm_mdgen.analysis.states import StateModel, TicaModel, fit_states, fit_tica
from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.analysis.undefined import NotDefined, attempt

Number = float | NotDefined


@dataclass(frozen=True, eq=False)
class Described:
    """One trajectory, in every way in which two are compared."""

    torsions: TorsionSeries
    slow: np.ndarray | NotDefined  # (n_frames, n_tica) float32
    labels: np.ndarray | NotDefined  # (n_frames,) int, the metastable state of each frame
    wall_seconds: Number  # that it took

    def seconds_for(self, time: Number) -> Number:
        """Wall time in which `time` ps of this trajectory were made."""
        return attempt(
            lambda t, interval, seconds: t * seconds / (interval * self.torsions.n_frames),
            time,
            self.torsions.frame_interval,
            self.wall_seconds,
        )


@dataclass(frozen=True, eq=False)
class SlowMotion:
    """The slow coordinates and the metastable states of a reference."""

    tica: TicaModel | NotDefined
    states: StateModel | NotDefined

    @classmethod
    def fit(
        cls,
        reference: TorsionSeries,
        *,
        lagtime: float,
        n_clusters: int,
        n_states: int,
        seed: int,
        definitions: Definitions,
    ) -> SlowMotion:
        """Find them; what cannot be found is not defined.

        Parameters
        ----------
        reference : TorsionSeries
        lagtime : float
            Lag time of TICA and of the Markov models, ps.
        n_clusters, n_states : int
            Numbers of clusters of k-means and of metastable states.
        seed : int
            Seed of k-means.
        definitions : Definitions

        Returns
        -------
        SlowMotion
        """
        tica = attempt(lambda: fit_tica(reference, lagtime=lagtime, definitions=definitions))

        def states(projection: np.ndarray) -> StateModel:
            return fit_states(
                projection,
                reference.frames_in(lagtime),
                n_clusters=n_clusters,
                n_states=n_states,
                seed=seed,
                definitions=definitions,
            )

        return cls(tica, attempt(states, attempt(TicaModel.project, tica, reference)))

    def describe(self, series: TorsionSeries, wall_seconds: float | None) -> Described:
        """Project a trajectory of the same torsions onto them."""
        slow = attempt(TicaModel.project, self.tica, series)
        wall = NotDefined("the wall time was not given") if wall_seconds is None else float(wall_seconds)
        return Described(series, slow, attempt(StateModel.label, self.states, slow), wall)


@dataclass(frozen=True, eq=False)
class Pair:
    """A trajectory beside the reference: what every metric is computed from."""

    generated: Described
    reference: Described
    motion: SlowMotion

    @cached_property
    def per_torsion(self) -> dict[str, float]:
        """The distance of each torsion's distributions, by name."""
        ours, theirs = self.generated.torsions, self.reference.torsions
        return {name: angle_distance(ours[name], theirs[name]) for name in theirs.names}
