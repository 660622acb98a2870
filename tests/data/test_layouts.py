"""Trajectories are found in every layout, read as what they are, and kept on disk."""

import os
import resource
import shutil

import mdtraj
import numpy as np
import pytest
from mdtraj.core import element

from openmm_mdgen.data import Windows, read_arrays, read_folders, read_recording
from openmm_mdgen.data.recordings import StoredPositions
from openmm_mdgen.errors import MDGenError
from recorded import TURN, numbered, numbers, positions_of, write


def array_of(folder, name, sequence, *, n_frames=TURN, shift=0.0):
    """As prepared arrays are: float16, not centred."""
    atoms = positions_of(sequence)[:n_frames]
    path = folder / f"{name}.npy"
    np.save(path, np.where(atoms != 0, atoms + np.float32(shift), 0).astype(np.float16))
    return path


def found(recordings):
    return [(r.name, r.sequence, r.n_frames, round(r.interval, 6)) for r in recordings]


def test_trajectories_lie_flat_or_in_folders_of_their_own(tmp_path):
    write(tmp_path, "first", numbered("AGV"))
    write(tmp_path / "SLA_0", "SLA_0", numbered("SLA", interval=0.1))
    write(tmp_path / "SLA_1", "SLA_1", numbered("SLA", interval=0.1)[:50])
    (tmp_path / "SLA_0" / "protocol.json").write_text('{"frame_interval": 0.1, "n_frames": 200}')
    (tmp_path / "notes").mkdir()
    (tmp_path / ".AGV.77.partial.xtc").write_text("in progress")
    expected = [("first", "AGV", 200, 1.0), ("SLA_0", "SLA", 200, 0.1), ("SLA_1", "SLA", 50, 0.1)]
    assert found(read_folders([tmp_path])) == expected
    assert found(read_folders([tmp_path])) == expected, "what was kept differs from what was read"
    assert found(read_folders([tmp_path / "SLA_1"])) == expected[2:]


def test_replicas_of_proteins_lie_beside_one_structure(tmp_path):
    for k in (1, 2, 3):
        write(tmp_path / "1abc_A", "1abc_A", numbered("AGV")[: 10 * k], stem=f"1abc_A_prod_R{k}_fit")
    recordings = read_folders([tmp_path])
    assert [r.n_frames for r in recordings] == [10, 20, 30]
    assert {r.sequence for r in recordings} == {"AGV"}
    assert found(read_folders([tmp_path / "1abc_A"])) == found(recordings)


def test_sequences_are_chosen_before_anything_is_read(tmp_path):
    for sequence in ("AGV", "SLA", "AG"):
        write(tmp_path, sequence, numbered(sequence)[:10])
    (tmp_path / "AGV.xtc").write_text("not read")
    assert [r.sequence for r in read_folders([tmp_path], excluded={"AGV"})] == ["AG", "SLA"]
    assert [r.sequence for r in read_folders([tmp_path], only={"SLA"})] == ["SLA"]
    with pytest.raises(MDGenError, match="3 of sequences that are left out"):
        read_folders([tmp_path], only={"WWW"})


def test_prepared_arrays_are_read_by_name_and_suffix(tmp_path):
    array_of(tmp_path, "SLA_i100", "SLA")
    for k in (1, 2, 3):
        array_of(tmp_path, f"1abc_A_R{k}_i100", "AGV", n_frames=20 * k)
    split = {"SLA": "SLA", "1abc_A": "AGV"}
    recordings = read_arrays(tmp_path, split, interval=10.0, suffix="_i100")
    names = ["SLA_i100", "1abc_A_R1_i100", "1abc_A_R2_i100", "1abc_A_R3_i100"]
    expected = list(zip(names, ["SLA", "AGV", "AGV", "AGV"], [200, 20, 40, 60], [10.0] * 4, strict=True))
    assert found(recordings) == expected
    assert found(read_arrays(tmp_path, split, interval=10.0, suffix="_i100", excluded={"AGV"})) == expected[:1]
    windows = Windows(recordings, n_frames=5, frame_interval=30.0)
    steps = np.abs(np.diff(numbers(windows.batch(16, np.random.default_rng(0))).numpy()))
    assert np.abs(steps - 3).max() <= 1, "half precision moves a torsion by more than one place"


def test_half_precision_and_place_leave_the_molecule_as_it_is(tmp_path):
    array_of(tmp_path, "SLA", "SLA", shift=12.0)
    write(tmp_path, "SLA", numbered("SLA"))
    rough, exact = read_arrays(tmp_path, {"SLA": "SLA"}, interval=1.0)[0], read_folders([tmp_path])[0]
    away = (rough.frames.torsions - exact.frames.torsions)[:, :, 1:].abs()
    assert 1e-4 < away.max() < 0.05  # 0.008 Å, the resolution of float16 there, over bonds of 1.5 Å


@pytest.mark.parametrize("sequence", ["AKLV", "PWCG", "HIDR"])
def test_torsions_are_those_that_mdtraj_measures(tmp_path, sequence):
    trajectory = numbered(sequence)
    write(tmp_path, sequence, trajectory)
    trajectory = mdtraj.load(str(tmp_path / f"{sequence}.xtc"), top=str(tmp_path / f"{sequence}.pdb"))
    torsions, chis = read_folders([tmp_path])[0].frames.torsions[0], trajectory.topology
    compute = {1: mdtraj.compute_phi, 3: mdtraj.compute_chi1, 4: mdtraj.compute_chi2, 5: mdtraj.compute_chi3}
    for kind, measure in compute.items():
        atoms, angles = measure(trajectory)
        for four, angle in zip(atoms, angles.T, strict=True):
            ours = torsions[:, chis.atom(int(four[2])).residue.index, kind].numpy()
            np.testing.assert_allclose(ours, np.stack([np.sin(angle), np.cos(angle)], -1), atol=2e-4)
    _, psi = mdtraj.compute_psi(trajectory)  # to the next nitrogen; ours is to oxygen, across a flat carbon
    ours = np.arctan2(*torsions[:, : len(sequence) - 1, 2].numpy().transpose(2, 0, 1))
    assert np.abs(np.angle(np.exp(1j * (ours - psi)))).max() < 0.1


def test_water_ions_and_hydrogens_are_left_out(tmp_path):
    peptide = numbered("AGV")[:5]
    topology = peptide.topology.copy()
    chain = topology.add_chain()
    for name, atoms in (("HOH", ("O", "H1", "H2")), ("CL", ("CL",))):
        residue = topology.add_residue(name, chain)
        for atom in atoms:
            topology.add_atom(atom, element.get_by_symbol({"CL": "Cl"}.get(atom, atom[0])), residue)
    others = np.random.default_rng(0).normal(size=(5, 4, 3))
    solvated = mdtraj.Trajectory(np.concatenate([peptide.xyz, others], axis=1), topology, time=np.arange(5.0))
    write(tmp_path / "wet", "wet", solvated)
    write(tmp_path / "dry", "dry", peptide)
    write(tmp_path / "heavy", "heavy", peptide.atom_slice(peptide.topology.select("element != H")))
    dry, heavy, wet = read_folders([tmp_path])
    for other in (heavy, wet):
        assert other.sequence == "AGV"
        np.testing.assert_allclose(other.frames.torsions[:, :, 1:], dry.frames.torsions[:, :, 1:], atol=5e-3)


def test_names_as_gromacs_and_charmm_write_them_are_known(tmp_path):
    pdb, xtc = write(tmp_path, "HIL", numbered("HIL")[:5])
    expected = read_recording(pdb, xtc).frames
    text = pdb.read_text()
    for ours, theirs in (
        (" CD1 ILE", " CD  ILE"),
        ("HIS", "HSD"),
        (" O   LEU", " OT1 LEU"),
        (" OXT LEU", " OT2 LEU"),
        (" H   ", " HN  "),
        (" H2  HSD", " HT2 HSD"),
    ):
        assert ours in text
        text = text.replace(ours, theirs)
    pdb.write_text(text)
    recording = read_recording(pdb, xtc)
    assert recording.sequence == "HIL"
    assert np.array_equal(recording.frames.torsions, expected.torsions)


def test_only_what_a_window_asks_for_is_in_memory(tmp_path):
    write(tmp_path, "SLA", numbered("SLA"))
    recording = read_folders([tmp_path])[0]
    assert isinstance(recording.positions, StoredPositions)
    backing = recording.positions[2:5]
    while not isinstance(backing, np.memmap):
        backing = backing.base
        assert backing is not None, "a copy, not a map"


def test_arrays_are_made_once_and_again_when_a_source_changes(tmp_path):
    pdb, xtc = write(tmp_path, "SLA", numbered("SLA"))
    first = read_recording(pdb, xtc)
    kept = tmp_path / ".openmm_mdgen" / "SLA.npy"
    made = kept.stat().st_mtime_ns
    assert found([read_recording(pdb, xtc)]) == found([first]) and kept.stat().st_mtime_ns == made
    write(tmp_path, "SLA", numbered("SLA")[:70])
    assert read_recording(pdb, xtc).n_frames == 70
    assert first.positions[199:200].shape == (1, 3, 14, 3), "an array in use was changed under its reader"
    kept.with_suffix(".json").unlink()  # stopped between the array and its description
    assert read_recording(pdb, xtc).n_frames == 70
    kept.unlink()
    assert read_recording(pdb, xtc).n_frames == 70
    assert sorted(path.name for path in kept.parent.iterdir()) == ["SLA.json", "SLA.npy"]


def test_arrays_of_folders_that_cannot_be_written_go_to_the_users_cache(tmp_path, monkeypatch):
    pdb, xtc = write(tmp_path / "data", "SLA", numbered("SLA")[:10])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pdb.parent.chmod(0o555)
    try:
        assert read_recording(pdb, xtc).n_frames == 10
        assert not (pdb.parent / ".openmm_mdgen").exists()
    finally:
        pdb.parent.chmod(0o755)
    assert len(list((tmp_path / "cache" / "openmm_mdgen").glob("*/SLA.npy"))) == 1


def test_arrays_go_where_the_user_says(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENMM_MDGEN_CACHE", str(tmp_path / "cache"))
    for folder in ("first", "second"):  # of one name, kept apart
        assert read_recording(*write(tmp_path / folder, "SLA", numbered("SLA")[:10])).n_frames == 10
        assert not (tmp_path / folder / ".openmm_mdgen").exists()
    assert len(list((tmp_path / "cache").glob("*/SLA.npy"))) == 2


def test_more_recordings_than_files_may_be_open(tmp_path):
    original = array_of(tmp_path, "SLA", "SLA", n_frames=5)
    names = [f"s{k}" for k in range(400)]
    for name in names:
        shutil.copy(original, tmp_path / f"{name}.npy")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 300, limits[1]))
    try:
        recordings = read_arrays(tmp_path, dict.fromkeys(names, "SLA"), interval=1.0)
        assert sum(r.positions[0:1].shape[0] for r in recordings) == 400
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
