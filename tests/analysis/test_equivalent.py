"""Equivalent MD time of pieces of the same process, whose length is known."""

import numpy as np
import pytest

from openmm_mdgen.analysis.distances import angle_distance
from openmm_mdgen.analysis.equivalent import OutOfReach, equivalent_md_time, told
from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError
from openmm_mdgen.errors import MDGenError
from torsion_walks import walk

NAMES = ("PSI 0 VAL 1", "PHI 0 SER 2", "PSI 0 SER 2", "PHI 0 ALA 3", "CHI1 0 VAL 1", "CHI1 0 SER 2")


def series(n_frames, seed, interval=2.0):
    return TorsionSeries(NAMES, np.stack(list(walk(n_frames, seed).values()), axis=1).astype(np.float32), interval)


REFERENCE = series(20_000, 0)


def bound(value, otherwise):
    return otherwise if isinstance(value, NotDefined) else value


def piece(of, start, length):
    return TorsionSeries(NAMES, of.angles[start : start + length], of.frame_interval)


def test_an_independent_md_run_is_worth_its_own_length():
    other = series(20_000, 500)
    covered, found = 0, []
    for k, length in enumerate((100, 300, 1000, 3000)):
        for start in (2000 * k, 2000 * k + 10_000):
            result = equivalent_md_time(piece(other, start, length), REFERENCE, n_bootstrap=40)
            found.append(result.time / (2.0 * length))
            covered += bound(result.low, 0) <= 2.0 * length <= bound(result.high, np.inf)
    assert 0.7 < np.exp(np.mean(np.log(found))) < 1.4
    assert max(found) < 4 and min(found) > 0.25
    assert covered >= 3


def test_the_curve_is_the_mean_distance_of_md_to_the_reference_and_falls_with_length():
    replicate = series(4000, 900)
    result = equivalent_md_time(piece(replicate, 0, 300), REFERENCE, replicate=replicate, n_bootstrap=2)
    assert result.lengths[-1] == 8000
    assert np.mean(np.diff(result.distances) < 0) > 0.8
    whole = np.mean([angle_distance(replicate[name], REFERENCE[name]) for name in NAMES])
    assert result.distances[-1] == pytest.approx(whole, abs=1e-10)  # all pieces of the longest length are all of it
    own = np.mean([angle_distance(replicate.angles[:300, k], REFERENCE.angles[:, k]) for k in range(len(NAMES))])
    assert result.distance == pytest.approx(own, abs=1e-10)


def test_order_of_frames_and_of_torsions_does_not_matter():
    ours = series(500, 77)
    shuffled = TorsionSeries(
        NAMES[::-1], np.random.default_rng(0).permutation(ours.angles)[:, ::-1], NotDefined("unknown")
    )
    one, two = (equivalent_md_time(s, REFERENCE, n_bootstrap=5) for s in (ours, shuffled))
    assert (one.time, one.low, one.high) == (two.time, two.low, two.high)


def test_beyond_what_md_can_show_there_is_a_bound_and_no_number():
    best = equivalent_md_time(REFERENCE, REFERENCE, n_bootstrap=5)
    assert "more than 20000 ps" in str(best.time)
    far = TorsionSeries(NAMES, np.full((500, 6), 0.0, np.float32), 2.0)
    worst = equivalent_md_time(far, REFERENCE, n_bootstrap=5)
    assert "less than 20 ps" in str(worst.time) and "less than 20 ps" in str(worst.high)


def test_times_are_told_in_few_words():
    assert [told(x) for x in (303.2, 999.7, 1354.0)] == ["303 ps", "1 ns", "1.35 ns"]
    assert told(OutOfReach("", 10_000.0, above=True)) == "over 10 ns" and told(NotDefined("why")) == "why"
    best = equivalent_md_time(REFERENCE, REFERENCE, n_bootstrap=5)
    assert str(best) == "over 20 ns (over 20 ns to over 20 ns)"


def test_several_runs_tell_as_much_as_half_of_all_of_them():
    """Where that is asked for: a piece that is longer than each run goes on into the next."""
    runs = [piece(REFERENCE, start, 2000) for start in range(0, 20_000, 2000)]
    several = TorsionSeries.joined(runs)
    other, options = series(6000, 500), {"longest": 20_000.0, "n_bootstrap": 20}
    whole, cut = (equivalent_md_time(other, reference, **options) for reference in (REFERENCE, several))
    assert cut.lengths[-1] == whole.lengths[-1] == 20_000.0
    assert equivalent_md_time(other, several, n_bootstrap=2).lengths[-1] == 4000.0
    assert cut.lengths[-2] > 2 * 2000  # in reach of no single run
    assert 0.5 < cut.time / whole.time < 2 and 0.3 < cut.time / 12_000 < 3


def test_short_timeless_and_other_md_is_refused():
    ours = series(300, 5)
    with pytest.raises(UndefinedError, match="fewer than 200 frames"):
        equivalent_md_time(ours, piece(REFERENCE, 0, 150))
    with pytest.raises(UndefinedError, match="no times"):
        equivalent_md_time(ours, TorsionSeries(NAMES, REFERENCE.angles, NotDefined("no times")))
    with pytest.raises(MDGenError, match="different molecules"):
        equivalent_md_time(TorsionSeries(NAMES[:5], ours.angles[:, :5], 2.0), REFERENCE)
