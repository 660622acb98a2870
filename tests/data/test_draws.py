"""Batches of near lengths."""

from collections import Counter

import numpy as np
import pytest

from openmm_mdgen.data import Recording, Windows
from openmm_mdgen.data.draws import NearLengths

LENGTHS = [4] * 30 + [1, 2, 3, 5, 6, 6, 8, 9, 10, 10] * 3


@pytest.mark.parametrize(("allowed", "groups"), [(0.0, 9), (0.05, 7), (0.6, 1)])
def test_groups_keep_to_the_padding_that_is_allowed(allowed, groups):
    draw = NearLengths(LENGTHS, allowed)
    assert len(draw.groups) == groups and sorted(np.concatenate(draw.groups)) == list(range(len(LENGTHS)))
    rng = np.random.default_rng(0)
    batches = [np.array(LENGTHS)[draw(32, rng)] for _ in range(2000)]
    padding = 1 - sum(b.sum() for b in batches) / sum(b.max() * len(b) for b in batches)
    assert padding <= allowed


def test_every_recording_is_drawn_as_often_as_any_other():
    draw, rng = NearLengths(LENGTHS, 0.05), np.random.default_rng(1)
    counts = Counter(int(k) for _ in range(6000) for k in draw(10, rng))
    assert set(counts) == set(range(len(LENGTHS)))
    # A batch has one group, so counts scatter more than single draws would: groups of 3 of 60 are drawn 300 times.
    assert max(counts.values()) < 1.25 * 1000 and min(counts.values()) > 0.75 * 1000


def test_windows_of_near_lengths_have_little_padding():
    rng = np.random.default_rng(2)
    recordings = [
        Recording(s, s, rng.normal(size=(5, len(s), 14, 3)).astype(np.float32), 1.0) for s in ("A", "GA", "GAG", "GAGA")
    ]
    plain, near = (Windows(recordings, n_frames=3, frame_interval=1.0, max_padding=padding) for padding in (None, 0.0))
    assert any(plain.batch(6, rng).residue_mask.min() == 0 for _ in range(5))
    batches = [near.batch(6, rng) for _ in range(20)]
    assert all(batch.residue_mask.min() == 1 for batch in batches)
    assert {batch.aatype.shape[1] for batch in batches} == {1, 2, 3, 4}
