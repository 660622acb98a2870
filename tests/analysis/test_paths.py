"""Markov models, fluxes and transition paths against the published program's numbers and enumeration."""

from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from openmm_mdgen.analysis.definitions import Definitions
from openmm_mdgen.analysis.distances import js_distance
from openmm_mdgen.analysis.markov import (
    MarkovModel,
    busiest_transition,
    estimate_markov_model,
    flux_correlation,
    flux_matrix,
    rarest_transition,
    state_frequencies,
)
from openmm_mdgen.analysis.paths import (
    bridge_marginals,
    coarse_paths,
    sample_bridges,
    score_paths,
    score_replicate,
    step_probabilities,
)
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError

PUBLISHED, SOUND = Definitions.PUBLISHED, Definitions.SOUND
FIXTURE = np.load(Path(__file__).parent.parent / "data" / "fixtures" / "analysis.npz")
P, PI, PATHS = FIXTURE["transition"], FIXTURE["pi"], FIXTURE["paths"]
END = int(PATHS[0, -1])
FIVE = MarkovModel(5, np.arange(5), P, PI)


def chain(transition, n_frames, seed):
    """(n_frames,) labels of a Markov chain."""
    rng = np.random.default_rng(seed)
    ladder, draws = np.cumsum(transition, axis=1), rng.random(n_frames)
    states = [0]
    for draw in draws[1:]:
        states.append(int((draw >= ladder[states[-1]]).sum()))
    return np.array(states)


def slow_markov_model(labels, lag, n):
    """Self-consistent iteration of the reversible maximum likelihood (Bowman et al. 2009), for a connected chain."""
    counts = np.zeros((n, n))
    for a, b in zip(labels[:-lag], labels[lag:], strict=True):
        counts[a, b] += 1
    x = counts + counts.T
    for _ in range(20000):
        rates = counts.sum(axis=1) / x.sum(axis=1)
        x = (counts + counts.T) / (rates[:, None] + rates[None])
    return x / x.sum(axis=1, keepdims=True), x.sum(axis=1) / x.sum()


def test_step_and_path_probabilities_equal_the_published_programs():
    steps = step_probabilities(PATHS, P, END)
    np.testing.assert_allclose(steps, FIXTURE["path_step_probs"], atol=1e-10, rtol=0)
    np.testing.assert_allclose(steps.prod(axis=1), FIXTURE["path_probs"], atol=1e-10, rtol=1e-10)
    absorbing = step_probabilities(PATHS, FIXTURE["transition_absorbing"], END)
    np.testing.assert_allclose(absorbing, FIXTURE["path_step_probs_absorbing"], atol=1e-10, rtol=0)


def test_state_frequencies_and_marginals_equal_the_published_programs():
    np.testing.assert_allclose(state_frequencies(PATHS, 5), FIXTURE["state_probs"], atol=1e-10)
    np.testing.assert_allclose(state_frequencies(PATHS, 10), FIXTURE["state_probs_default10"], atol=1e-10)
    marginals = bridge_marginals(P, 0, 3, 11)
    np.testing.assert_allclose(marginals, FIXTURE["bridge_marginals"], atol=1e-10)


def test_fluxes_and_end_states_equal_the_published_programs():
    coded, textbook = (flux_matrix(P, PI, definitions=d) for d in (PUBLISHED, SOUND))
    np.testing.assert_allclose(coded, FIXTURE["flux_as_coded"], atol=1e-12)
    np.testing.assert_allclose(textbook, FIXTURE["flux_textbook"], atol=1e-12)
    assert rarest_transition(coded) == tuple(FIXTURE["tps_start_end"])
    assert busiest_transition(coded) == tuple(FIXTURE["design_start_end"])


def test_sampled_paths_follow_the_law_and_score_as_published():
    paths = sample_bridges(P, 0, 3, length=11, n_paths=4000, rng=np.random.default_rng(0))
    assert (paths[:, 0] == 0).all() and (paths[:, -1] == 3).all()
    seen = np.stack([state_frequencies(column, 5) for column in paths.T])
    np.testing.assert_allclose(seen, FIXTURE["bridge_marginals"], atol=0.03)
    scores = np.log(step_probabilities(paths, P, 3).prod(axis=1))
    assert scores.mean() == pytest.approx(float(FIXTURE["sampled_mean_log_prob"]), abs=0.15)


def test_path_law_equals_enumeration_of_all_paths():
    length, start, end = 4, 0, 2
    weights = {}
    for middle in product(range(5), repeat=length - 2):
        path = (start, *middle, end)
        weights[path] = np.prod([P[a, b] for a, b in pairwise(path)])
    total = sum(weights.values())
    scores = step_probabilities(np.array(list(weights)), P, end).prod(axis=1)
    np.testing.assert_allclose(scores, np.array(list(weights.values())) / total, atol=1e-14)


def test_frames_are_thinned_to_steps_of_the_chain_with_the_last_kept():
    labels = np.arange(200).reshape(2, 100)
    assert coarse_paths(labels, 10).shape == (2, 11)
    assert coarse_paths(labels, 10)[0].tolist() == [*range(0, 100, 10), 99]
    assert coarse_paths(labels[:, :91], 10)[0].tolist() == list(range(0, 91, 10))


@pytest.mark.parametrize("definitions", Definitions)
def test_the_references_own_paths_score_well(definitions):
    paths = sample_bridges(P, 0, 3, length=11, n_paths=1000, rng=np.random.default_rng(5))
    scores = score_paths(paths, FIVE, (0, 3), rng=np.random.default_rng(6), definitions=definitions)
    assert scores.valid_rate == 1 and scores.jsd < 0.03
    assert scores.mean_probability == scores.mean_valid_probability
    assert scores.mean_probability == pytest.approx(step_probabilities(paths, P, 3).prod(axis=1).mean())


def test_impossible_paths_lower_the_valid_rate_and_not_the_mean_of_the_valid():
    good = sample_bridges(P, 0, 3, length=11, n_paths=100, rng=np.random.default_rng(5))
    assert P[0, 4] == 0
    bad = good.copy()
    bad[:, 1:3] = (0, 4)
    rng = np.random.default_rng
    for definitions in Definitions:
        alone = score_paths(good, FIVE, (0, 3), rng=rng(0), definitions=definitions)
        mixed = score_paths(np.concatenate([good, bad]), FIVE, (0, 3), rng=rng(0), definitions=definitions)
        assert mixed.valid_rate == 0.5
        assert mixed.mean_probability == pytest.approx(alone.mean_probability / 2)
        assert mixed.mean_valid_probability == pytest.approx(alone.mean_valid_probability)
        none = score_paths(bad, FIVE, (0, 3), rng=rng(0), definitions=definitions)
        assert none.valid_rate == 0 and isinstance(none.mean_valid_probability, NotDefined)


def test_sound_scores_know_which_states_are_connected_and_where_a_path_must_end():
    labels = np.array([1, 2, 4, 6, 8])  # of ten; the published program numbers connected states from 0 instead
    ten = MarkovModel(10, labels, P, PI)
    paths = labels[sample_bridges(P, 0, 3, length=11, n_paths=500, rng=np.random.default_rng(1))]
    rng = np.random.default_rng
    sound = score_paths(paths, ten, (1, 6), rng=rng(0), definitions=SOUND)
    assert sound.valid_rate == 1 and sound.jsd < 0.05
    published = score_paths(paths, ten, (0, 3), rng=rng(0), definitions=PUBLISHED)
    assert published.valid_rate == 1 and published.jsd > 0.3
    astray = paths.copy()
    astray[:250, 4] = 9  # a state that the reference does not connect
    assert score_paths(astray, ten, (1, 6), rng=rng(0), definitions=SOUND).valid_rate == 0.5
    assert score_paths(paths, ten, (1, 8), rng=rng(0), definitions=SOUND).valid_rate == 0
    with pytest.raises(UndefinedError, match="state 9"):
        score_paths(paths, ten, (1, 9), rng=rng(0), definitions=SOUND)


def test_real_md_scores_near_the_reference_and_md_that_misses_an_end_does_not():
    reversible = (P * PI[:, None] + (P * PI[:, None]).T) / 2
    pi = reversible.sum(axis=1)
    model = MarkovModel(5, np.arange(5), reversible / pi[:, None], pi / pi.sum())
    labels = chain(model.transition, 20000, 3)
    rng = np.random.default_rng
    for definitions in Definitions:
        near = score_replicate(labels, 1, model, (0, 3), length=11, rng=rng(0), definitions=definitions)
        assert near.jsd < 0.05 and near.valid_rate > 0.95
    short = np.array([0, 1, 0, 1, 1, 0, 0, 1] * 5)
    missed = score_replicate(short, 1, model, (0, 3), length=11, rng=rng(0), definitions=PUBLISHED)
    assert (missed.jsd, missed.valid_rate, missed.mean_probability) == (1.0, 0.0, 0.0)
    missed = score_replicate(short, 1, model, (0, 3), length=11, rng=rng(0), definitions=SOUND)
    assert isinstance(missed.jsd, NotDefined) and "state 3" in missed.jsd.why


def test_markov_model_equals_the_slow_fixed_point_and_satisfies_detailed_balance():
    labels = chain(P, 3000, 0)
    model = estimate_markov_model(labels, 3, 5)
    transition, stationary = slow_markov_model(labels, 3, 5)
    np.testing.assert_allclose(model.transition, transition, atol=1e-6)
    np.testing.assert_allclose(model.stationary, stationary, atol=1e-6)
    flux = flux_matrix(model.transition, model.stationary, definitions=SOUND)
    np.testing.assert_allclose(flux, flux.T, atol=1e-10)


def test_states_that_are_not_left_and_entered_again_are_left_out():
    labels = np.r_[[7] * 5, chain(P, 2000, 1), [8] * 5]
    model = estimate_markov_model(labels, 1, 10)
    assert model.active.tolist() == [0, 1, 2, 3, 4]
    full = model.full_transition()
    assert full.shape == (10, 10) and full[7, 7] == full[9, 9] == 1
    np.testing.assert_allclose(full.sum(axis=1), 1)
    assert model.full_stationary()[[5, 6, 7, 8, 9]].tolist() == [0] * 5


def test_too_short_or_motionless_labels_have_no_markov_model():
    with pytest.raises(UndefinedError, match="3 frames are not more than the lag time of 3"):
        estimate_markov_model(np.array([0, 1, 0]), 3, 2)
    one_way = estimate_markov_model(np.array([0] * 9 + [1] * 3), 1, 2)
    assert len(one_way.active) == 1
    with pytest.raises(UndefinedError, match="no two states"):
        flux_correlation(MarkovModel(5, np.array([2]), np.ones((1, 1)), np.ones(1)), FIVE)


def test_flux_correlation_is_one_to_itself_and_falls_with_other_rates():
    same = flux_correlation(FIVE, FIVE)
    assert same.spearman == pytest.approx(1) and same.pearson == pytest.approx(1)
    turned = np.roll(np.roll(P, 2, axis=0), 2, axis=1)
    other = flux_correlation(MarkovModel(5, np.arange(5), turned, np.roll(PI, 2)), FIVE)
    assert other.spearman < 0.5 and other.pearson < 0.7


def test_the_distance_of_path_states_is_that_of_their_frequencies():
    paths = sample_bridges(P, 0, 3, length=11, n_paths=50, rng=np.random.default_rng(2))
    scores = score_paths(paths, FIVE, (0, 3), rng=np.random.default_rng(9), definitions=PUBLISHED)
    reference = sample_bridges(P, 0, 3, length=11, n_paths=1000, rng=np.random.default_rng(9))
    frequencies = [np.bincount(x.ravel(), minlength=5) for x in (paths, reference)]
    assert scores.jsd == pytest.approx(float(js_distance(*frequencies)))
