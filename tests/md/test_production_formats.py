"""Real MD written in other formats than XTC: the same motion, at full precision, and lengthened as any."""

import dataclasses
import importlib.util
import json

import mdtraj
import numpy as np
import pytest

from called import called
from openmm_mdgen.analysis.folders import pairs
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md import production
from openmm_mdgen.md.conditions import MDProtocol
from openmm_mdgen.md.production import planned, simulate

NEEDS_TABLES = pytest.mark.skipif(importlib.util.find_spec("tables") is None, reason="HDF5 needs PyTables")
NAMES = ("GG", "AG")


def read(folder, name, ending):
    path = folder / name / f"{name}{ending}"
    return mdtraj.load(str(path), **({} if ending == ".h5" else {"top": str(path.with_suffix(".pdb"))}))


@pytest.mark.parametrize("ending", [".dcd", ".trr", ".nc", pytest.param(".h5", marks=NEEDS_TABLES)])
def test_the_motion_is_that_of_xtc_and_its_frames_stay_when_it_is_lengthened(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(production, "_FRAMES_A_BLOCK", 3)
    systems = planned(NAMES, replicas=1, seed=1)
    others = [dataclasses.replace(system, ending=ending) for system in systems]
    short, long = (MDProtocol(duration=n * 0.02, frame_interval=0.02, equilibration=0.1) for n in (4, 8))
    simulate(systems, tmp_path / "xtc", short, platform="Reference")
    found = {}
    for protocol in (short, long):
        simulate(others, tmp_path / "other", protocol, platform="Reference")
        n = protocol.n_frames
        for name in NAMES:
            found[name, n] = read(tmp_path / "other", name, ending)
            assert found[name, n].n_frames == n and found[name, n].unitcell_vectors is None
            if ending != ".dcd":  # of which mdtraj reads no times
                np.testing.assert_allclose(found[name, n].time, 0.02 * np.arange(1, n + 1), rtol=1e-6)
            assert not list((tmp_path / "other" / name).glob("*.xtc"))
    for name in NAMES:
        np.testing.assert_array_equal(found[name, 8].xyz[:4], found[name, 4].xyz)
        rounded = read(tmp_path / "xtc", name, ".xtc").xyz
        assert 1e-5 < np.abs(found[name, 4].xyz - rounded).max() < 5.1e-4
    with pytest.raises(MDGenError, match=f"format {ending!r}, asked for '.xtc'"):
        simulate(systems, tmp_path / "other", long, platform="Reference")
    assert not list((tmp_path / "other").glob(".*"))


def test_the_command_writes_another_format_and_refuses_what_is_none(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["simulate", "GG", "--time", "5ps", "--equilibration", "1ps", "--heating", "0ps", "--out", "md"]
    code, _, errors = called(monkeypatch, capsys, *words, "--format", "gro")
    assert code == 2 and "--format gro: give dcd, xtc, trr, nc or h5" in errors and not list(tmp_path.iterdir())
    code, _, errors = called(monkeypatch, capsys, *words, "--format", "nc", "--platform", "Reference")
    assert code == 0 and errors == ""
    manifest = json.loads((tmp_path / "md/GG/manifest.json").read_text())
    assert manifest["outputs"] == ["GG.pdb", "GG.nc"]
    assert read(tmp_path / "md", "GG", ".nc").n_frames == 5
    assert pairs(tmp_path / "md")["GG"][1].name == "GG.nc"
