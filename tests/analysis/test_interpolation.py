"""Transition paths and upsampled trajectories, from trajectories to scores."""

import numpy as np
import pytest

from openmm_mdgen.analysis.definitions import Definitions
from openmm_mdgen.analysis.interpolation import PathReference
from openmm_mdgen.analysis.upsampling import compare_upsampling
from openmm_mdgen.errors import MDGenError
from torsion_walks import place, walk

N = 8000


@pytest.fixture(scope="module")
def md():
    return place("VSA", walk(N, 0))


@pytest.fixture(scope="module", params=Definitions)
def reference(request, md):
    return PathReference.fit(md, definitions=request.param, lagtime=10.0, n_clusters=25, n_states=4)


def real_paths(md, reference, length):
    """Pieces of MD that happen to go from the start state to the end state."""
    starts, ends = reference.end_frames()
    return [md[k : k + length] for k in np.intersect1d(starts, ends - (length - 1))]


def test_real_paths_are_possible_and_more_probable_than_jumps_to_the_end(md, reference):
    found = real_paths(md, reference, 101)[::5][:40]
    assert len(found) > 5
    scores = reference.score(found)
    assert scores.valid_rate == 1 and scores.jsd < 0.4
    standing = [path[np.r_[np.zeros(100, int), 100]] for path in found]
    for path in standing:
        path.time = np.arange(101.0)
    jump = reference.score(standing)
    assert jump.mean_probability < scores.mean_probability and jump.jsd > scores.jsd


def test_paths_of_a_renumbered_file_score_alike(md, reference):
    paths = [md[k : k + 101] for k in (0, 500, 900)]
    numbered = [path[:] for path in paths]
    for path in numbered:
        path.topology = md.topology.copy()
        for residue in path.topology.residues:
            residue.resSeq += 30
    assert reference.score(numbered) == reference.score(paths)


def test_a_second_md_run_scores_near_the_reference_and_a_short_one_may_not(md, reference):
    other = place("VSA", walk(N, 4000))
    assert reference.score_md(other).valid_rate == 1
    short = reference.score_md(other, time=15.0)
    assert short.valid_rate == 0 and short.mean_probability == 0


def test_paths_that_do_not_belong_together_are_refused(md, reference):
    for paths in ([], [md[:101], md[:91]]):
        with pytest.raises(MDGenError, match="at least one path"):
            reference.score(paths)
    with pytest.raises(MDGenError, match="different molecules"):
        reference.score([place("VSG", {(0, "PSI"): np.zeros(101)})])


def test_upsampling_is_judged_by_the_fast_motion(md):
    fine = md[:]
    fine.time = 0.1 * np.arange(N)
    found = compare_upsampling(fine, fine, stride=100)
    assert all(torsion.difference == 0 for torsion in found.values())
    psi = found["PSI 0 VAL 1"]
    assert psi.generated.times[0] == pytest.approx(0.1) and psi.coarse.times[0] == pytest.approx(10.0)
    held = fine[np.repeat(np.arange(0, N, 100), 100)]  # nothing put in between
    held.time = fine.time
    worse = compare_upsampling(held, fine, stride=100)
    other = place("VSA", walk(N, 4000), interval=0.1)
    better = compare_upsampling(other, fine, stride=100)
    assert worse["CHI1 0 SER 2"].difference > 3 * better["CHI1 0 SER 2"].difference
    assert worse["CHI1 0 SER 2"].generated.values[0] > worse["CHI1 0 SER 2"].reference.values[0] + 0.1
