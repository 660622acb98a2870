"""One call for all comparisons of a generated trajectory with real MD."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

import numpy as np

from openmm_mdgen.analysis import surfaces as surface
from openmm_mdgen.analysis.definitions import Definitions
from openmm_mdgen.analysis.distances import angle_distance, joint_angle_distance, js_distance, sample_distance
from openmm_mdgen.analysis.equivalent import equivalent_md_time
from openmm_mdgen.analysis.kinetics import Curve, coordinate_decorrelation, decorrelation_curve, relaxation_time
from openmm_mdgen.analysis.markov import MarkovModel, estimate_markov_model, flux_correlation, state_frequencies
from openmm_mdgen.analysis.results import (
    Distances,
    Evaluation,
    Number,
    Relaxation,
    Settings,
    States,
    TrajectoryFacts,
    Validity,
)
from openmm_mdgen.analysis.sources import Measurement, Source, measure
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
from openmm_mdgen.analysis.torsions import (
    TorsionSeries,
    mean_torsion_distances,
    ramachandran_pairs,
    torsion_pairs,
)
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError, attempt
from openmm_mdgen.analysis.validity import Geometry
from openmm_mdgen.errors import MDGenError

_PACKAGES = ("deeptime", "mdtraj", "numpy", "scipy")


def evaluate(
    generated: Source,
    reference: Source,
    *,
    replicate: Source | None = None,
    definitions: Definitions = Definitions.PUBLISHED,
    lagtime: float = LAGTIME,
    n_clusters: int = N_CLUSTERS,
    n_states: int = N_STATES,
    seed: int = SEED,
    generated_seconds: float | None = None,
    reference_seconds: float | None = None,
) -> Evaluation:
    """Compare a generated trajectory with real MD of the same molecule, by the measures of Jing et al. 2024.

    Parameters
    ----------
    generated, reference : TrajectoryFile or mdtraj.Trajectory
        Written by any program, of any frame interval, with or without hydrogens and solvent. A Trajectory's times are
        believed; mdtraj numbers the frames of formats that store none, so pass a TrajectoryFile for a DCD file.
    replicate : TrajectoryFile or mdtraj.Trajectory, optional
        A second MD run: how near the reference real MD comes.
    definitions : Definitions
    lagtime : float
        ps, of TICA and the Markov models.
    n_clusters, n_states : int
    seed : int
        Of k-means and the bootstrap.
    generated_seconds, reference_seconds : float, optional
        Wall time that each took.

    Raises
    ------
    MDGenError
        If a file cannot be read, the molecules differ, or an option makes no sense. A single measure that has no value
        for this input raises nothing: it is `NotDefined`.
    StateError
        If a position is not finite.

    Examples
    --------
    >>> evaluation = evaluate(TrajectoryFile("generated.dcd", "generated.pdb"), TrajectoryFile("md.xtc", "md.pdb"))
    >>> evaluation.jsd.torsions_all
    """
    _check_options(lagtime, n_clusters, n_states, seed, generated_seconds, reference_seconds)
    measured = [measure(source) for source in (generated, reference)]
    repeated = None if replicate is None else measure(replicate)
    ours, theirs = (_comparable(m, measured[1], definitions) for m in measured)
    again: TorsionSeries | NotDefined = NotDefined("no replicate was given")
    if repeated is not None:
        again = _comparable(repeated, measured[1], definitions)

    tica = attempt(lambda: fit_tica(theirs, lagtime=lagtime, definitions=definitions))
    ours_slow, theirs_slow, again_slow = (attempt(TicaModel.project, tica, s) for s in (ours, theirs, again))
    model = attempt(
        lambda slow: fit_states(
            slow,
            theirs.frames_in(lagtime),
            n_clusters=n_clusters,
            n_states=n_states,
            seed=seed,
            definitions=definitions,
        ),
        theirs_slow,
    )
    ours_labels, again_labels = (attempt(StateModel.label, model, slow) for slow in (ours_slow, again_slow))
    facts = _facts(ours, generated_seconds), _facts(theirs, reference_seconds)
    again_jsd = attempt(lambda s: _distances(s, theirs, again_slow, theirs_slow, again_labels, model), again)
    equivalent = attempt(
        lambda: equivalent_md_time(
            ours, theirs, replicate=again if isinstance(again, TorsionSeries) else None, seed=seed
        )
    )
    return Evaluation(
        settings=Settings(
            definitions, lagtime, n_clusters, n_states, seed, {name: version(name) for name in _PACKAGES}
        ),
        generated=facts[0],
        reference=facts[1],
        replicate=attempt(lambda series: _facts(series, None), again),
        jsd=_distances(ours, theirs, ours_slow, theirs_slow, ours_labels, model),
        replicate_jsd=again_jsd,
        tica_dimensions=attempt(lambda t: t.n_tica, tica),
        relaxation={name: _torsion_relaxation(name, ours, theirs, facts) for name in theirs.names},
        tica_relaxation=attempt(
            lambda a, b: _tica_relaxation(a, b, facts, definitions is Definitions.SOUND), ours_slow, theirs_slow
        ),
        states=attempt(lambda labels, m: _states(labels, m, ours, lagtime), ours_labels, model),
        equivalent_md_time=equivalent,
        equivalent_md_seconds=attempt(lambda e: _seconds(e.time, facts[1]), equivalent),
        validity=_validity(*(m.geometry for m in measured)),
        surfaces=_surfaces(ours, theirs, ours_slow, theirs_slow),
    )


def _check_options(
    lagtime: float,
    n_clusters: int,
    n_states: int,
    seed: int,
    generated_seconds: float | None,
    reference_seconds: float | None,
) -> None:
    if not 0 < lagtime < float("inf"):
        raise MDGenError(f"lagtime {lagtime}: give a time above 0 ps")
    if not 2 <= n_states < n_clusters:
        raise MDGenError(f"{n_states} states of {n_clusters} clusters: take at least 2 states, and more clusters")
    if not 0 <= seed < 2**31:
        raise MDGenError(f"seed {seed}: take a whole number from 0 to {2**31 - 1}")
    for name, seconds in (("generated_seconds", generated_seconds), ("reference_seconds", reference_seconds)):
        if seconds is not None and not 0 < seconds < float("inf"):
            raise MDGenError(f"{name} {seconds}: give the wall time in seconds, above 0")


def _comparable(measured: Measurement, reference: Measurement, definitions: Definitions) -> TorsionSeries:
    """The torsions in the reference's order, as the definitions have them."""
    series = measured.torsions.ordered(reference.torsions.names)
    return series.sound() if definitions is Definitions.SOUND else series


def _facts(series: TorsionSeries, seconds: float | None) -> TrajectoryFacts:
    wall = NotDefined("the wall time was not given") if seconds is None else float(seconds)
    return TrajectoryFacts(series.n_frames, series.frame_interval, wall)


def _distances(
    ours: TorsionSeries,
    theirs: TorsionSeries,
    ours_slow: np.ndarray | NotDefined,
    theirs_slow: np.ndarray | NotDefined,
    labels: np.ndarray | NotDefined,
    model: StateModel | NotDefined,
) -> Distances:
    per_torsion = {name: angle_distance(ours[name], theirs[name]) for name in theirs.names}

    def joint(pairs: list[tuple[str, str]]) -> dict[str, float]:
        return {f"{a}|{b}": joint_angle_distance((ours[a], ours[b]), (theirs[a], theirs[b])) for a, b in pairs}

    def slowest(n: int, a: np.ndarray, b: np.ndarray) -> float:
        if a.shape[1] < n:
            raise UndefinedError(f"TICA has {a.shape[1]} dimension; the sound definitions keep two")
        return sample_distance(a[:, :n], b[:, :n])

    def occupancy(ours_labels: np.ndarray, m: StateModel) -> float:
        return float(js_distance(*(state_frequencies(x, m.n_states) for x in (ours_labels, m.labels))))

    return Distances(
        *mean_torsion_distances(per_torsion),
        per_torsion=per_torsion,
        torsion_pairs=joint(torsion_pairs(theirs.names)),
        ramachandran=joint(ramachandran_pairs(theirs.names)),
        tica_0=attempt(lambda a, b: slowest(1, a, b), ours_slow, theirs_slow),
        tica_01=attempt(lambda a, b: slowest(2, a, b), ours_slow, theirs_slow),
        msm=attempt(occupancy, labels, model),
    )


def _torsion_relaxation(
    name: str, ours: TorsionSeries, theirs: TorsionSeries, facts: tuple[TrajectoryFacts, TrajectoryFacts]
) -> Relaxation:
    generated, reference = (attempt(decorrelation_curve, series, name) for series in (ours, theirs))
    return _relaxation(generated, reference, facts)


def _tica_relaxation(
    ours: np.ndarray, theirs: np.ndarray, facts: tuple[TrajectoryFacts, TrajectoryFacts], mean_free: bool
) -> Relaxation:
    generated, reference = (
        attempt(partial(coordinate_decorrelation, mean_free=mean_free), slow[:, 0], fact.frame_interval)
        for slow, fact in zip((ours, theirs), facts, strict=True)
    )
    return _relaxation(generated, reference, facts)


def _relaxation(
    generated: Curve | NotDefined, reference: Curve | NotDefined, facts: tuple[TrajectoryFacts, TrajectoryFacts]
) -> Relaxation:
    times = attempt(relaxation_time, generated), attempt(relaxation_time, reference)
    return Relaxation(
        generated=times[0],
        reference=times[1],
        generated_curve=attempt(Curve.thinned, generated),
        reference_curve=attempt(Curve.thinned, reference),
        generated_seconds=_seconds(times[0], facts[0]),
        reference_seconds=_seconds(times[1], facts[1]),
    )


def _seconds(time: Number, facts: TrajectoryFacts) -> Number:
    """Wall time that `time` ps of this trajectory took."""
    return attempt(
        lambda t, interval, seconds: t * seconds / (interval * facts.n_frames),
        time,
        facts.frame_interval,
        facts.wall_seconds,
    )


def _states(labels: np.ndarray, model: StateModel, ours: TorsionSeries, lagtime: float) -> States:
    own = attempt(lambda: estimate_markov_model(labels, ours.frames_in(lagtime), model.n_states))
    shares = [state_frequencies(x, model.n_states) for x in (labels, model.labels)]
    return States(
        generated_shares=shares[0],
        reference_shares=shares[1],
        generated_transition=attempt(MarkovModel.full_transition, own),
        reference_transition=model.coarse.full_transition(),
        generated_stationary=attempt(MarkovModel.full_stationary, own),
        reference_stationary=model.coarse.full_stationary(),
        never_visited=tuple(np.flatnonzero((shares[0] == 0) & (shares[1] > 0)).tolist()),
        flux_correlation=attempt(flux_correlation, own, model.coarse),
    )


def _validity(ours: Geometry, theirs: Geometry) -> Validity:
    def apart(a: dict, b: dict) -> dict[str, float]:
        return {name: float(js_distance(a[name].counts, b[name].counts)) for name in b if name in a}

    return Validity(ours, theirs, apart(ours.bonds, theirs.bonds), apart(ours.angles, theirs.angles))


def _surfaces(
    ours: TorsionSeries, theirs: TorsionSeries, ours_slow: np.ndarray | NotDefined, theirs_slow: np.ndarray | NotDefined
) -> dict[str, surface.Surface]:
    found = {
        f"{a}|{b}": surface.torsion_surface((a, b), (ours[a], ours[b]), (theirs[a], theirs[b]))
        for a, b in ramachandran_pairs(theirs.names)
    }
    slow = attempt(lambda a, b: (a[:, :2], b[:, :2]), ours_slow, theirs_slow)
    if not isinstance(slow, NotDefined) and slow[0].shape[1] == 2:
        names = ("TICA-0", "TICA-1")
        found["|".join(names)] = surface.coordinate_surface(names, *slow)
    return found
