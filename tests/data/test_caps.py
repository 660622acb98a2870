"""Recordings of capped peptides: read from files, cut into windows, and joined with chains of free ends."""

import json

import mdtraj
import numpy as np
import pytest
import torch

from openmm_mdgen.data import Recording, Windows, read_folders, read_recording
from openmm_mdgen.data.recordings import Cut, frames_of
from openmm_mdgen.errors import DataError
from openmm_mdgen.model.tokens import Frames
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.template import AllAtomTemplate
from recorded import recording, write
from structures import capped_peptide, random_torsions


def trajectory(sequence, n_cap, c_cap, n_frames=12):
    """Chains with torsions at random, all atoms, 1 ps apart."""
    topology, positions = capped_peptide(sequence, n_cap, c_cap)
    template = AllAtomTemplate.measure(ProteinChain.from_openmm(topology), positions)
    torsions = random_torsions(n_frames, len(sequence), len(sequence))
    atoms = template.place(template.chain_rigids(torsions), torsions).numpy()
    return mdtraj.Trajectory(atoms, mdtraj.Topology.from_openmm(topology), time=np.arange(n_frames, dtype=float))


def expected(found):
    """Frames of an mdtraj trajectory, by way of all its atoms."""
    chain = ProteinChain.from_openmm(found.topology.to_openmm())
    before = chain.before(found.xyz)
    return Frames.from_atom14(
        torch.from_numpy(chain.aatype)[None],
        chain.atom14(found.xyz)[None],
        torch.from_numpy(chain.termini)[None],
        None if before is None else before[None],
    )


CAPPED = [("A", "ACE", "NME"), ("AKL", "ACE", "NME"), ("LV", "ACE", None), ("PG", None, "NH2"), ("KA", "FOR", "NH2")]


@pytest.mark.parametrize("sequence, n_cap, c_cap", CAPPED)
def test_a_capped_peptide_is_read_with_its_caps(tmp_path, sequence, n_cap, c_cap):
    files = write(tmp_path, "one", trajectory(sequence, n_cap, c_cap))
    for _ in range(2):  # the second time from the array that was kept
        read = read_recording(*files)
        assert (read.sequence, read.n_cap, read.c_cap) == (sequence, n_cap, c_cap)
        frames, should = read.frames, expected(mdtraj.load(str(files[1]), top=str(files[0])))
        assert torch.equal(frames.termini, should.termini) and torch.equal(frames.torsion_mask, should.torsion_mask)
        defined = should.torsion_mask[:, None, ..., None]
        torch.testing.assert_close(frames.torsions * defined, should.torsions * defined, atol=2e-4, rtol=0)


def test_kept_arrays_of_free_chains_stay_valid(tmp_path):
    files = write(tmp_path, "one", trajectory("AG", None, None))
    read = read_recording(*files)
    about = read.positions.path.with_suffix(".json")
    kept = json.loads(about.read_text())
    about.write_text(json.dumps({key: value for key, value in kept.items() if key not in ("n_cap", "c_cap")}))
    stamp = read.positions.path.stat().st_mtime_ns
    again = read_recording(*files)
    assert again.positions.path.stat().st_mtime_ns == stamp and (again.n_cap, again.c_cap) == (None, None)


def test_windows_of_capped_and_free_chains_are_one_batch(tmp_path):
    for number, (sequence, n_cap, c_cap) in enumerate(CAPPED):
        write(tmp_path, f"p{number}", trajectory(sequence, n_cap, c_cap))
    recordings = [*read_folders([tmp_path]), recording("AGV", n_frames=12)]
    batch = Windows(recordings, n_frames=5, frame_interval=1.0).batch(40, np.random.default_rng(0))
    lengths = batch.residue_mask.sum(-1).long()
    seen = {
        (int(n), *batch.termini[row, :n].tolist(), int(batch.torsion_mask[row, 0, 0])) for row, n in enumerate(lengths)
    }
    assert seen == {(1, 3, 1), (3, 1, 0, 2, 1), (2, 1, 0, 1), (2, 0, 2, 0), (2, 1, 2, 1), (3, 0, 0, 0, 0)}
    assert (batch.termini * (1 - batch.residue_mask) == 0).all()
    norms = batch.torsions.norm(dim=-1) * batch.torsion_mask[:, None]
    torch.testing.assert_close(norms, batch.torsion_mask[:, None].expand_as(norms), atol=1e-4, rtol=0)


def test_stretches_of_a_capped_chain_are_capped_where_they_reach_its_ends(tmp_path):
    whole = read_recording(*write(tmp_path, "one", trajectory("AKLVE", "ACE", "NME")))
    full = whole.frames
    cuts = [Cut(whole, slice(0, 12), slice(first, first + 3)) for first in range(3)]
    frames = frames_of(cuts)
    assert frames.termini.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 2]]
    for row, cut in enumerate(cuts):
        torch.testing.assert_close(frames.torsions[row], full.torsions[0, :, cut.residues], atol=2e-4, rtol=0)
        assert torch.equal(frames.torsion_mask[row], full.torsion_mask[0, cut.residues])


def test_a_cap_that_is_torn_off_is_told(tmp_path):
    torn = trajectory("AG", "ACE", "NME")
    torn.xyz[3, :6] += 1.0
    with pytest.raises(DataError, match="frame 3 .*torn"):
        read_recording(*write(tmp_path, "one", torn))


def test_a_recording_in_memory_says_what_its_ends_are():
    positions = np.zeros((3, 3, 14, 3), np.float32)
    positions[:] = np.random.default_rng(0).normal(size=(1, 3, 14, 3))
    frames = Recording("two", "GG", positions, 1.0, n_cap="ACE").frames
    assert frames.termini.tolist() == [[1, 0]] and frames.torsion_mask[0, 0, :2].tolist() == [1, 1]
