"""The comparison of a generated trajectory with real MD, all of it in one call."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version

import numpy as np

from openmm_mdgen.analysis import surfaces as surface
from openmm_mdgen.analysis.comparison import Described, Pair, SlowMotion
from openmm_mdgen.analysis.definitions import Definitions
from openmm_mdgen.analysis.distances import js_distance
from openmm_mdgen.analysis.ensemble_measures import EnsemblePair
from openmm_mdgen.analysis.ensembles import Frames
from openmm_mdgen.analysis.equivalent import EquivalentTime, equivalent_md_time
from openmm_mdgen.analysis.jackknife import Numbers, combined, standard_errors
from openmm_mdgen.analysis.kinetics import Curve, coordinate_decorrelation, decorrelation_curve, relaxation_time
from openmm_mdgen.analysis.layout import in_terms_of
from openmm_mdgen.analysis.markov import MarkovModel, estimate_markov_model, flux_correlation, state_frequencies
from openmm_mdgen.analysis.memory import memories
from openmm_mdgen.analysis.metrics import Distances
from openmm_mdgen.analysis.proteins import EnsembleComparison, read_pairs
from openmm_mdgen.analysis.results import Evaluation, Relaxation, Settings, States, TrajectoryFacts, Validity, numbers
from openmm_mdgen.analysis.slow_times import Coordinates, slow_times
from openmm_mdgen.analysis.sources import Measurement, Opened, Source, Sources, given, opened_alike
from openmm_mdgen.analysis.states import LAGTIME, N_CLUSTERS, N_STATES, SEED, StateModel
from openmm_mdgen.analysis.torsions import TorsionSeries, ramachandran_pairs
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError, attempt
from openmm_mdgen.analysis.validity import Geometry
from openmm_mdgen.arguments import positive, require, whole
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.seeds import valid_library_seed

PROTEIN = 10  # residues, from which ensembles are compared unless the caller says otherwise
_PACKAGES = ("deeptime", "mdtraj", "numpy", "scipy")


def evaluate(
    generated: Sources,
    reference: Sources,
    *,
    replicate: Sources | None = None,
    definitions: Definitions = Definitions.PUBLISHED,
    lagtime: float = LAGTIME,
    n_clusters: int = N_CLUSTERS,
    n_states: int = N_STATES,
    seed: int = SEED,
    generated_seconds: float | None = None,
    reference_seconds: float | None = None,
    ensembles: bool | None = None,
    structure: Source | None = None,
) -> Evaluation:
    """Compare a generated trajectory with real MD of the same molecule, by the measures of Jing et al. 2024.

    What both have is compared, residue by residue along the chain, and what is left out is named: trajectories may be
    numbered and named by the conventions of any program, and may lack hydrogens, side chains or all but C-alpha atoms.

    Parameters
    ----------
    generated, reference : TrajectoryFile or mdtraj.Trajectory, or several of them
        Written by any program, of any frame interval, with or without solvent. A Trajectory's times are believed;
        mdtraj numbers the frames of formats that store none, so pass a TrajectoryFile for a DCD file. Several
        trajectories of one molecule are taken together, and give a standard error of each number.
    replicate : TrajectoryFile or mdtraj.Trajectory, or several of them, optional
        A second MD run: its distances show how near to the reference real MD itself comes.
    definitions : Definitions or str
        One of them, or its name: ``"published"`` or ``"sound"``.
    lagtime : float or quantity
        Lag time of TICA and of the Markov models; plain numbers are in ps.
    n_clusters : int
        Number of clusters of k-means.
    n_states : int
        Number of metastable states.
    seed : int
        Seed of k-means and of the bootstrap.
    generated_seconds, reference_seconds : float, optional
        Wall time that each trajectory took, s.
    ensembles : bool, optional
        Whether fluctuations, contacts, exposed residues and secondary structure are compared too, as for proteins.
        Default: for molecules of 10 residues or more.
    structure : TrajectoryFile or mdtraj.Trajectory, optional
        The protein's structure, such as the experimental one, that these are told as changes from; its first frame.
        Default: the first frame of the reference.

    Returns
    -------
    Evaluation

    Raises
    ------
    MDGenError
        If a file cannot be read, the molecules differ, or an option makes no sense. A single measure that has no value
        for this input raises nothing: it is `NotDefined`.
    StateError
        If a position is not finite, or a molecule is torn over a periodic box that is not known.

    Examples
    --------
    >>> evaluation = evaluate(TrajectoryFile("generated.dcd", "generated.pdb"), TrajectoryFile("md.xtc", "md.pdb"))
    >>> evaluation.jsd.torsions_all
    """
    if not isinstance(definitions, Definitions):
        definitions = Definitions.named("definitions", definitions)
    lagtime, seed = positive("lagtime", lagtime, "picosecond"), valid_library_seed(seed)
    _check_numbers(n_clusters, n_states, generated_seconds, reference_seconds)
    if structure is not None and ensembles is False:
        raise MDGenError("a structure is of use only where ensembles are compared: leave one of the two options out")
    if structure is not None:
        [structure] = given(structure, "the structure")
    real_md = given(reference, "the reference")
    repeats, n_real = [] if replicate is None else given(replicate, "the replicate"), len(real_md)
    opened = opened_alike(given(generated, "the generated trajectory"), [*real_md, *repeats])
    start = _opened_structure(structure, opened.reference[0])
    measured = [one.measure() for one in opened.generated]
    real = [one.measure() for one in opened.reference[:n_real]]
    repeated = [one.measure() for one in opened.reference[n_real:]]
    _warn_of_mirrored(opened.reference, [*real, *repeated])
    comparable = partial(_comparable, definitions=definitions)

    series = comparable(real)
    motion = SlowMotion.fit(
        series,
        lagtime=lagtime,
        n_clusters=n_clusters,
        n_states=n_states,
        seed=seed,
        definitions=definitions,
    )
    ours = motion.describe(comparable(measured), measured, generated_seconds)
    theirs = motion.describe(series, real, reference_seconds)
    again: Described | NotDefined = NotDefined("no replicate was given")
    if repeated:
        again = motion.describe(comparable(repeated), repeated, None)
    pair = Pair(ours, theirs, motion, opened.left_out)
    sides = _sides(opened.generated, measured), _sides(opened.reference, [*real, *repeated])
    compared = attempt(_ensembles, *sides, n_real, ensembles, start)

    equivalent = attempt(_equivalent_md_time, ours, theirs, None if isinstance(again, NotDefined) else again, seed)
    return Evaluation(
        settings=Settings(definitions, lagtime, n_clusters, n_states, seed, {n: version(n) for n in _PACKAGES}),
        generated=_facts(ours),
        reference=_facts(theirs),
        replicate=attempt(_facts, again),
        jsd=Distances.of(pair),
        replicate_jsd=attempt(lambda second: Distances.of(replace(pair, generated=second)), again),
        tica_dimensions=attempt(lambda tica: tica.n_tica, motion.tica),
        relaxation=_torsion_relaxations(pair),
        tica_relaxation=_tica_relaxation(ours, theirs, mean_free=definitions is Definitions.SOUND),
        slow_times=slow_times(Coordinates(ours.torsions, ours.slow), Coordinates(series, theirs.slow), lagtime),
        memory=memories(ours.torsions, theirs.torsions),
        states=attempt(lambda labels, states: _states(labels, states, ours, lagtime), ours.labels, motion.states),
        equivalent_md_time=equivalent,
        equivalent_md_seconds=attempt(lambda e: theirs.seconds_for(e.time), equivalent),
        validity=_validity(ours.geometry, theirs.geometry),
        replicate_geometry=attempt(lambda second: second.geometry, again),
        surfaces=_surfaces(ours, theirs),
        ensemble=attempt(lambda found: EnsembleComparison.of(found[0]), compared),
        replicate_ensemble=attempt(lambda found, _: EnsembleComparison.of(found[1]), compared, again),
        left_out=opened.left_out,
        errors=attempt(lambda: _errors(pair, attempt(lambda found: found[0], compared))),
    )


def _check_numbers(
    n_clusters: int, n_states: int, generated_seconds: float | None, reference_seconds: float | None
) -> None:
    for name, number in (("n_clusters", n_clusters), ("n_states", n_states)):
        require(name, number, whole(number) is not None, "a whole number")
    if not 2 <= n_states < n_clusters:
        raise MDGenError(f"{n_states} states of {n_clusters} clusters: take at least 2 states, and more clusters")
    for name, seconds in (("generated_seconds", generated_seconds), ("reference_seconds", reference_seconds)):
        if seconds is not None:
            positive(name, seconds)


def _comparable(measured: Sequence[Measurement], *, definitions: Definitions) -> TorsionSeries:
    """The torsions of a side as the definitions have them."""
    series = TorsionSeries.joined([one.torsions for one in measured])
    return series.sound() if definitions is Definitions.SOUND else series


def _facts(side: Described) -> TrajectoryFacts:
    return TrajectoryFacts(side.n_trajectories, side.torsions.n_frames, side.torsions.frame_interval, side.wall_seconds)


def _equivalent_md_time(ours: Described, theirs: Described, again: Described | None, seed: int) -> EquivalentTime:
    replicate = None if again is None else again.torsions
    return equivalent_md_time(ours.torsions, theirs.torsions, replicate=replicate, seed=seed)


def _sides(opened: Sequence[Opened], measured: Sequence[Measurement]) -> list[Frames]:
    return [Frames.of(one, found.torsions.n_frames) for one, found in zip(opened, measured, strict=True)]


def _opened_structure(structure: Source | None, reference: Opened) -> Frames | None:
    """The structure, if it is of the reference's molecule; `MDGenError` where it is not."""
    if structure is None:
        return None
    opened = Opened.of(structure, "the structure")
    in_terms_of(opened.layout, reference.layout)
    return Frames.of(opened, 1)


def _ensembles(
    generated: list[Frames], real: list[Frames], n_reference: int, wanted: bool | None, structure: Frames | None
) -> list[EnsemblePair]:
    """The ensembles of a protein: generated and, where there is one, of a second MD run."""
    n_residues = len(real[0].layout.sequence)
    if wanted is None and structure is None:
        wanted = n_residues >= PROTEIN
        if not wanted:
            raise UndefinedError(
                f"ensembles are compared for molecules of {PROTEIN} residues or more, or where asked for; this one has "
                f"{n_residues}"
            )
    if wanted is False:
        raise UndefinedError("ensembles were not asked for")
    others = [real[n_reference:]] if real[n_reference:] else []
    return read_pairs(generated, real[:n_reference], others, structure)


def _errors(pair: Pair, ensembles: EnsemblePair | NotDefined) -> dict[str, Numbers]:
    """Standard errors over the trajectories of each side that has several."""
    sides = (
        [replace(pair, generated=one) for one in pair.generated.leaving_one_out()],
        [replace(pair, reference=one) for one in pair.reference.leaving_one_out()],
    )
    smaller = attempt(EnsemblePair.leaving_one_out, ensembles)

    def ensembles_without(side: int, trajectory: int) -> EnsemblePair | NotDefined:
        return attempt(lambda pairs: pairs[side][trajectory], smaller)

    parts = [
        standard_errors([_numbers(other, ensembles_without(side, k)) for k, other in enumerate(pairs)])
        for side, pairs in enumerate(sides)
        if pairs
    ]
    if not parts:
        raise UndefinedError("errors need several trajectories of one side")
    errors = combined(parts)
    assert isinstance(errors, dict)
    return errors


def _numbers(pair: Pair, ensembles: EnsemblePair | NotDefined) -> dict[str, Numbers]:
    validity = _validity(pair.generated.geometry, pair.reference.geometry)
    compared = attempt(EnsembleComparison.of, ensembles)
    return numbers(Distances.of(pair), _torsion_relaxations(pair), validity, compared)


def _torsion_relaxations(pair: Pair) -> dict[str, Relaxation]:
    ours, theirs = pair.generated, pair.reference
    return {name: _torsion_relaxation(name, ours, theirs) for name in theirs.torsions.names}


def _torsion_relaxation(name: str, ours: Described, theirs: Described) -> Relaxation:
    curves = [attempt(decorrelation_curve, side.torsions, name) for side in (ours, theirs)]
    return _relaxation(curves, ours, theirs)


def _tica_relaxation(ours: Described, theirs: Described, *, mean_free: bool) -> Relaxation | NotDefined:
    def curve(side: Described, slow: np.ndarray) -> Curve | NotDefined:
        interval = side.torsions.frame_interval
        runs = side.torsions.split(slow[:, 0])
        return attempt(partial(coordinate_decorrelation, mean_free=mean_free), runs, interval)

    def relaxation(a: np.ndarray, b: np.ndarray) -> Relaxation:
        return _relaxation([curve(ours, a), curve(theirs, b)], ours, theirs)

    return attempt(relaxation, ours.slow, theirs.slow)


def _relaxation(curves: list[Curve | NotDefined], ours: Described, theirs: Described) -> Relaxation:
    """From the curves of the generated trajectory and of the reference."""
    times = [attempt(relaxation_time, curve) for curve in curves]
    thinned = [attempt(Curve.thinned, curve) for curve in curves]
    return Relaxation(
        generated=times[0],
        reference=times[1],
        generated_curve=thinned[0],
        reference_curve=thinned[1],
        generated_seconds=ours.seconds_for(times[0]),
        reference_seconds=theirs.seconds_for(times[1]),
    )


def _states(labels: np.ndarray, states: StateModel, ours: Described, lagtime: float) -> States:
    runs = ours.torsions.split(labels)
    own = attempt(lambda: estimate_markov_model(runs, ours.torsions.frames_in(lagtime), states.n_states))
    shares = [state_frequencies(x, states.n_states) for x in (labels, states.labels)]
    return States(
        generated_shares=shares[0],
        reference_shares=shares[1],
        generated_transition=attempt(MarkovModel.full_transition, own),
        reference_transition=states.coarse.full_transition(),
        generated_stationary=attempt(MarkovModel.full_stationary, own),
        reference_stationary=states.coarse.full_stationary(),
        never_visited=tuple(np.flatnonzero((shares[0] == 0) & (shares[1] > 0)).tolist()),
        flux_correlation=attempt(flux_correlation, own, states.coarse),
    )


def _warn_of_mirrored(files: Sequence[Opened], measured: Sequence[Measurement]) -> None:
    """Warn of real MD that is of another molecule than it says, as of a start that came out wrong."""
    for opened, found in zip(files, measured, strict=True):
        if (right := found.geometry.right_chirality) < 1:
            warnings.warn(
                f"{opened.layout.file}: in {1 - right:.0%} of its frames a residue is mirrored, no L amino acid, so it "
                "is MD of another molecule. Leave it out, or make it again",
                stacklevel=3,
            )


def _validity(ours: Geometry, theirs: Geometry) -> Validity:
    def apart(a: dict, b: dict) -> dict[str, float]:
        return {name: float(js_distance(a[name].counts, b[name].counts)) for name in b if name in a}

    return Validity(ours, theirs, apart(ours.bonds, theirs.bonds), apart(ours.angles, theirs.angles))


def _surfaces(ours: Described, theirs: Described) -> dict[str, surface.Surface]:
    a, b = ours.torsions, theirs.torsions
    found = {
        f"{phi}|{psi}": surface.torsion_surface((phi, psi), (a[phi], a[psi]), (b[phi], b[psi]))
        for phi, psi in ramachandran_pairs(b.names)
    }
    slow = attempt(lambda x, y: (x[:, :2], y[:, :2]), ours.slow, theirs.slow)
    if not isinstance(slow, NotDefined) and slow[0].shape[1] == 2:
        names = ("TICA-0", "TICA-1")
        found["|".join(names)] = surface.coordinate_surface(names, *slow)
    return found
