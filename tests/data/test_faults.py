"""Bad files are refused by name, with what to do, and what was finished before is kept."""

import json
import resource
import subprocess

import mdtraj
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mdtraj.formats import XTCTrajectoryFile

from openmm_mdgen.data import Windows, read_arrays, read_folders, read_recording
from openmm_mdgen.data.trajectories import TrajectoryFiles, even_interval
from openmm_mdgen.errors import MDGenError
from recorded import numbered, positions_of, timed, write


@pytest.fixture
def files(tmp_path):
    """One peptide, 200 frames."""
    return write(tmp_path, "SLA", numbered("SLA"))


def offsets(xtc):
    with XTCTrajectoryFile(str(xtc)) as file:
        return [int(k) for k in file.offsets]


@pytest.mark.parametrize("cut", [0, 30, 1000, -1, -5, -150])
def test_a_trajectory_that_is_cut_short_is_refused(files, cut):
    pdb, xtc = files
    whole = xtc.read_bytes()
    xtc.write_bytes(whole[:cut])
    with pytest.raises(MDGenError, match=r"SLA\.xtc is no XTC file, or cut short"):
        read_recording(pdb, xtc)


def test_the_message_tells_how_to_keep_the_frames_that_are_whole(files):
    pdb, xtc = files
    xtc.write_bytes(xtc.read_bytes()[: offsets(xtc)[120] + 100])
    with pytest.raises(MDGenError, match=r"after 120 frames .* truncate -s") as refusal:
        read_recording(pdb, xtc)
    command = str(refusal.value).partition("truncate ")[2].split()
    subprocess.run(["truncate", *command], check=True)
    assert read_recording(pdb, xtc).n_frames == 120


def test_a_few_bytes_after_the_last_whole_frame_are_seen(files):
    pdb, xtc = files
    xtc.write_bytes(xtc.read_bytes()[: offsets(xtc)[150] + 10])
    with pytest.raises(MDGenError, match=r"SLA\.xtc .*after 150 frames"):
        TrajectoryFiles(pdb, xtc).check()


def test_a_cut_between_frames_is_seen_where_the_protocol_says_how_many_there_were(files):
    pdb, xtc = files
    xtc.write_bytes(xtc.read_bytes()[: offsets(xtc)[150]])
    assert read_recording(pdb, xtc).n_frames == 150
    xtc.with_name("protocol.json").write_text(json.dumps({"n_frames": 200}))
    with pytest.raises(MDGenError, match=r"SLA\.xtc has 150 frames, but .*protocol\.json says 200"):
        read_recording(pdb, xtc)


def test_damage_within_is_refused_and_leaves_no_array(files):
    pdb, xtc = files
    content, where = bytearray(xtc.read_bytes()), offsets(xtc)[60]
    content[where : where + 2000] = bytes(2000)
    xtc.write_bytes(content)
    with pytest.raises(MDGenError, match=r"SLA\.xtc .*60 frames"):
        read_recording(pdb, xtc)
    folder = xtc.parent / ".openmm_mdgen"
    assert not folder.exists() or not list(folder.iterdir())


def test_a_topology_of_other_atoms_is_refused(files, tmp_path):
    other, _ = write(tmp_path, "AGV", numbered("AGV"))
    with pytest.raises(MDGenError, match=r"SLA\.xtc has \d+ atoms, but .*AGV\.pdb has \d+"):
        read_recording(other, files[1])


def test_a_topology_that_the_model_does_not_take_is_refused(files):
    files[0].write_text(files[0].read_text().replace(" CB  LEU", " XX  LEU"))
    with pytest.raises(MDGenError, match=r"SLA\.pdb: .*CB.*missing"):
        read_recording(*files)
    files[0].write_text("nothing")
    with pytest.raises(MDGenError, match=r"SLA\.pdb"):
        read_recording(*files)


def test_coordinates_that_are_not_finite_are_refused(tmp_path):
    """XTC compresses ten atoms and more, which NaN does not survive; fewer are kept as they are."""
    glycine = numbered("AG")[:20]
    glycine = glycine.atom_slice(glycine.topology.select("resid 1 and element != H"))
    glycine.xyz[13, 2] = np.nan
    pdb, xtc = write(tmp_path, "G", glycine)
    with pytest.raises(MDGenError, match=r"G\.xtc: frame 13 .*not finite"):
        read_recording(pdb, xtc)


def test_a_molecule_that_is_split_across_the_box_is_refused(tmp_path):
    trajectory = numbered("SLA")[:20]
    trajectory.xyz[7, trajectory.topology.select("resid 2")] += 3
    pdb, xtc = write(tmp_path, "SLA", trajectory)
    with pytest.raises(MDGenError, match=r"SLA\.xtc: in frame 7 .*periodic box"):
        read_recording(pdb, xtc)


def test_a_mirrored_residue_is_refused_with_its_file(tmp_path):
    trajectory = numbered("SLA")[:5]
    mirrored = mdtraj.Trajectory(trajectory.xyz * [1, 1, -1], trajectory.topology, time=trajectory.time)
    with pytest.raises(MDGenError, match=r"SLA\.xtc.*mirrored"):
        read_recording(*write(tmp_path, "SLA", mirrored))
    with pytest.raises(MDGenError, match=r"SLA\.xtc, first frame, .*mirrored"):
        TrajectoryFiles(tmp_path / "SLA.pdb", tmp_path / "SLA.xtc").check()  # before any trajectory is read


def test_a_residue_that_is_mirrored_later_is_refused_with_its_frame(tmp_path):
    trajectory = numbered("SLA")[:5]
    trajectory.xyz[3] *= [1, 1, -1]
    with pytest.raises(MDGenError, match=r"SLA\.xtc: in frame 3 \(from 0\) SER 1 of SLA is a D amino acid.*leave this"):
        read_recording(*write(tmp_path, "SLA", trajectory))


@pytest.mark.parametrize(
    ("times", "where"),
    [
        ([0, 1, 2, 4, 5, 6], "2 ps between frames 2 and 3"),  # one is missing
        ([0, 1, 2, 2, 3, 4], "0 ps between frames 2 and 3"),  # one was written twice
        ([0, 1, 2, 3, 5, 7], "2 ps between frames 3 and 4"),
        ([0, 0, 0, 0], "0 ps between"),
        ([3, 2, 1], "-1 ps between"),
    ],
)
def test_frames_that_are_not_evenly_spaced_are_refused(tmp_path, times, where):
    pdb, xtc = write(tmp_path, "SLA", timed(numbered("SLA"), times))
    with pytest.raises(MDGenError, match=rf"SLA\.xtc: .*not evenly spaced in time: {where}"):
        read_recording(pdb, xtc)


def test_one_frame_is_no_trajectory(tmp_path):
    with pytest.raises(MDGenError, match=r"SLA\.xtc has one frame"):
        read_recording(*write(tmp_path, "SLA", numbered("SLA")[:1]))


@given(
    interval=st.sampled_from([0.1, 0.2, 1.0, 10.0, 400.0]),
    first=st.integers(0, 100_000),
    n=st.integers(4, 3000),
    missing=st.integers(1, 2998),
)
def test_rounded_times_are_even_and_a_missing_frame_is_seen(interval, first, n, missing):
    """Files hold times in float32: 100 ns have a resolution of 0.008 ps."""
    times = (interval * (first + np.arange(n))).astype(np.float32)
    assert even_interval(times, "x.xtc") == pytest.approx(interval, rel=0.02)
    with pytest.raises(MDGenError, match=r"x\.xtc"):
        even_interval(np.delete(times, min(missing, n - 2)), "x.xtc")


def test_a_protocol_that_disagrees_is_refused(files):
    protocol = files[1].with_name("protocol.json")
    protocol.write_text(json.dumps({"frame_interval": 2.0}))
    with pytest.raises(MDGenError, match=r"SLA\.xtc has a frame each 1 ps, but .*protocol\.json says 2"):
        read_recording(*files)
    protocol.write_text("{")
    with pytest.raises(MDGenError, match=r"protocol\.json is not JSON"):
        read_recording(*files)


@pytest.mark.parametrize(("gone", "other"), [("pdb", "xtc"), ("xtc", "pdb")])
def test_a_file_without_its_other_is_refused(files, gone, other):
    files[0].with_suffix(f".{gone}").unlink()
    with pytest.raises(MDGenError, match=rf"SLA\.{other} has no NAME\.{gone}"):
        read_folders([files[0].parent])
    with pytest.raises(MDGenError, match=rf"SLA\.{gone} cannot be read"):
        read_recording(*files)


def test_folders_without_trajectories_are_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(MDGenError, match=r"no NAME\.pdb with NAME\.xtc"):
            read_folders([folder])


def test_all_are_looked_at_before_the_first_is_read_and_what_is_read_is_kept(tmp_path):
    write(tmp_path, "AGV", numbered("AGV"))
    torn = numbered("SLA")[:20]
    torn.xyz[7, torn.topology.select("resid 2")] += 3  # seen only when it is read
    _, xtc = write(tmp_path, "SLA", torn)
    kept, content = tmp_path / ".openmm_mdgen", xtc.read_bytes()
    xtc.write_bytes(content[:-3])
    with pytest.raises(MDGenError, match=r"SLA\.xtc"):
        read_folders([tmp_path])
    assert not kept.exists()
    xtc.write_bytes(content)
    with pytest.raises(MDGenError, match=r"SLA\.xtc: in frame 7"):
        read_folders([tmp_path])
    assert sorted(path.name for path in kept.iterdir()) == ["AGV.json", "AGV.npy"]


def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path):
    write(tmp_path, "AGV", numbered("AGV")[:20])  # 10 kB
    write(tmp_path, "SLA", numbered("SLA"))  # 101 kB
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(MDGenError, match=r"SLA\.npy cannot be written: .*make room"):
            read_folders([tmp_path])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(path.name for path in (tmp_path / ".openmm_mdgen").iterdir()) == ["AGV.json", "AGV.npy"]
    assert [r.n_frames for r in read_folders([tmp_path])] == [20, 200]


def broken(change, dtype=np.float16):
    atoms = positions_of("SLA")[:10].astype(dtype)
    return change(atoms)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (broken(lambda x: x[:, :, :4]), r"float16 of shape \(10, 3, 4, 3\): it has to be"),
        (broken(lambda x: x[0]), r"of shape \(3, 14, 3\): it has to be"),
        (broken(lambda x: x[:0]), r"of shape \(0, 3, 14, 3\)"),
        (broken(lambda x: x.astype(np.int16)), "holds int16"),
        (broken(lambda x: x.astype(object)), "cannot be read as an array"),
        (broken(lambda x: x[:, :2]), r"has 2 residues, but its sequence is SLA \(3\)"),
        (broken(lambda x: x[:, ::-1]), "atoms of residue 1 are not those of S in SLA"),
        (broken(lambda x: x / 10, np.float32), "have to be in ångström"),
        (broken(lambda x: np.where(np.arange(10)[:, None, None, None] == 9, np.nan, x)), "frame 9 .*not finite"),
        (broken(lambda x: x + np.float16(40) * (x != 0) * (np.arange(3) == 2)[:, None, None]), "has a gap"),
        (broken(lambda x: x * np.array([1, 1, -1], np.float16)), "in frame 0 .*SER 1 of SLA is a D amino acid"),
    ],
)
def test_arrays_of_another_kind_are_refused(tmp_path, array, message):
    np.save(tmp_path / "SLA.npy", array)
    with pytest.raises(MDGenError, match=rf"SLA\.npy.*{message}"):
        read_arrays(tmp_path, {"SLA": "SLA"}, interval=1.0)


def test_arrays_that_are_missing_or_cut_short_are_refused(tmp_path):
    with pytest.raises(MDGenError, match=r"no array .*_i100\.npy of a, b, c, d, e and 1 more"):
        read_arrays(tmp_path, dict.fromkeys("abcdef", "SLA"), interval=1.0, suffix="_i100")
    with pytest.raises(MDGenError, match="interval"):
        read_arrays(tmp_path, {"SLA": "SLA"}, interval=0.0)
    np.save(tmp_path / "SLA.npy", broken(lambda x: x))
    with pytest.raises(MDGenError, match=r"SLA\.npy: sequence .*X"):
        read_arrays(tmp_path, {"SLA": "SXA"}, interval=1.0)
    (tmp_path / "SLA.npy").write_bytes((tmp_path / "SLA.npy").read_bytes()[:-100])
    with pytest.raises(MDGenError, match=r"SLA\.npy cannot be read"):
        read_arrays(tmp_path, {"SLA": "SLA"}, interval=1.0)


def test_a_frame_within_an_array_that_is_not_finite_is_named_when_it_is_met(tmp_path):
    atoms = broken(lambda x: x)
    atoms[6, 1, 1, 0] = np.inf
    np.save(tmp_path / "SLA.npy", atoms)
    windows = Windows(read_arrays(tmp_path, {"SLA": "SLA"}, interval=1.0), n_frames=4, frame_interval=3.0)
    with pytest.raises(MDGenError, match=r"SLA\.npy: frame 6 .*not finite"):
        windows.batch(1, np.random.default_rng(0))
