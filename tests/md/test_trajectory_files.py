"""Trajectories in all formats, read back by mdtraj and, NetCDF, by scipy: positions, times, cells and units."""

import importlib.util
from pathlib import Path

import mdtraj
import numpy as np
import pytest
from openmm import Vec3, unit
from scipy.io import netcdf_file

from openmm_mdgen import arguments
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.growing import Timing
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.trajectory_files import FORMATS, frames_of, require_format, write_trajectory

TIMING = Timing(0.004, 2500, 5000)  # frames each 10 ps, the first at 20 ps
HAS_TABLES = importlib.util.find_spec("tables") is not None
EACH = [
    pytest.param(suffix, marks=[] if suffix != ".h5" or HAS_TABLES else pytest.mark.skip("needs PyTables"))
    for suffix in FORMATS
]
CUBE, TRICLINIC = np.diag([3.0, 3.0, 3.0]), np.array([[3.0, 0, 0], [0.5, 3, 0], [-0.5, 0.7, 2.5]])


def molecule(box):
    topology, _ = build_peptide("AG")
    if box is not None:
        topology.setPeriodicBoxVectors([Vec3(*row) for row in box] * unit.nanometer)
    return topology, np.random.default_rng(1).normal(size=(230, topology.getNumAtoms(), 3))


@pytest.mark.parametrize("box", [None, CUBE, TRICLINIC], ids=["no box", "cube", "triclinic"])
@pytest.mark.parametrize("suffix", EACH)
def test_what_is_written_is_read_back(suffix, box, tmp_path):
    topology, frames = molecule(box)
    path = tmp_path / f"a{suffix}"
    assert write_trajectory(path, topology, frames, TIMING) == len(frames)
    read = mdtraj.load(str(path), **({} if suffix == ".h5" else {"top": mdtraj.Topology.from_openmm(topology)}))
    np.testing.assert_allclose(read.xyz, frames, atol=5.1e-4 if suffix == ".xtc" else 1e-6)
    if suffix != ".dcd":  # of which mdtraj reads no times
        np.testing.assert_allclose(read.time, 20 + 10 * np.arange(len(frames)), rtol=1e-6)
    assert [atom.name for atom in read.topology.atoms] == [atom.name for atom in topology.atoms()]
    if box is None:
        assert read.unitcell_vectors is None
    else:
        np.testing.assert_allclose(read.unitcell_vectors, np.tile(box, (len(frames), 1, 1)), atol=1e-6)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", EACH)
def test_frames_that_are_read_and_written_again_are_the_same_bit_for_bit(suffix, tmp_path):
    topology, frames = molecule(TRICLINIC)
    for name, content in (("a", lambda: frames), ("b", lambda: frames_of(tmp_path / f"a{suffix}", len(frames)))):
        write_trajectory(tmp_path / f"{name}{suffix}", topology, content(), TIMING)
    ours, again = (list(frames_of(tmp_path / f"{name}{suffix}", len(frames))) for name in "ab")
    np.testing.assert_array_equal(ours, again)
    assert len(list(frames_of(tmp_path / f"a{suffix}", 150))) == 150
    with pytest.raises(MDGenError, match="lacks frames that it is said to hold"):
        list(frames_of(tmp_path / f"a{suffix}", len(frames) + 1))


def test_netcdf_is_as_ambers_convention_has_it(tmp_path):
    topology, frames = molecule(TRICLINIC)
    write_trajectory(tmp_path / "a.nc", topology, frames, TIMING)
    with netcdf_file(str(tmp_path / "a.nc"), mmap=False) as file:
        assert (file.Conventions, file.ConventionVersion, file.version_byte) == (b"AMBER", b"1.0", 2)
        assert {name: size for name, size in file.dimensions.items() if name != "frame"} == {
            "spatial": 3,
            "atom": topology.getNumAtoms(),
            "cell_spatial": 3,
            "cell_angular": 3,
            "label": 5,
        }
        assert file.dimensions["frame"] is None  # of which there are more and more
        units = {name: variable.units for name, variable in file.variables.items() if hasattr(variable, "units")}
        assert units == {
            "time": b"picosecond",
            "coordinates": b"angstrom",
            "cell_lengths": b"angstrom",
            "cell_angles": b"degree",
        }
        np.testing.assert_allclose(file.variables["coordinates"][:], 10 * frames, rtol=1e-6, atol=1e-6)
        lengths = 10 * np.linalg.norm(TRICLINIC, axis=1)
        np.testing.assert_allclose(file.variables["cell_lengths"][:], np.tile(lengths, (len(frames), 1)))


@pytest.mark.parametrize("name", ["a.pdb", "a.xyz", "a", "a.dcd.gz"])
def test_other_formats_are_refused_with_those_that_serve(name):
    with pytest.raises(MDGenError, match=r"^--out .*ends in .dcd, .xtc, .trr, .nc or .h5.*mdconvert a"):
        require_format("--out", Path(name))


def test_hdf5_without_pytables_is_refused_with_what_installs_it(monkeypatch):
    monkeypatch.setattr(arguments, "find_spec", lambda name: None)
    with pytest.raises(MDGenError, match="pip install tables"):
        require_format("--out", Path("a.h5"))
    require_format("--out", Path("a.NC"))


@pytest.mark.parametrize(("name", "same"), [("a.ncdf", ".nc"), ("a.NETCDF", ".nc"), ("a.hdf5", ".h5")])
def test_other_endings_of_a_format_are_taken_too(name, same, tmp_path):
    if same == ".h5" and not HAS_TABLES:
        pytest.skip("needs PyTables")
    topology, frames = molecule(None)
    for path in (tmp_path / name, tmp_path / f"b{same}"):
        require_format("--out", path)
        write_trajectory(path, topology, frames, TIMING)
    np.testing.assert_array_equal(*(list(frames_of(path, len(frames))) for path in sorted(tmp_path.iterdir())))
