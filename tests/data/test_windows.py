"""Windows are what they say of the recordings they are cut from."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm_mdgen.data import Recording, Windows
from openmm_mdgen.data.recordings import Cut, frames_of
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.geometry import residues
from openmm_mdgen.geometry.atom14 import atom14_from_rigids, torsions
from openmm_mdgen.model.tokens import Frames
from recorded import TURN, numbered, numbers, positions_of, recording
from structures import random_rigids, random_torsions

LONG = "GAVLKSEF"


def draw(windows, n, seed=0):
    return windows.batch(n, np.random.default_rng(seed))


@settings(max_examples=40)
@given(
    n_frames=st.integers(2, 12),
    stride=st.integers(1, 9),
    spare=st.integers(0, 40),
    time_reversal=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_windows_are_evenly_spaced_stretches_of_one_trajectory(n_frames, stride, spare, time_reversal, seed):
    sequences = ("AG", "AGV", "SLA")
    n = (n_frames - 1) * stride + 1
    recordings = [recording(s, n_frames=n + spare + k, interval=0.1) for k, s in enumerate(sequences)]
    windows = Windows(recordings, n_frames=n_frames, frame_interval=0.1 * stride, time_reversal=time_reversal)
    batch = draw(windows, 16, seed)
    lengths = {s: r.n_frames for s, r in zip(sequences, recordings, strict=True)}
    for found, types, mask in zip(numbers(batch), batch.aatype, batch.residue_mask, strict=True):
        sequence = "".join(residues.RESTYPES[k] for k in types[mask > 0])
        steps = set(np.diff(found.numpy()).tolist())
        assert steps == {stride} or (time_reversal and steps == {-stride})
        assert found.min() >= 0 and found.max() < lengths[sequence]


def test_every_start_is_drawn_and_half_of_the_windows_are_turned_round():
    windows = Windows([recording("AG", n_frames=13)], n_frames=4, frame_interval=3.0)
    found = numbers(draw(windows, 400))
    firsts = found.min(dim=1).values
    assert torch.bincount(firsts).tolist() == pytest.approx([400 / 4] * 4, abs=45)  # 5 standard deviations
    assert (found[:, 0] > found[:, 1]).float().mean() == pytest.approx(0.5, abs=0.125)


def test_a_recording_that_is_one_window_long_is_used():
    windows = Windows([recording("AG", n_frames=5)], n_frames=5, frame_interval=1.0, time_reversal=False)
    assert numbers(draw(windows, 3)).tolist() == [[0, 1, 2, 3, 4]] * 3


def test_every_recording_is_drawn():
    windows = Windows([recording("AG"), recording("SLA")], n_frames=2, frame_interval=1.0)
    assert draw(windows, 200).residue_mask.sum(dim=1).eq(2).float().mean() == pytest.approx(0.5, abs=0.18)


def test_a_frame_is_the_same_in_every_window_and_batch():
    whole = recording(LONG).frames
    windows = Windows(
        [recording(LONG), recording("AG")], n_frames=7, frame_interval=3.0, time_reversal=False, max_residues=8
    )
    batch = draw(windows, 12)
    for found, row, mask in zip(numbers(batch), batch.torsions, batch.residue_mask, strict=True):
        if mask.all():
            assert torch.equal(row, whole.torsions[0, found])


def test_a_batch_depends_on_the_random_numbers_alone():
    windows = Windows([recording("AG"), recording(LONG)], n_frames=4, frame_interval=2.0, max_residues=5)
    first, again, other = draw(windows, 6, 1), draw(pickle.loads(pickle.dumps(windows)), 6, 1), draw(windows, 6, 2)
    assert torch.equal(first.rigids.translation, again.rigids.translation)
    assert not torch.equal(first.torsions, other.torsions)


@settings(max_examples=25)
@given(max_residues=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_padding_is_masked_and_empty_and_changes_nothing_else(max_residues, seed):
    recordings = [recording(s) for s in ("AG", "SLA", LONG)]
    windows = Windows(recordings, n_frames=3, frame_interval=5.0, max_residues=max_residues)
    batch = draw(windows, 8, seed)
    cuts = [windows.draw(rng, int(k)) for rng in [np.random.default_rng(seed)] for k in rng.integers(3, size=8)]
    lengths = [min(len(cut.recording.sequence), max_residues) for cut in cuts]
    assert batch.aatype.shape[1] == max(lengths) <= windows.n_residues == min(max_residues, len(LONG))
    unsuperposed = frames_of(cuts)
    for row, (cut, n) in enumerate(zip(cuts, lengths, strict=True)):
        assert batch.residue_mask[row].tolist() == [1.0] * n + [0.0] * (batch.aatype.shape[1] - n)
        assert (batch.aatype[row, n:] == residues.UNKNOWN).all()
        assert not batch.torsion_mask[row, n:].any() and not batch.torsions[row, :, n:].any()
        for rigids in (batch.rigids[row, :, n:], unsuperposed.rigids[row, :, n:]):
            assert torch.equal(rigids.rotation, torch.eye(3).expand_as(rigids.rotation))
            assert not rigids.translation.any()
        alone = frames_of([cut])
        assert torch.equal(unsuperposed.rigids.translation[row, :, :n], alone.rigids.translation[0])
        assert torch.equal(unsuperposed.torsions[row, :, :n], alone.torsions[0])
        assert torch.equal(unsuperposed.torsion_mask[row, :n], alone.torsion_mask[0])


def test_a_stretch_within_a_chain_keeps_the_torsions_to_the_residue_before():
    chain = recording(LONG)
    positions = torch.as_tensor(chain.positions[:6])[None]
    whole = Frames.from_atom14(torch.from_numpy(chain.aatype)[None], positions)
    for first in range(len(LONG) - 3):
        cut = frames_of([Cut(chain, slice(0, 6), slice(first, first + 4))])
        defined = whole.torsion_mask[:, first : first + 4]
        assert torch.equal(cut.torsion_mask, defined) and torch.equal(cut.aatype, whole.aatype[:, first : first + 4])
        expected = whole.torsions[:, :, first : first + 4] * defined[:, None, ..., None]
        torch.testing.assert_close(cut.torsions * defined[:, None, ..., None], expected, atol=2e-5, rtol=0)


def test_every_stretch_of_a_long_chain_is_drawn():
    windows = Windows([recording(LONG)], n_frames=2, frame_interval=1.0, max_residues=5)
    starts = {windows.draw(rng, 0).residues.start for rng in [np.random.default_rng(0)] for _ in range(100)}
    assert starts == {0, 1, 2, 3}


def test_torsions_are_those_of_the_geometry_layer_for_all_residue_types():
    sequence = residues.RESTYPES
    aatype = torch.as_tensor(residues.aatype_from_sequence(sequence))
    atoms = atom14_from_rigids(aatype, random_rigids(9, 20, 0), random_torsions(9, 20, 1))
    atoms = (atoms - atoms.sum((1, 2), keepdim=True) / int((atoms != 0).any(-1)[0].sum())) * (atoms != 0)
    frames = Recording("all", sequence, atoms.numpy(), 1.0).frames
    expected = torsions(aatype.expand(9, 20), atoms)
    away = frames.torsions - expected[None]
    away[:, :, 0, 0] = 0  # pre-omega of the first residue: rounding noise by its definition
    assert away.abs().max() < 1e-4


def test_where_a_molecule_lies_does_not_matter():
    here = recording("AGV").frames
    atoms = positions_of("AGV")
    far = np.where(atoms != 0, atoms + np.float32([300, -200, 100]), 0)
    there = Recording("far", "AGV", far.astype(np.float32), 1.0).frames
    torch.testing.assert_close(there.torsions[:, :, 1:], here.torsions[:, :, 1:], atol=1e-3, rtol=0)
    torch.testing.assert_close(there.rigids.translation, here.rigids.translation, atol=1e-4, rtol=0)


def test_windows_that_do_not_fit_are_refused():
    recordings = [recording("AG", n_frames=10, interval=0.5)]
    with pytest.raises(MDGenError, match="AG lasts 5 ps.*record more"):
        Windows(recordings, n_frames=11, frame_interval=0.5)
    Windows(recordings, n_frames=3, frame_interval=0.5004)  # times in files are rounded
    for interval in (0.75, 0.25):
        with pytest.raises(MDGenError, match="not a multiple"):
            Windows(recordings, n_frames=3, frame_interval=interval)
    with pytest.raises(MDGenError, match="no recordings"):
        Windows([], n_frames=3, frame_interval=0.5)


def test_the_numbered_frames_are_told_apart():
    assert numbers(recording("AG").frames).tolist() == [list(range(TURN))]
    many = Recording("many", "AG", np.concatenate([positions_of("AG")] * 21), 1.0)
    assert numbers(many.frames).tolist() == [list(range(TURN)) * 21], "they are gathered piece by piece"
    assert numbered("AG").n_frames == TURN
