"""Two sides of one molecule, described alike: torsions, slow coordinates, metastable states.

A *side* is one trajectory, or several of the same kind. Slow coordinates and states are those of the reference, and
every side is projected onto them. Times in picosecond. Axes: ``n_frames`` of all trajectories of a side, ``n_tica``
slow coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from openmm_mdgen.analysis.coarse import Counts
from openmm_mdgen.analysis.definitions import Definitions
from openmm_mdgen.analysis.distances import angle_distance
from openmm_mdgen.analysis.sources import LeftOut, Measurement
from openmm_mdgen.analysis.states import StateModel, TicaModel, fit_states, fit_tica
from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.analysis.undefined import NotDefined, attempt
from openmm_mdgen.analysis.validity import Geometry, merged

Number = float | NotDefined


@dataclass(frozen=True, eq=False)
class Described:
    """One side, in every way in which two are compared."""

    torsions: TorsionSeries
    geometries: tuple[Geometry, ...]  # one a trajectory
    coarse: tuple[Counts, ...]  # one a trajectory
    slow: np.ndarray | NotDefined  # (n_frames, n_tica) float32
    labels: np.ndarray | NotDefined  # (n_frames,) int, the metastable state of each frame
    wall_seconds: Number  # that it took

    @property
    def n_trajectories(self) -> int:
        """How many trajectories the side has."""
        return len(self.geometries)

    @cached_property
    def geometry(self) -> Geometry:
        """That of all trajectories."""
        return merged(self.geometries)

    def counts(self, kind: str) -> dict[str, np.ndarray]:
        """Histograms of one of `coarse.KINDS` by residue, over all trajectories."""
        return {name: np.sum([part[kind][name] for part in self.coarse], axis=0) for name in self.coarse[0][kind]}

    def leaving_one_out(self) -> list[Described]:
        """The side without each of its trajectories in turn; nothing where it has but one."""
        return [self._without(run) for run in range(self.n_trajectories)] if self.n_trajectories > 1 else []

    def _without(self, run: int) -> Described:

        def rest(values: np.ndarray) -> np.ndarray:
            parts = self.torsions.split(values)
            return np.concatenate([*parts[:run], *parts[run + 1 :]])

        return replace(
            self,
            torsions=self.torsions.without(run),
            geometries=self.geometries[:run] + self.geometries[run + 1 :],
            coarse=self.coarse[:run] + self.coarse[run + 1 :],
            slow=attempt(rest, self.slow),
            labels=attempt(rest, self.labels),
        )

    def seconds_for(self, time: Number) -> Number:
        """Wall time in which `time` ps of this side were made."""
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
                runs=reference.lengths,
            )

        return cls(tica, attempt(states, attempt(TicaModel.project, tica, reference)))

    def describe(self, series: TorsionSeries, measured: Sequence[Measurement], wall_seconds: float | None) -> Described:
        """Project a side onto them.

        Parameters
        ----------
        series : TorsionSeries
            The torsions of `measured`, joined, as the definitions have them.
        measured : sequence of Measurement
            One a trajectory.
        wall_seconds : float, optional
            That the side took.

        Returns
        -------
        Described
        """
        slow = attempt(TicaModel.project, self.tica, series)
        labels = attempt(StateModel.label, self.states, slow)
        wall = NotDefined("the wall time was not given") if wall_seconds is None else float(wall_seconds)
        geometries, coarse = tuple(m.geometry for m in measured), tuple(m.coarse for m in measured)
        return Described(series, geometries, coarse, slow, labels, wall)


@dataclass(frozen=True, eq=False)
class Pair:
    """A side beside the reference: what every metric is computed from."""

    generated: Described
    reference: Described
    motion: SlowMotion
    left_out: LeftOut

    @cached_property
    def per_torsion(self) -> dict[str, float]:
        """The distance of each torsion's distributions, by name."""
        ours, theirs = self.generated.torsions, self.reference.torsions
        return {name: angle_distance(ours[name], theirs[name]) for name in theirs.names}
