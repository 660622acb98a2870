"""What ``openmm-mdgen doctor`` finds of this installation, and of broken ones."""

import json
import os
import shlex
from importlib import metadata

import openmm
import pytest
from typer.testing import CliRunner

from openmm_mdgen.commands import installation
from openmm_mdgen.commands.main import app
from openmm_mdgen.model import checkpoints


@pytest.fixture
def doctor(tmp_path):
    def call():
        path = tmp_path / "doctor.json"
        done = CliRunner().invoke(app, ["doctor", "--json", str(path), "--force"])
        assert max(map(len, done.output.splitlines())) <= 80, done.output
        content = json.loads(path.read_text())
        assert content["works"] == (done.exit_code == 0)
        return done, {(one["group"], one["name"]): one for one in content["checks"]}

    return call


@pytest.fixture
def few(monkeypatch):
    """Let doctor try these parts alone."""

    def of(*parts):
        monkeypatch.setattr(installation, "checks", lambda: (check for part in parts for check in part()))

    return of


def test_this_installation_works(doctor):
    done, found = doctor()
    assert done.exit_code == 0 and done.output.splitlines()[-1] == "all that is needed works"
    for name in ("torch", "openmm", "mdtraj", "numpy"):
        assert found["Versions", name]["value"] == metadata.version(name)
    for name in ("Reference", "CPU"):
        assert found["OpenMM platforms", name]["works"] and found["OpenMM platforms", name]["seconds"] > 0
    assert found["Devices of torch", "cpu"]["works"]
    assert {name for group, name in found if group == "Bundled weights"} == set(checkpoints.bundled())
    assert found["Threads", "of the network"]["value"] >= 1


def crash(name):
    import os

    os.abort()


def wrong_energy(name):
    raise SystemExit("an energy comes out as 1 kJ/mol and has to be 2")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals")
def test_a_platform_that_crashes_takes_nothing_down(doctor, few, monkeypatch):
    few(installation._platforms, installation._threads)
    monkeypatch.setattr(installation, "inspect", _Source(crash))
    done, found = doctor()
    assert done.exit_code == 1 and "SIGABRT" in found["OpenMM platforms", "CPU"]["reason"]
    assert found["OpenMM platforms", "CPU"]["seconds"] is None
    assert "needed and does not work: OpenMM platforms: Reference" in done.output
    assert found["Threads", "cores"]["works"]


def test_a_wrong_energy_is_told(doctor, few, monkeypatch):
    few(installation._platforms)
    monkeypatch.setattr(installation, "inspect", _Source(wrong_energy))
    done, found = doctor()
    assert done.exit_code == 1
    assert found["OpenMM platforms", "CPU"]["reason"] == "an energy comes out as 1 kJ/mol and has to be 2"


def test_a_platform_that_is_not_needed_may_fail(doctor, few, monkeypatch):
    few(installation._platforms)
    names = installation.platform_names()
    monkeypatch.setattr(installation, "platform_names", lambda: [*names, "Abacus"])
    done, found = doctor()
    assert done.exit_code == 0 and found["OpenMM platforms", "Abacus"]["works"] is False
    assert 'no registered Platform called "Abacus"' in found["OpenMM platforms", "Abacus"]["reason"]


def test_plugins_that_cannot_be_loaded_are_told_by_their_reason(doctor, few, monkeypatch):
    few(installation._platforms)
    start = "Error loading library /some where/plugins/libOpenMM"
    failures = [f"{start}{name}OpenCL.so: libOpenCL.so.1: cannot open it" for name in ("", "RPMD")]
    failures.append(f"{start}AmoebaOpenCL.so: libOpenMMOpenCL.so: cannot open it")
    monkeypatch.setattr(installation, "plugin_failures", lambda: failures)
    done, found = doctor()
    assert done.exit_code == 0 and found["OpenMM platforms", "plugins"]["works"] is None
    told = found["OpenMM platforms", "plugins"]["reason"]
    assert told.startswith("libOpenMMOpenCL.so, libOpenMMRPMDOpenCL.so cannot be loaded: libOpenCL.so.1: cannot open")


def test_the_step_of_the_check_sees_a_wrong_force(monkeypatch):
    class Weak(openmm.HarmonicBondForce):
        def addBond(self, first, second, length, k):
            return super().addBond(first, second, length, 0.5 * k)

    monkeypatch.setattr(openmm, "HarmonicBondForce", Weak)
    with pytest.raises(SystemExit, match="has to be"):
        installation.step_on("Reference")


def test_what_is_missing_comes_with_the_line_that_installs_it(doctor, few, monkeypatch):
    few(installation._versions, installation._extras)
    asked = [
        "no_such_package<2,>=1.5",
        "numpy>=1000",
        'numpy>=1.0; extra == "small"',
        'no_such_extra<5,>=4.0; extra == "large"',
        'numpy>=1000; extra == "large"',
    ]
    monkeypatch.setattr(metadata, "requires", lambda package: asked)
    monkeypatch.setattr(metadata, "metadata", lambda package: _Extras())
    done, found = doctor()
    assert done.exit_code == 1
    assert found["Versions", "no_such_package"]["reason"] == "not installed: pip install 'no_such_package<2,>=1.5'"
    assert found["Versions", "numpy"]["works"] is False and ">=1000 is needed" in found["Versions", "numpy"]["reason"]
    assert found["Extras", "small"]["works"] and found["Extras", "large"]["works"] is None
    line = found["Extras", "large"]["reason"]
    assert shlex.split(line) == ["pip", "install", "no_such_extra<5,>=4.0", "numpy>=1000"]


def test_a_wrong_number_of_threads_is_told(doctor, few, monkeypatch):
    few(installation._threads)
    monkeypatch.setenv("OPENMM_MDGEN_THREADS", "many")
    done, found = doctor()
    assert done.exit_code == 1 and "OPENMM_MDGEN_THREADS is 'many'" in found["Threads", "of the network"]["reason"]


def test_a_cache_that_cannot_be_made_is_told_and_not_needed(doctor, few, monkeypatch, tmp_path):
    from huggingface_hub import constants

    few(installation._cache)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    done, found = doctor()
    assert done.exit_code == 0 and found["Published weights", "cache"]["works"] is False
    assert "HF_HOME" in found["Published weights", "cache"]["reason"]


class _Source:
    """Gives the text of another function in place of the step's."""

    def __init__(self, function):
        self._function = function

    def getsource(self, _):
        import inspect

        return inspect.getsource(self._function).replace(f"def {self._function.__name__}(", "def step_on(")


class _Extras:
    def get_all(self, _):
        return ["small", "large"]
