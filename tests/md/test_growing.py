"""Trajectory files that grow: what is whole is kept, what is torn is noticed and cut off."""

import mdtraj
import numpy as np
import pytest

from openmm_mdgen.errors import CheckpointError
from openmm_mdgen.md.growing import Timing
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.trajectory_files import growing

TIMING = Timing(0.004, 2500, 2500)


def frames_of(topology, n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, topology.getNumAtoms(), 3))


@pytest.mark.parametrize("suffix", [".dcd", ".xtc", ".trr", ".nc"])
@pytest.mark.parametrize("sequence", ["AG", "ACE-A-NME"])
def test_a_file_that_is_cut_back_and_goes_on_is_the_whole_one(tmp_path, suffix, sequence):
    topology, _ = build_peptide(sequence)
    frames = frames_of(topology, 7)
    whole = growing(tmp_path / f"whole{suffix}", topology, TIMING)
    for frame in frames:
        whole.write(frame)
    whole.flush()
    whole.close()
    path = tmp_path / f"cut{suffix}"
    cut = growing(path, topology, TIMING)
    for frame in frames[:3]:
        cut.write(frame)
    extent = cut.flush()
    cut.write(frames[0])
    with open(path, "ab") as file:
        file.write(b"torn")
    cut = growing(path, topology, TIMING, extent)
    assert cut.flush() == extent and path.stat().st_size == extent.size
    for frame in frames[3:]:
        cut.write(frame)
    assert cut.flush().n_frames == 7
    cut.write(frames[0])
    cut.close()  # what was not flushed is cut off
    after = 92 if suffix == ".dcd" else 0  # of a header that holds the date
    read = [
        mdtraj.load(tmp_path / f"{name}{suffix}", top=mdtraj.Topology.from_openmm(topology))
        for name in ("whole", "cut")
    ]
    assert (
        read[1].n_frames == 7
        and np.array_equal(read[0].xyz, read[1].xyz)
        and np.array_equal(read[0].time, read[1].time)
    )
    for start, end in ((0, after), (276 if after else 0, None)):
        assert (tmp_path / f"whole{suffix}").read_bytes()[start:end] == path.read_bytes()[start:end]


def test_frames_that_the_disk_does_not_take_are_noticed(tmp_path):
    topology, _ = build_peptide("AG")
    file = growing(tmp_path / "a.xtc", topology, TIMING)
    for frame in frames_of(topology, 3):
        file.write(frame)
    with open(file.path, "r+b") as stream:  # as OpenMM leaves it on a full disk, without a word
        stream.truncate(file.path.stat().st_size - 10)
    with pytest.raises(OSError, match="a.xtc: frames could not be written; is the disk full?"):
        file.flush()


@pytest.mark.parametrize("suffix", [".dcd", ".xtc", ".trr", ".nc"])
def test_another_file_is_told_from_ours(tmp_path, suffix):
    topology, _ = build_peptide("AG")
    extents = []
    for k in range(2):
        file = growing(tmp_path / f"{k}{suffix}", topology, TIMING)
        for frame in frames_of(topology, 3, seed=k):
            file.write(frame)
        extents.append(file.flush())
        file.close()
    extents[0].require(tmp_path / f"0{suffix}")
    with pytest.raises(CheckpointError, match="is not as the run left it"):
        extents[0].require(tmp_path / f"1{suffix}")
    with pytest.raises(CheckpointError, match="is no longer there"):
        extents[0].require(tmp_path / f"2{suffix}")
