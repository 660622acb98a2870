"""Relaxation times and memory of processes that are known."""

import numpy as np
import pytest

from openmm_mdgen.analysis import NotDefined, UndefinedError
from openmm_mdgen.analysis.memory import mean_cosine, memories
from openmm_mdgen.analysis.slow_times import Coordinates, Timescale, slow_times, timescale
from openmm_mdgen.analysis.torsions import TorsionSeries
from torsion_walks import jumps, well_angles

NAMES = ("PSI 0 ALA 1", "PHI 0 ALA 2", "CHI1 0 SER 3", "CHI1 0 SER 4")
LEAVING = ((0.002, 0.003), (0.02, 0.02), (0.1, 0.1), (0.4, 0.4))
EXACT = [-1 / np.log(1 - sum(leaving)) for leaving in LEAVING]  # frames, of a chain of two states


def series(seed, n=40_000, interval=2.0):
    columns = [well_angles(n, (-1.5, 1.5), leaving, seed + k, spread=1e-3) for k, leaving in enumerate(LEAVING)]
    return TorsionSeries(NAMES, np.stack(columns, axis=1).astype(np.float32), interval)


def test_times_are_those_of_jump_processes_and_intervals_hold_them():
    held = 0
    for seed in range(0, 200, 10):
        found = timescale([jumps(8000, LEAVING[1], seed).astype(float)], 10, 20.0, seed=seed)
        held += found.low <= 2.0 * EXACT[1] <= found.high
        assert found.time == pytest.approx(2.0 * EXACT[1], rel=0.35) and found.low < found.time < found.high
    assert held >= 16


def test_several_trajectories_give_the_time_of_one_and_a_lag_does_not_go_from_one_to_the_next():
    whole = jumps(40_000, LEAVING[0], 3).astype(float)
    cut = np.split(whole, 8)
    one, several = timescale([whole], 50, 50.0), timescale(cut, 50, 50.0)
    assert several.time == pytest.approx(one.time, rel=0.03)
    lifted = [run + 100 * k for k, run in enumerate(cut)]  # each stays on its own level, for ever
    assert timescale(lifted, 50, 50.0).time > 100 * one.time


def test_what_is_not_correlated_does_not_move_or_is_too_short_has_no_time():
    noise = np.random.default_rng(0).normal(size=4000)
    quick = timescale([noise], 10, 10.0)
    assert quick.low == 0 and (isinstance(quick.time, NotDefined) or quick.time < 5)
    with pytest.raises(UndefinedError, match="does not move"):
        timescale([np.ones(4000)], 10, 10.0)
    with pytest.raises(UndefinedError, match="too few for a lag time of 100"):
        timescale([noise[:150]], 100, 100.0)


def test_the_slowest_come_first_and_both_sides_have_their_own_frame_intervals():
    md, made = series(0), series(50, n=8000, interval=10.0)
    faster = TorsionSeries(NAMES, md.angles, 1.0)  # all in half the time
    slow = md.angles[:, :1].astype(float)
    found = slow_times(Coordinates(faster, slow), Coordinates(md, slow), 20.0)
    assert list(found) == ["TICA-0", *NAMES[:3]]
    for name, exact in zip(NAMES[:3], EXACT, strict=False):
        assert found[name].reference.time == pytest.approx(2 * exact, rel=0.3)
        assert found[name].generated.time == pytest.approx(found[name].reference.time / 2, rel=0.15)
    thinned = Coordinates(made, NotDefined("no TICA"))
    assert "no whole number" in slow_times(thinned, Coordinates(md, slow), 24.0)[NAMES[0]].generated.why
    assert "no TICA" in str(slow_times(thinned, Coordinates(md, slow), 20.0)["TICA-0"].generated)


def test_memory_is_the_mean_cosine_of_the_angle_turned():
    md = series(0, n=2000)
    turned = [[np.cos(md.angles[t + 50] - md.angles[t])] for t in range(1950)]
    assert mean_cosine(md, 100.0) == pytest.approx(np.mean(turned), abs=1e-6)
    still = TorsionSeries(NAMES, np.tile(md.angles[:1], (300, 1)), 10.0)
    found = memories(still, md)
    assert list(found) == ["10 ps", "100 ps", "490 ps"]
    assert found["10 ps"].generated == 1 and found["490 ps"].reference < found["10 ps"].reference < 1
    short = TorsionSeries.joined([TorsionSeries(NAMES, md.angles[:40], 10.0)] * 20)
    assert "no trajectory is longer than 490 ps" in str(memories(short, md)["490 ps"].generated)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (Timescale(816.2, 511.4, 1464.0), "816 ps (511 to 1,460 ps)"),
        (Timescale(0.1234, 0.0, 1234567.0), "0.123 ps (0 to 1,230,000 ps)"),
        (Timescale(NotDefined("not correlated"), 0.0, 0.0), "none"),
        (Timescale(NotDefined("not correlated"), 0.0, 12.0), "none (0 to 12 ps)"),
    ],
)
def test_times_are_told_in_plain_numbers(found, told):
    assert str(found) == told
