"""Folders of MD in every format that the package writes: read alike, and bad files refused with what to do."""

import importlib.util
import json
import struct

import numpy as np
import pytest
from mdtraj.formats import NetCDFTrajectoryFile

from openmm_mdgen.analysis.folders import pairs
from openmm_mdgen.data import read_folders, read_recording
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.growing import Timing
from openmm_mdgen.md.trajectory_files import write_trajectory
from openmm_mdgen.trajectory_formats import FORMATS, NAMES
from recorded import numbered, write

NEEDS_TABLES = pytest.mark.skipif(importlib.util.find_spec("tables") is None, reason="HDF5 needs PyTables")
OTHERS = [pytest.param(f, marks=NEEDS_TABLES if f == ".h5" else []) for f in FORMATS if f != ".xtc"]
TIMING = Timing(0.004, 250, 500)  # a frame each picosecond, the first at 2 ps


def made(folder, ending, n_frames=200):
    """A peptide's files, as `simulate` writes them."""
    trajectory = numbered("SLA")[:n_frames]
    pdb, xtc = write(folder, "SLA", trajectory)
    path = xtc.with_suffix(ending)
    if ending != ".xtc":
        write_trajectory(path, trajectory.topology.to_openmm(), trajectory.xyz.astype(float), TIMING)
        xtc.unlink()
    return pdb, path


@pytest.mark.parametrize("ending", OTHERS)
def test_every_format_is_read_as_xtc_is(tmp_path, ending):
    rounded = read_recording(*made(tmp_path / "xtc", ".xtc"))
    files = made(tmp_path / "other", ending)
    [other] = read_folders([tmp_path / "other"])
    assert (other.name, other.sequence, other.n_frames) == ("SLA", "SLA", 200)
    assert other.interval == pytest.approx(1.0, rel=1e-6)
    np.testing.assert_allclose(other.positions[:], rounded.positions[:], atol=0.011)  # Å: what XTC rounds
    kept = sorted(path.name for path in (tmp_path / "other" / ".openmm_mdgen").iterdir())
    assert kept == [f"SLA{ending}.json", f"SLA{ending}.npy"]
    assert read_recording(*files).n_frames == 200
    assert pairs(tmp_path / "other")["SLA"] == files


@pytest.mark.parametrize("ending", OTHERS)
def test_what_is_cut_short_is_refused(tmp_path, ending):
    pdb, path = made(tmp_path, ending)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 50])
    with pytest.raises(MDGenError, match=rf"SLA\{ending} is no {NAMES[ending]} file, or cut short or damaged after"):
        read_recording(pdb, path)
    assert not list(tmp_path.glob(".openmm_mdgen/*"))


def test_frames_that_the_header_counts_have_to_be_there(tmp_path):
    pdb, dcd = made(tmp_path, ".dcd")
    frame = (dcd.stat().st_size - 276) // 200
    dcd.write_bytes(dcd.read_bytes()[: 276 + 150 * frame])
    with pytest.raises(MDGenError, match=r"after 150 frames \(its header counts 200 frames, and 150 are there\)"):
        read_recording(pdb, dcd)


def test_a_dcd_file_without_times_takes_those_that_are_stated_beside_it(tmp_path):
    pdb, dcd = made(tmp_path, ".dcd")
    content = bytearray(dcd.read_bytes())
    content[16:20], content[44:48] = struct.pack("<i", 1), struct.pack("<f", 1.0)  # as programs without a time write it
    dcd.write_bytes(content)
    with pytest.raises(MDGenError, match=r'SLA\.dcd: .*no time step.*protocol\.json, such as \{"frame_interval": 10\}'):
        read_recording(pdb, dcd)
    dcd.with_name("protocol.json").write_text(json.dumps({"frame_interval": 5}))
    assert read_recording(pdb, dcd).interval == 5.0


def test_a_netcdf_file_without_times_does_too(tmp_path):
    pdb, path = made(tmp_path, ".nc")
    path.unlink()
    with NetCDFTrajectoryFile(str(path), "w") as file:
        file.write(10 * numbered("SLA").xyz)
    with pytest.raises(MDGenError, match=r"SLA\.nc: the file holds no times\. State the picoseconds"):
        read_folders([tmp_path])
    path.with_name("protocol.json").write_text(json.dumps({"frame_interval": 5}))
    [found] = read_folders([tmp_path])
    assert (found.interval, found.n_frames) == (5.0, 200)


def test_a_name_in_two_formats_is_refused(tmp_path):
    made(tmp_path, ".dcd")
    write(tmp_path, "SLA", numbered("SLA")[:5])
    for read in (pairs, lambda folder: read_folders([folder])):
        with pytest.raises(MDGenError, match=r"SLA\.pdb has several trajectories beside it, SLA\.dcd, SLA\.xtc: leave"):
            read(tmp_path)
